//! Finds the dead letters that match a filter.

use bytes::Bytes;
use rusqlite::Connection;

use crate::store::file_error::FileError;
use crate::store::frame::{Head, RowState};
use crate::store::record::{DeathReason, Filter, Letter, RecordId};
use crate::store::scan::{blob, sound_head};

/// Calls `visit` for each dead letter that matches `filter`, oldest first, with its head, decoded and as it is stored.
pub(super) fn select(
    connection: &Connection,
    filter: &Filter,
    mut visit: impl FnMut(Head, &[u8]) -> Result<(), FileError>,
) -> Result<(), FileError> {
    let mut left = filter.limit.unwrap_or(u64::MAX);
    let mut offer = |row: &rusqlite::Row<'_>| {
        let id = RecordId(row.get(0)?);
        let bytes = blob(row, 1)?;
        let head = sound_head(id, bytes)?;
        if left > 0 && is_selected(filter, &head) {
            left -= 1;
            visit(head, bytes)?;
        }
        Ok::<_, FileError>(left > 0)
    };
    if filter.ids.is_empty() {
        let mut statement = connection.prepare("SELECT id, head FROM records WHERE id > ?1 ORDER BY id")?;
        let mut rows = statement.query([filter.after.map_or(0, |after| after.0)])?;
        while let Some(row) = rows.next()? {
            if !offer(row)? {
                break;
            }
        }
        return Ok(());
    }
    let mut ids = filter.ids.clone();
    ids.sort_unstable();
    ids.dedup();
    let mut statement = connection.prepare("SELECT id, head FROM records WHERE id = ?1")?;
    for id in ids {
        let mut rows = statement.query([id.0])?;
        if let Some(row) = rows.next()?
            && !offer(row)?
        {
            break;
        }
    }
    Ok(())
}

/// The dead letters that match `filter`, oldest first.
pub(super) fn letters(connection: &Connection, filter: &Filter) -> Result<Vec<Letter>, FileError> {
    let mut letters = Vec::new();
    select(connection, filter, |head, _| {
        letters.extend(head.into_letter());
        Ok(())
    })?;
    Ok(letters)
}

/// One dead letter and its body. The third part says what is wrong with the body, if it is not what was written and the letter is
/// not a `corrupt_record` yet.
pub(super) fn letter(
    connection: &Connection,
    id: RecordId,
) -> Result<Option<(Letter, Bytes, Option<String>)>, FileError> {
    let mut found = None;
    select(connection, &Filter { ids: vec![id], ..Filter::default() }, |head, _| {
        found = Some(head);
        Ok(())
    })?;
    let Some(head) = found else { return Ok(None) };
    let mut statement = connection.prepare("SELECT body FROM records WHERE id = ?1")?;
    let mut rows = statement.query([id.0])?;
    // Purged or finished in between.
    let Some(row) = rows.next()? else { return Ok(None) };
    let body = Bytes::copy_from_slice(blob(row, 0)?);
    let is_marked = head.death.as_ref().is_some_and(|death| death.reason == DeathReason::CorruptRecord);
    let wrong = (!is_marked && !head.matches(&body)).then(|| what_is_wrong(&head, &body));
    Ok(head.into_letter().map(|letter| (letter, body, wrong)))
}

/// Those of the rows `ids` that wait.
pub(super) fn still_waiting(connection: &Connection, ids: &[RecordId]) -> Result<Vec<RecordId>, FileError> {
    let mut statement = connection.prepare("SELECT head FROM records WHERE id = ?1")?;
    let mut waiting = Vec::new();
    for &id in ids {
        let mut rows = statement.query([id.0])?;
        if let Some(row) = rows.next()?
            && sound_head(id, blob(row, 0)?)?.state == RowState::Waiting
        {
            waiting.push(id);
        }
    }
    Ok(waiting)
}

/// The message of a `corrupt_record`.
pub(super) fn what_is_wrong(head: &Head, body: &[u8]) -> String {
    format!(
        "the disk did not return the body that was written: it returned {} bytes with CRC32C {:08x}, written were {} bytes \
         with {:08x}",
        body.len(),
        crc32c::crc32c(body),
        head.body_len,
        head.body_crc
    )
}

fn is_selected(filter: &Filter, head: &Head) -> bool {
    let Filter { ids: _, after, chain, reason, destination, since, until, limit: _ } = filter;
    let Some(death) = &head.death else { return false };
    head.state == RowState::Dead
        && after.is_none_or(|after| head.id > after)
        && chain.as_ref().is_none_or(|chain| death.chains.contains(chain))
        && reason.is_none_or(|reason| death.reason == reason)
        && destination.as_ref().is_none_or(|destination| head.destination == *destination)
        && since.is_none_or(|since| death.last >= since)
        && until.is_none_or(|until| death.last < until)
}
