//! Reads all heads when a file is opened: for the sums, for the highest id, and to see that every head is sound.

use std::collections::BTreeMap;

use rusqlite::Connection;

use crate::store::file;
use crate::store::file_error::FileError;
use crate::store::frame::{Head, MAX_ID};
use crate::store::record::{Count, RecordId};
use crate::store::usage::{Change, RowSummary, Usage};

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) usage: Usage,
    /// The highest id that was given away.
    pub(super) last_id: i64,
}

/// Reads the heads of all rows, and no bodies.
pub(super) fn scan(connection: &Connection) -> Result<Contents, FileError> {
    let last_id = file::meta(connection, "last_id")?.unwrap_or(0);
    if !(0..=MAX_ID).contains(&last_id) {
        return Err(FileError::Damaged(format!("the highest id cannot be {last_id}")));
    }
    let mut contents = Contents { last_id, ..Contents::default() };
    let mut statement = connection.prepare("SELECT id, head FROM records ORDER BY id")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id = RecordId(row.get(0)?);
        let head = sound_head(id, blob(row, 1)?)?;
        contents.last_id = contents.last_id.max(id.0);
        contents.usage.apply(Change::In(RowSummary::of(&head)));
    }
    for (destination, (_, count)) in discarded(connection)? {
        contents.usage.apply(Change::Discarded(destination, count));
    }
    Ok(contents)
}

/// What operators purged, per destination, each with its row.
pub(super) fn discarded(connection: &Connection) -> Result<BTreeMap<String, (RecordId, Count)>, FileError> {
    let mut sums = BTreeMap::new();
    let mut statement = connection.prepare("SELECT id, head, body FROM discarded ORDER BY id")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id = RecordId(row.get(0)?);
        let head = Head::sound(blob(row, 1)?).filter(|head| head.id == id);
        let sum = head.and_then(|head| Some((head.discarded(blob(row, 2).ok()?)?, head.destination)));
        let (count, destination) =
            sum.ok_or_else(|| FileError::Damaged("a sum of discarded letters is not what was written".to_owned()))?;
        sums.insert(destination, (id, count));
    }
    Ok(sums)
}

/// Has SQLite check that the file is in order, which reads all of it.
pub(super) fn check(connection: &Connection) -> Result<(), FileError> {
    let verdict: String = connection.pragma_query_value(None, "quick_check", |row| row.get(0))?;
    if verdict == "ok" { Ok(()) } else { Err(FileError::Damaged(verdict)) }
}

/// The head of row `id`, if it is what was written.
pub(super) fn sound_head(id: RecordId, bytes: &[u8]) -> Result<Head, FileError> {
    let head = Head::sound(bytes).filter(|head| head.id == id);
    head.ok_or_else(|| FileError::Damaged(format!("the head of record {} is not what was written", id.0)))
}

/// The bytes of a column that is a blob by the schema.
pub(super) fn blob<'a>(row: &'a rusqlite::Row<'_>, column: usize) -> Result<&'a [u8], FileError> {
    let value = row.get_ref(column)?;
    value.as_blob().map_err(|error| FileError::Damaged(format!("a column is not a blob: {error}")))
}
