//! How entries come to the disk and back: what is begun to be written, and what it means when the store has answered.

use tokio::time::Instant;

use super::accounting::Shares;
use super::entries::Entries;
use super::entry::{Entry, Phase, weight};
use super::spool_state::{Dead, Part, Remains, StoreTask};
use crate::delivery::command::EntryId;
use crate::otlp::{self, Signal};
use crate::store::{NotKept, RecordId, Waiting};

impl Entries {
    /// Takes a record in hand again that was read from the disk and goes out as `pieces`.
    pub(crate) fn resume(&mut self, record: &Waiting, deadline: Option<Instant>, pieces: &[otlp::Piece]) -> EntryId {
        let count = self.hold(pieces);
        self.open.insert(Entry::replayed(record, deadline, count))
    }

    /// An attempt at `now` (nanoseconds since the Unix epoch) with a piece of it has failed or was refused.
    pub(crate) fn attempted(&mut self, id: EntryId, now: u64) {
        self.open[id].spool_state().attempted(now);
    }

    /// It is being written, with the dead letters that come back; `waits`: also what has not been sent yet.
    pub(crate) fn begin_write(&mut self, id: EntryId, waits: bool) -> Vec<Dead> {
        let entry = &mut self.open[id];
        let (acknowledged, rejected) = (entry.acknowledged, entry.rejected);
        entry.spool_state().begin_write(acknowledged, rejected, waits)
    }

    /// The record of a durable parcel, and what is to take its place: what is left, and its dead letters.
    pub(crate) fn remains(&self, id: EntryId) -> Option<(RecordId, Remains)> {
        let entry = &self.open[id];
        let Phase::Durable(record) = entry.phase else { return None };
        Some((record, entry.spool_state.as_ref()?.remains()))
    }

    /// The store has answered: the parcel is on the disk, or is not. `received`: when it was, nanoseconds since the Unix
    /// epoch.
    pub(crate) fn written(&mut self, id: EntryId, result: Result<Vec<RecordId>, NotKept>, received: u64) {
        let entry = &mut self.open[id];
        let Some(written) = entry.spool_state().end_write() else { return };
        match (result, entry.phase) {
            (Ok(records), Phase::Waiting) => {
                let dead = entry.dead(written.dead);
                let left = match entry.signal {
                    Signal::Traces => entry.weight.saturating_sub(dead.spans + written.acknowledged),
                    Signal::Metrics | Signal::Logs => 1,
                };
                let left = if written.waits { Part { spans: left, exists: true } } else { Part::NONE };
                // What arrived while it was being written is on the disk all the same, until that is deleted.
                let since = (entry.acknowledged - written.acknowledged, entry.rejected - written.rejected);
                entry.rejected = written.rejected;
                let shares = entry.shares(left, dead);
                self.accounting.settle(entry.signal, entry.weight, shares);
                (entry.acknowledged, entry.rejected) = since;
                self.buried.extend(entry.spool_state().buried(written.dead));
                if let Some(reply) = entry.reply.take() {
                    self.outbox.push((reply, Ok(())));
                }
                entry.phase = match records.first() {
                    Some(record) if written.waits => Phase::Durable(*record),
                    _ => Phase::Over,
                };
                (entry.weight, entry.deadline) = (shares.spilled, None);
                self.accounting.oldest_spilled[entry.signal].get_or_insert(received);
            }
            // It was delivered meanwhile, or nobody waits any more. Its dead letters stay: they are on the disk.
            (Ok(mut records), _) => {
                let dead = entry.dead(written.dead);
                if dead.exists {
                    let weight = weight(entry.signal, u32::try_from(dead.spans).unwrap_or(u32::MAX));
                    self.accounting.accept(entry.signal, weight);
                    self.accounting.settle(entry.signal, weight, Shares { dead: weight, ..Shares::default() });
                    self.buried.extend(entry.spool_state().buried(written.dead));
                }
                records.truncate(usize::from(written.waits));
                let signal = entry.signal;
                self.tasks.extend(records.into_iter().map(|record| StoreTask::Complete(signal, record)));
            }
            (Err(_), Phase::Waiting) => {
                let delivered = entry.pieces == 0;
                let state = entry.spool_state();
                state.turn_down();
                // Delivered but for its dead letters: its client hears of them, as it would without a store.
                if let Some(why) = state.first_cause().filter(|_| delivered) {
                    self.hand_back(id, why);
                }
            }
            (Err(_), _) => {}
        }
        if self.open[id].pieces == 0 {
            self.end(id);
        }
    }

    /// The disk has what was left of a durable parcel in its place.
    pub(crate) fn replaced(&mut self, id: EntryId) {
        let entry = &mut self.open[id];
        let shares = entry.shares(entry.left(), entry.dead(usize::MAX));
        self.accounting.settle_durable(entry.signal, entry.weight, shares);
        self.buried.extend(entry.spool_state().buried(usize::MAX));
        self.remove(id);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::sync::oneshot;

    use super::*;
    use crate::delivery::inflight::piece::QueuedPiece;
    use crate::delivery::parcel::Undelivered;

    const RECORD: RecordId = RecordId(4);

    type Answered = oneshot::Receiver<Result<(), Undelivered>>;

    fn accepted(entries: &mut Entries) -> (QueuedPiece, Answered) {
        let body = otlp::Piece { body: Bytes::from_static(b"body"), items: 10 };
        let (reply, answer) = oneshot::channel();
        let entry = entries.accept(Some(reply), (Signal::Traces, 10, false), None, std::slice::from_ref(&body));
        (QueuedPiece { body: body.body, items: body.items, entry, sequence: 1, held: None }, answer)
    }

    /// Written while it waits: its client hears OK, its memory is free, and it comes back when it is its turn.
    #[test]
    fn what_the_disk_has_may_leave_the_memory() {
        let mut entries = Entries::default();
        let (piece, mut answer) = accepted(&mut entries);
        assert!(!entries.evict_if_durable(&piece, false), "only the memory has it");
        entries.begin_write(piece.entry, true);
        entries.written(piece.entry, Ok(vec![RECORD]), 17);
        entries.answer();
        assert_eq!(answer.try_recv(), Ok(Ok(())));
        assert_eq!((entries.accounting.spans.spilled, entries.accounting.spans.in_flight), (10, 0));
        assert_eq!(entries.accounting.oldest_spilled[Signal::Traces], Some(17));
        assert!(entries.evict_if_durable(&piece, true));
        assert_eq!(entries.tasks, [StoreTask::Release { signal: Signal::Traces, record: RECORD, defer: true }]);
        assert_eq!((entries.accounting.queue_bytes(), entries.open.len()), (0, 0));
    }

    /// Delivered while it was being written: the record is deleted, and nothing is counted twice.
    #[test]
    fn what_arrives_before_the_disk_answers_is_deleted_there() {
        let mut entries = Entries::default();
        let (piece, _answer) = accepted(&mut entries);
        entries.begin_write(piece.entry, true);
        entries.acknowledge(&piece, 0);
        assert_eq!(entries.accounting.spans.delivered, 10);
        entries.written(piece.entry, Ok(vec![RECORD]), 17);
        assert_eq!(entries.tasks, [StoreTask::Complete(Signal::Traces, RECORD)]);
        assert_eq!((entries.accounting.spans.delivered, entries.accounting.spans.spilled), (10, 0));
        assert!(entries.open.is_empty());
    }

    /// A disk that does not take it: the parcel stays in memory, and is not written again.
    #[test]
    fn what_the_disk_turns_down_stays_in_memory() {
        let mut entries = Entries::default();
        let (piece, mut answer) = accepted(&mut entries);
        entries.begin_write(piece.entry, true);
        entries.written(piece.entry, Err(NotKept::Full), 17);
        assert!(entries.get(piece.entry).was_turned_down() && !entries.evict_if_durable(&piece, false));
        entries.acknowledge(&piece, 0);
        entries.answer();
        assert_eq!((answer.try_recv(), entries.accounting.spans.delivered), (Ok(Ok(())), 10));
    }

    /// A record that was delivered in part is replaced by what is left of it.
    #[test]
    fn a_record_that_arrived_in_part_is_replaced_by_the_rest() {
        let mut entries = Entries::default();
        entries.accounting.accept(Signal::Traces, 10);
        entries.accounting.settle(Signal::Traces, 10, Shares { spilled: 10, ..Shares::default() });
        let body = Bytes::from_static(b"body");
        let record = Waiting { id: RECORD, signal: Signal::Traces, body: body.clone(), spans: 10, received: 17 };
        let halves = [6, 4].map(|items| otlp::Piece { body: body.clone(), items });
        let entry = entries.resume(&record, None, &halves);
        let [first, second] =
            [6, 4].map(|items| QueuedPiece { body: body.clone(), items, entry, sequence: 1, held: None });
        entries.acknowledge(&first, 0);
        assert!(entries.evict_if_durable(&second, false));
        assert_eq!(entries.tasks, [StoreTask::Replace(entry)]);
        let (replaced, remains) = entries.remains(entry).expect("it is durable");
        assert_eq!((replaced, remains.left, remains.dead.len()), (RECORD, vec![(body, 4)], 0));
        entries.replaced(entry);
        let spans = entries.accounting.spans;
        assert_eq!((spans.delivered, spans.spilled, entries.open.len()), (6, 4, 0));
        assert!(spans.holds());
    }
}
