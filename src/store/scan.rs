//! The one look at everything when a file is opened: the sums, the highest id, and whether every head is sound.

use std::collections::BTreeMap;

use rusqlite::Connection;

use crate::store::books::{Books, Brief, Change};
use crate::store::fault::Fault;
use crate::store::frame::{Head, MAX_ID};
use crate::store::record::Count;
use crate::store::{RecordId, file};

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) books: Books,
    /// The highest id that was ever given away.
    pub(super) last_id: i64,
}

/// Reads the heads of all rows, not the bodies.
pub(super) fn scan(connection: &Connection) -> Result<Contents, Fault> {
    let last_id = file::meta(connection, "last_id")?.unwrap_or(0);
    if !(0..=MAX_ID).contains(&last_id) {
        return Err(Fault::Damaged(format!("{last_id} records were never put")));
    }
    let mut contents = Contents { last_id, ..Contents::default() };
    let mut statement = connection.prepare("SELECT id, head FROM records ORDER BY id")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id = RecordId(row.get(0)?);
        let head = Head::sound(blob(row, 1)?).filter(|head| head.id == id);
        let head =
            head.ok_or_else(|| Fault::Damaged(format!("the head of record {} is not what was written", id.0)))?;
        contents.last_id = contents.last_id.max(id.0);
        contents.books.apply(Change::In(Brief::of(&head)));
    }
    for (destination, (_, count)) in discarded(connection)? {
        contents.books.apply(Change::Discarded(destination, count));
    }
    Ok(contents)
}

/// What operators gave up, per destination, each with its row.
pub(super) fn discarded(connection: &Connection) -> Result<BTreeMap<String, (RecordId, Count)>, Fault> {
    let mut sums = BTreeMap::new();
    let mut statement = connection.prepare("SELECT id, head, body FROM discarded ORDER BY id")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id = RecordId(row.get(0)?);
        let head = Head::sound(blob(row, 1)?).filter(|head| head.id == id);
        let sum = head.and_then(|head| Some((head.discarded(blob(row, 2).ok()?)?, head.destination)));
        let (count, destination) =
            sum.ok_or_else(|| Fault::Damaged("a sum of discarded letters is not what was written".to_owned()))?;
        sums.insert(destination, (id, count));
    }
    Ok(sums)
}

/// Whether SQLite finds the file in order. Reads all of it.
pub(super) fn check(connection: &Connection) -> Result<(), Fault> {
    let verdict: String = connection.pragma_query_value(None, "quick_check", |row| row.get(0))?;
    if verdict == "ok" { Ok(()) } else { Err(Fault::Damaged(verdict)) }
}

/// The bytes of a column that is a blob by the schema.
pub(super) fn blob<'a>(row: &'a rusqlite::Row<'_>, column: usize) -> Result<&'a [u8], Fault> {
    let value = row.get_ref(column)?;
    value.as_blob().map_err(|error| Fault::Damaged(format!("a column is not a blob: {error}")))
}
