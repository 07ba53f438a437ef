//! Every parcel that is in flight, the accounting, and the answers that go out once that is published. The accounting moves
//! in here and in [`durability`](super::durability), and nowhere else.

use slab::Slab;
use tokio::time::Instant;

use super::accounting::Accounting;
use super::entry::{Entry, Phase};
use super::piece::QueuedPiece;
use super::spool_state::{Dead, Part, StoreTask};
use crate::delivery::command::{EntryId, Reply};
use crate::delivery::parcel::Undelivered;
use crate::otlp::{self, Signal};
use crate::store::{Death, DeathReason};

/// What a destination has in hand.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    pub(super) open: Slab<Entry>,
    pub(crate) accounting: Accounting,
    pub(super) outbox: Vec<(Reply, Result<(), Undelivered>)>,
    /// What is to be asked of the store.
    pub(crate) tasks: Vec<StoreTask>,
    /// Dead letters that have come to the disk, not counted yet.
    pub(crate) buried: Vec<DeathReason>,
}

impl Entries {
    /// Takes a parcel in hand that goes out as `pieces`.
    pub(crate) fn accept(
        &mut self,
        reply: Option<Reply>,
        parcel: (Signal, u32, bool),
        deadline: Option<Instant>,
        pieces: &[otlp::Piece],
    ) -> EntryId {
        let count = self.hold(pieces);
        let entry = Entry::accepted(reply, parcel, deadline, count);
        self.accounting.accept(entry.signal, entry.weight);
        self.open.insert(entry)
    }

    /// The parcel that is called `id`.
    pub(crate) fn get(&self, id: EntryId) -> &Entry {
        &self.open[id]
    }

    /// Whether anything is in memory only.
    pub(crate) fn any_waits(&self) -> bool {
        self.open.iter().any(|(_, entry)| entry.is_waiting())
    }

    /// A piece was cut in two.
    pub(crate) fn cut(&mut self, piece: &QueuedPiece, halves: [&otlp::Piece; 2]) {
        self.open[piece.entry].pieces += 1;
        // Each half carries the resource and scope of the whole.
        halves.into_iter().for_each(|half| self.accounting.hold(half.body.len() as u64));
        self.accounting.free(piece.body.len() as u64);
    }

    /// The destination has a piece, of which it turned `rejected` items away.
    pub(crate) fn acknowledge(&mut self, piece: &QueuedPiece, rejected: u64) {
        let entry = &mut self.open[piece.entry];
        if entry.signal == Signal::Traces {
            entry.acknowledged += u64::from(piece.items);
            entry.rejected += rejected;
        } else {
            entry.acknowledged += 1;
        }
        self.release(piece);
    }

    /// A piece is a dead letter; `why` is for its client, if it cannot be written.
    pub(crate) fn bury(&mut self, piece: &QueuedPiece, death: Death, why: Undelivered) {
        let dead = Dead { body: piece.body.clone(), items: piece.items, death, why };
        self.open[piece.entry].spool_state().bury(dead);
        self.release(piece);
    }

    /// A piece of a durable parcel is dropped from memory; with `defer`, others go first when it is its turn again. `false`:
    /// only the memory has it, so it stays.
    pub(crate) fn evict_if_durable(&mut self, piece: &QueuedPiece, defer: bool) -> bool {
        let entry = &mut self.open[piece.entry];
        if !entry.is_durable() {
            return false;
        }
        entry.spool_state().evict(piece.body.clone(), piece.items, defer);
        self.release(piece);
        true
    }

    /// Settles a parcel with an error; pieces still out are not waited for. A debug destination has nobody to hand it
    /// back to: what was not acknowledged is discarded. What is on the disk stays there. `true`: it was still open.
    pub(crate) fn hand_back(&mut self, id: EntryId, why: Undelivered) -> bool {
        let entry = &mut self.open[id];
        if entry.phase != Phase::Waiting {
            return false;
        }
        entry.phase = Phase::Over;
        match entry.reply.take() {
            Some(reply) => {
                self.accounting.hand_back(entry.signal, entry.weight);
                self.outbox.push((reply, Err(why)));
            }
            None => {
                let delivered = if entry.signal == Signal::Traces { entry.acknowledged } else { 0 };
                self.accounting.discard(entry.signal, entry.weight, delivered);
                entry.acknowledged = 0;
            }
        }
        true
    }

    /// A piece is gone. With the last one its entry ends.
    pub(crate) fn release(&mut self, piece: &QueuedPiece) {
        self.leave(piece.entry, piece.body.len() as u64);
    }

    /// Pieces that never waited are gone: their parcel was turned away.
    pub(crate) fn turn_away(&mut self, id: EntryId, pieces: &[otlp::Piece]) {
        self.hand_back(id, Undelivered::Closed);
        pieces.iter().for_each(|piece| self.leave(id, piece.body.len() as u64));
    }

    /// Sends the answers that have gathered; publish the accounting before.
    pub(crate) fn answer(&mut self) {
        for (reply, answer) in self.outbox.drain(..) {
            // A client that has gone is not interested.
            let _ = reply.send(answer);
        }
    }

    /// These are in memory from now on: how many.
    pub(super) fn hold(&mut self, pieces: &[otlp::Piece]) -> u32 {
        self.accounting.hold(pieces.iter().map(|piece| piece.body.len() as u64).sum());
        u32::try_from(pieces.len()).unwrap_or(u32::MAX)
    }

    fn leave(&mut self, id: EntryId, bytes: u64) {
        self.accounting.free(bytes);
        let entry = &mut self.open[id];
        entry.pieces -= 1;
        if entry.pieces == 0 {
            self.end(id);
        }
    }

    /// Nothing of it is out any more.
    pub(super) fn end(&mut self, id: EntryId) {
        let entry = &self.open[id];
        let writing = entry.spool_state.as_ref().is_some_and(|state| state.is_writing());
        let dead = entry.dead(1).exists;
        match entry.phase {
            Phase::Waiting if dead && !writing => self.tasks.push(StoreTask::Bury(id)),
            Phase::Waiting if dead => {}
            Phase::Waiting => {
                self.deliver(id);
                if !writing {
                    self.remove(id);
                }
            }
            // What is being written is to be taken off the disk again.
            Phase::Over if writing => {}
            Phase::Over => self.remove(id),
            Phase::Durable(record) if !dead && !entry.left().exists => {
                let shares = entry.shares(Part::NONE, Part::NONE);
                self.accounting.settle_durable(entry.signal, entry.weight, shares);
                self.tasks.push(StoreTask::Complete(entry.signal, record));
                self.remove(id);
            }
            Phase::Durable(record) if !dead && entry.acknowledged == 0 => {
                let defer = entry.spool_state.as_ref().is_some_and(|state| state.is_deferred());
                self.tasks.push(StoreTask::Release { signal: entry.signal, record, defer });
                self.remove(id);
            }
            Phase::Durable(_) => self.tasks.push(StoreTask::Replace(id)),
        }
    }

    /// Every piece was acknowledged.
    fn deliver(&mut self, id: EntryId) {
        let entry = &mut self.open[id];
        if entry.is_withdrawn() {
            self.hand_back(id, Undelivered::Closed);
            return;
        }
        entry.phase = Phase::Over;
        entry.acknowledged = 0;
        let shares = entry.shares(Part::NONE, Part::NONE);
        self.accounting.settle(entry.signal, entry.weight, shares);
        if let Some(reply) = entry.reply.take() {
            self.outbox.push((reply, Ok(())));
        }
    }

    /// What the destination acknowledged of a parcel that was handed back is counted as late.
    pub(super) fn remove(&mut self, id: EntryId) {
        let entry = self.open.remove(id);
        if entry.phase == Phase::Over && entry.signal == Signal::Traces {
            self.accounting.delivered_late += entry.acknowledged;
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::sync::oneshot;
    use tokio::sync::oneshot::error::TryRecvError;

    use super::*;

    type Answered = oneshot::Receiver<Result<(), Undelivered>>;

    /// A parcel of ten spans in two pieces of five, of three bytes each.
    fn two_pieces(entries: &mut Entries) -> (Vec<QueuedPiece>, Answered) {
        let halves =
            [Bytes::from_static(b"one"), Bytes::from_static(b"two")].map(|body| otlp::Piece { body, items: 5 });
        let (reply, answer) = oneshot::channel();
        let entry = entries.accept(Some(reply), (Signal::Traces, 10, false), None, &halves);
        let piece = |(sequence, half): (usize, otlp::Piece)| QueuedPiece {
            body: half.body,
            items: half.items,
            entry,
            sequence: sequence as u64,
            held: None,
        };
        (halves.into_iter().enumerate().map(piece).collect(), answer)
    }

    /// The client hears nothing before the last piece has arrived, and nothing before the accounting is published.
    #[test]
    fn a_parcel_is_settled_once_as_a_whole() {
        let mut entries = Entries::default();
        let (pieces, mut answer) = two_pieces(&mut entries);
        assert_eq!((entries.accounting.queue_bytes(), entries.any_waits()), (6, true));
        entries.acknowledge(&pieces[0], 2);
        entries.answer();
        assert_eq!((entries.accounting.spans.in_flight, answer.try_recv()), (10, Err(TryRecvError::Empty)));
        entries.acknowledge(&pieces[1], 0);
        let spans = entries.accounting.spans;
        assert_eq!((spans.delivered, spans.rejected, spans.in_flight), (8, 2, 0));
        assert_eq!(answer.try_recv(), Err(TryRecvError::Empty));
        entries.answer();
        assert_eq!(answer.try_recv(), Ok(Ok(())));
        assert!(entries.accounting.queue_bytes() == 0 && entries.open.is_empty() && entries.tasks.is_empty());
    }

    /// Pieces that arrive after their parcel was handed back are late, and nothing is settled twice.
    #[test]
    fn what_arrives_after_the_parcel_was_handed_back_is_late() {
        let mut entries = Entries::default();
        let (pieces, mut answer) = two_pieces(&mut entries);
        assert!(entries.hand_back(pieces[0].entry, Undelivered::Closed));
        assert!(!entries.hand_back(pieces[0].entry, Undelivered::Closed), "once");
        entries.acknowledge(&pieces[0], 0);
        entries.release(&pieces[1]);
        entries.answer();
        assert_eq!(answer.try_recv(), Ok(Err(Undelivered::Closed)));
        assert_eq!((entries.accounting.delivered_late, entries.accounting.spans.accepted), (5, 0));
        assert!(entries.open.is_empty());
    }

    /// A client that has gone by the time its parcel arrives will send it again: it is not counted as delivered.
    #[test]
    fn a_parcel_whose_client_has_gone_is_not_delivered() {
        let mut entries = Entries::default();
        let (pieces, answer) = two_pieces(&mut entries);
        drop(answer);
        pieces.iter().for_each(|piece| entries.acknowledge(piece, 0));
        assert_eq!((entries.accounting.spans.delivered, entries.accounting.delivered_late), (0, 10));
    }

    /// A piece that is cut counts with the bytes of its halves; dead letters wait for the disk when the rest has arrived.
    #[test]
    fn a_piece_that_is_cut_counts_as_its_halves_and_the_dead_one_is_buried_last() {
        let mut entries = Entries::default();
        let (pieces, _answer) = two_pieces(&mut entries);
        let half = |body| otlp::Piece { body: Bytes::from_static(body), items: 2 };
        let halves = [half(b"left"), half(b"right")];
        entries.cut(&pieces[0], [&halves[0], &halves[1]]);
        assert_eq!(entries.accounting.queue_bytes(), 3 + 4 + 5);
        let [left, right] = halves.map(|half| QueuedPiece { body: half.body, items: half.items, ..pieces[0].clone() });
        let death = Death {
            reason: DeathReason::Rejected,
            code: String::new(),
            message: String::new(),
            attempts: 1,
            first: 1,
            last: 1,
            chains: Vec::new(),
            operations: Vec::new(),
        };
        entries.bury(&left, death, Undelivered::Closed);
        entries.acknowledge(&right, 0);
        assert!(entries.tasks.is_empty(), "a piece is still out");
        entries.acknowledge(&pieces[1], 0);
        assert_eq!(entries.tasks, [StoreTask::Bury(left.entry)]);
        assert_eq!(entries.accounting.queue_bytes(), 0);
    }
}
