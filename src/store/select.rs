//! Which dead letters a filter means.

use bytes::Bytes;
use rusqlite::Connection;

use crate::store::fault::Fault;
use crate::store::frame::{Head, State};
use crate::store::record::{Filter, Letter, Reason, RecordId};
use crate::store::scan::blob;

/// Calls `visit` for each dead letter that `filter` means, oldest first, with its head as it is stored.
pub(super) fn select(
    connection: &Connection,
    filter: &Filter,
    mut visit: impl FnMut(Head, &[u8]) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut left = filter.limit.unwrap_or(u64::MAX);
    let mut offer = |row: &rusqlite::Row<'_>| {
        let id = RecordId(row.get(0)?);
        let bytes = blob(row, 1)?;
        let head = Head::sound(bytes)
            .filter(|head| head.id == id)
            .ok_or_else(|| Fault::Damaged(format!("the head of record {} is not what was written", id.0)))?;
        if left > 0 && means(filter, &head) {
            left -= 1;
            visit(head, bytes)?;
        }
        Ok::<_, Fault>(left > 0)
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

/// The dead letters themselves.
pub(super) fn letters(connection: &Connection, filter: &Filter) -> Result<Vec<Letter>, Fault> {
    let mut letters = Vec::new();
    select(connection, filter, |head, _| {
        letters.extend(head.into_letter());
        Ok(())
    })?;
    Ok(letters)
}

/// One dead letter and its body; the body of a `corrupt_record` is what the disk gives. The third part says what is wrong with
/// that of another: then it has to become one.
pub(super) fn letter(connection: &Connection, id: RecordId) -> Result<Option<(Letter, Bytes, Option<String>)>, Fault> {
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
    let known = head.death.as_ref().is_some_and(|death| death.reason == Reason::CorruptRecord);
    let wrong = (!known && !head.vouches_for(&body)).then(|| what_is_wrong(&head, &body));
    Ok(head.into_letter().map(|letter| (letter, body, wrong)))
}

/// For whoever reads the dead letter.
pub(super) fn what_is_wrong(head: &Head, body: &[u8]) -> String {
    format!(
        "the body read back from the disk is not what was written: {} bytes with CRC32C {:08x}, written were {} bytes with \
         {:08x}",
        body.len(),
        crc32c::crc32c(body),
        head.body_len,
        head.body_crc
    )
}

fn means(filter: &Filter, head: &Head) -> bool {
    let Filter { ids: _, after, chain, reason, destination, since, until, limit: _ } = filter;
    let Some(death) = &head.death else { return false };
    head.state == State::Dead
        && after.is_none_or(|after| head.id > after)
        && chain.as_ref().is_none_or(|chain| death.chains.contains(chain))
        && reason.is_none_or(|reason| death.reason == reason)
        && destination.as_ref().is_none_or(|destination| head.destination == *destination)
        && since.is_none_or(|since| death.last >= since)
        && until.is_none_or(|until| death.last < until)
}
