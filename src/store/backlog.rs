//! The thread that reads waiting records, so that neither the writer nor the caller has to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, sync_channel};

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension};

use crate::store::error::{NotKept, StoreError};
use crate::store::file_error::FileError;
use crate::store::frame::{Head, RowState};
use crate::store::job::{Done, Job, Message};
use crate::store::record::{Count, Portion, RecordId, Waiting, Wanted};
use crate::store::scan::{blob, sound_head};
use crate::store::select::what_is_wrong;
use crate::store::shared::{NotRead, Shared};

/// A request to the thread.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) wanted: Wanted,
    pub(super) done: Done<Result<Portion, StoreError>>,
}

/// Answers requests until nobody is left who could send one.
pub(super) fn run(shared: &Arc<Shared>, asks: &Receiver<Ask>, writer: &Sender<Message>) {
    while let Ok(Ask { wanted, done }) = asks.recv() {
        done.call(answer(shared, writer, &wanted));
    }
}

fn answer(shared: &Shared, writer: &Sender<Message>, wanted: &Wanted) -> Result<Portion, StoreError> {
    let found =
        read_or_repair(shared, writer, || shared.read(&shared.backlog, |connection| collect(connection, wanted)))?;
    let Found { waiting, damaged, seen } = found;
    if damaged.is_empty() {
        return Ok(Portion { waiting, seen, ..Portion::default() });
    }
    // The others are good either way. If the disk cannot note the damage, the record goes on waiting and is found again.
    let last = waiting.last().map(|record| record.id);
    Ok(match mark_corrupt(writer, damaged) {
        Ok(damaged) => Portion { waiting, damaged, seen },
        Err(_) => Portion { waiting, seen: last, ..Portion::default() },
    })
}

/// Makes dead letters of rows whose body is not what was written. The caller must not hold a connection: the writer may need it.
pub(super) fn mark_corrupt(writer: &Sender<Message>, damaged: BTreeMap<RecordId, String>) -> Result<Count, NotKept> {
    for (id, message) in &damaged {
        tracing::error!(record = id.0, message, "a record is damaged: it becomes a dead letter (corrupt_record)");
    }
    ask(writer, |done| Message::Job(Job::MarkCorrupt { damaged, done }))
}

/// Reads. If the file turns out to be damaged, has it replaced and reads once more.
pub(super) fn read_or_repair<T>(
    shared: &Shared,
    writer: &Sender<Message>,
    read: impl Fn() -> Result<T, NotRead>,
) -> Result<T, StoreError> {
    let outcome = match read() {
        Err(NotRead::Damaged(generation, why)) => {
            ask(writer, |done| Message::Damaged { generation, why, done })?;
            read()
        }
        outcome => outcome,
    };
    outcome.map_err(|why| {
        let directory = shared.settings.directory.display();
        match why {
            NotRead::Closed => NotKept::Closed.into(),
            NotRead::Damaged(_, why) | NotRead::Disk(why) => {
                StoreError(format!("the store in {directory} cannot be read: {why}; check the disk"))
            }
        }
    })
}

/// Sends the writer a message and waits for its answer.
pub(super) fn ask<T: Send + 'static>(
    writer: &Sender<Message>,
    message: impl FnOnce(Done<Result<T, NotKept>>) -> Message,
) -> Result<T, NotKept> {
    let (sender, receiver) = sync_channel(1);
    let done = Done::new(move |answer| drop(sender.send(answer)), || Err(NotKept::Closed));
    // If the thread has ended, dropping the message answers that the store is closed.
    drop(writer.send(message(done)));
    receiver.recv().unwrap_or(Err(NotKept::Closed))
}

#[derive(Debug, Default)]
struct Found {
    waiting: Vec<Waiting>,
    /// Rows whose body is not what was written, and what is wrong.
    damaged: BTreeMap<RecordId, String>,
    /// The last row that was read.
    seen: Option<RecordId>,
}

fn collect(connection: &Connection, wanted: &Wanted) -> Result<Found, FileError> {
    let mut found = Found::default();
    let mut bytes = 0;
    // Heads first: a row is skipped without touching the pages of its body.
    let mut heads = connection.prepare("SELECT id, head FROM records WHERE id > ?1 AND id <= ?2 ORDER BY id")?;
    let mut bodies = connection.prepare("SELECT body FROM records WHERE id = ?1")?;
    let mut rows = heads.query([wanted.after.map_or(i64::MIN, |id| id.0), wanted.until.map_or(i64::MAX, |id| id.0)])?;
    while let Some(row) = rows.next()? {
        let id = RecordId(row.get(0)?);
        let head = sound_head(id, blob(row, 1)?)?;
        let for_caller = head.destination == *wanted.destination && head.signal == wanted.signal;
        let is_wanted = head.state == RowState::Waiting && for_caller;
        let length = head.body_len as usize;
        if is_wanted && !found.waiting.is_empty() && bytes + length > wanted.max_bytes {
            break;
        }
        found.seen = Some(id);
        if !is_wanted {
            continue;
        }
        let body =
            bodies.query_row([id.0], |row| row.get_ref(0).map(|value| value.as_blob().map(Bytes::copy_from_slice)));
        // Delivered and deleted in the meantime.
        let Some(body) = body.optional()? else { continue };
        let body = body.map_err(|error| FileError::Damaged(error.to_string()))?;
        if !head.matches(&body) {
            found.damaged.insert(id, what_is_wrong(&head, &body));
            continue;
        }
        bytes += length;
        let Head { signal, spans, received, .. } = head;
        found.waiting.push(Waiting { id, signal, body, spans, received });
    }
    Ok(found)
}
