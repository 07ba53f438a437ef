//! The thread that reads what waits, so that neither the writer nor whoever asks has to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, sync_channel};

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension};

use crate::store::fault::Fault;
use crate::store::frame::{Head, State};
use crate::store::job::{Done, Job, Message};
use crate::store::record::{Count, Portion, RecordId, Waiting, Wanted};
use crate::store::scan::blob;
use crate::store::select::what_is_wrong;
use crate::store::shared::{NotRead, Shared};
use crate::store::{NotKept, StoreError};

/// A question for the thread.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) wanted: Wanted,
    pub(super) done: Done<Result<Portion, StoreError>>,
}

/// Answers `asks` until nobody is left who could ask.
pub(super) fn run(shared: &Arc<Shared>, asks: &Receiver<Ask>, writer: &Sender<Message>) {
    while let Ok(Ask { wanted, done }) = asks.recv() {
        done.call(answer(shared, writer, &wanted));
    }
}

fn answer(shared: &Shared, writer: &Sender<Message>, wanted: &Wanted) -> Result<Portion, StoreError> {
    let batch = mended(shared, writer, || shared.read(&shared.backlog, |connection| collect(connection, wanted)))?;
    let Batch { waiting, damaged, seen } = batch;
    if damaged.is_empty() {
        return Ok(Portion { waiting, seen, ..Portion::default() });
    }
    // Its neighbours are good whether or not the disk took note. If it did not, the record still waits and is found again.
    let last = waiting.last().map(|record| record.id);
    Ok(match condemn(writer, damaged) {
        Ok(damaged) => Portion { waiting, damaged, seen },
        Err(_) => Portion { waiting, seen: last, ..Portion::default() },
    })
}

/// Makes dead letters of rows whose body is not what was written. No connection may be held: the writer may need it.
pub(super) fn condemn(writer: &Sender<Message>, damaged: BTreeMap<RecordId, String>) -> Result<Count, NotKept> {
    for (id, message) in &damaged {
        tracing::error!(record = id.0, message, "a record is damaged and becomes a dead letter (corrupt_record)");
    }
    ask(writer, |done| Message::Job(Job::Condemn { damaged, done }))
}

/// Reads; where the file turns out to be damaged, has it replaced and reads once more.
pub(super) fn mended<T>(
    shared: &Shared,
    writer: &Sender<Message>,
    read: impl Fn() -> Result<T, NotRead>,
) -> Result<T, StoreError> {
    let outcome = match read() {
        Err(NotRead::Damaged(generation, why)) => {
            ask(writer, |done| Message::Damaged { generation, why, done })
                .map_err(|why| StoreError(why.to_string()))?;
            read()
        }
        outcome => outcome,
    };
    outcome.map_err(|why| {
        let directory = shared.settings.directory.display();
        match why {
            NotRead::Closed => StoreError(NotKept::Closed.to_string()),
            NotRead::Damaged(_, why) | NotRead::Disk(why) => {
                StoreError(format!("the store in {directory} cannot be read: {why}; look at the disk"))
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
    // A message that cannot be sent is dropped, and that is an answer too.
    drop(writer.send(message(done)));
    receiver.recv().unwrap_or(Err(NotKept::Closed))
}

#[derive(Debug, Default)]
struct Batch {
    waiting: Vec<Waiting>,
    /// Rows whose body is not what was written, and what is wrong.
    damaged: BTreeMap<RecordId, String>,
    /// The last row that was looked at.
    seen: Option<RecordId>,
}

fn collect(connection: &Connection, wanted: &Wanted) -> Result<Batch, Fault> {
    let mut batch = Batch::default();
    let mut bytes = 0;
    // In two steps: a row is passed over without touching the pages of its body.
    let mut heads = connection.prepare("SELECT id, head FROM records WHERE id > ?1 AND id <= ?2 ORDER BY id")?;
    let mut bodies = connection.prepare("SELECT body FROM records WHERE id = ?1")?;
    let mut rows = heads.query([wanted.after.map_or(i64::MIN, |id| id.0), wanted.until.map_or(i64::MAX, |id| id.0)])?;
    while let Some(row) = rows.next()? {
        let id = RecordId(row.get(0)?);
        let head = Head::sound(blob(row, 1)?)
            .filter(|head| head.id == id)
            .ok_or_else(|| Fault::Damaged(format!("the head of record {} is not what was written", id.0)))?;
        let ours = head.destination == *wanted.destination && head.signal == wanted.signal;
        let means = head.state == State::Waiting && ours;
        let length = head.body_len as usize;
        if means && !batch.waiting.is_empty() && bytes + length > wanted.max_bytes {
            break;
        }
        batch.seen = Some(id);
        if !means {
            continue;
        }
        let body =
            bodies.query_row([id.0], |row| row.get_ref(0).map(|value| value.as_blob().map(Bytes::copy_from_slice)));
        // Delivered and deleted while we read.
        let Some(body) = body.optional()? else { continue };
        let body = body.map_err(|error| Fault::Damaged(error.to_string()))?;
        if !head.vouches_for(&body) {
            batch.damaged.insert(id, what_is_wrong(&head, &body));
            continue;
        }
        bytes += length;
        let Head { signal, spans, received, .. } = head;
        batch.waiting.push(Waiting { id, signal, body, spans, received });
    }
    Ok(batch)
}
