//! From the disk to the destination: the backlog drains by itself, oldest first, at most one request's worth ahead of what
//! is being sent. While the destination is left alone nothing is read, except for the one request that tries it.

use std::time::Duration;

use tokio::time::Instant;

use super::BreakerState;
use super::actor::Actor;
use super::clock::unix_nano;
use super::destination::cut_to_size;
use super::keeper::Keeper;
use super::queue::{Batch, Piece};
use crate::store::{Reason, Waiting};

impl Actor {
    /// Reads ahead, if there is something to read and somebody to send it to.
    pub(crate) fn fetch(&mut self, now: Instant) {
        let held = self.closed || !self.draining.is_empty() || self.not_before.is_some_and(|allowed| now < allowed);
        let idle = || self.queue.is_empty() && self.slots.iter().all(|slot| slot.work.is_empty());
        let wanted = |keeper: &Keeper| match self.breaker.state() {
            _ if held => false,
            BreakerState::Closed => keeper.backlog.ready.bytes() < self.max_request_bytes,
            BreakerState::HalfOpen => keeper.backlog.ready.is_empty() && idle(),
            BreakerState::Open => false,
        };
        let wanted = self.keeper.as_ref().is_some_and(wanted);
        if let (Some(keeper), true) = (&mut self.keeper, wanted) {
            keeper.read(self.max_request_bytes, now);
        }
    }

    /// Takes up what has been read.
    pub(crate) fn take_up(&mut self, now: Instant) {
        let Some((aim, read)) = self.keeper.as_mut().and_then(Keeper::take) else { return };
        let (records, damaged) = match read {
            Ok(read) => read,
            Err(error) => {
                self.meters.unreadable(&error);
                self.keeper.iter_mut().for_each(|keeper| keeper.failed(now));
                return;
            }
        };
        self.tickets.books.damaged(&damaged);
        self.meters.died(Reason::CorruptRecord, damaged.records);
        if self.closed {
            return;
        }
        if let Some(first) = records.first() {
            self.tickets.books.oldest_kept = Some(first.received);
        }
        let chosen = self.keeper.as_mut().map(|keeper| keeper.backlog.choose(aim, records, now));
        chosen.into_iter().flatten().for_each(|record| self.resume(record, now));
    }

    /// A record waits in memory again.
    fn resume(&mut self, record: Waiting, now: Instant) {
        let age = Duration::from_nanos(unix_nano().saturating_sub(record.received));
        let deadline = self.patience.map(|patience| now + patience.saturating_sub(age));
        let whole = record.body.clone();
        let pieces = cut_to_size(record.signal, record.body.clone(), record.spans, self.limit.bytes());
        let count = u32::try_from(pieces.len()).unwrap_or(u32::MAX);
        let ticket = self.tickets.recall(&record, deadline, count);
        self.earliest_deadline = self.earliest_deadline.into_iter().chain(deadline).min();
        let cut = pieces.len() > 1;
        for piece in pieces {
            self.sequence += 1;
            let (body, items, sequence) = (piece.body, piece.items, self.sequence);
            let held = cut.then(|| whole.clone());
            self.tickets.books.queue_bytes += body.len() as u64;
            if let Some(keeper) = &mut self.keeper {
                keeper.backlog.ready.push(record.signal, Piece { body, items, ticket, sequence, held });
            }
        }
    }

    /// The next batch to send. Where live traffic waits beside the backlog they take turns, and the backlog has no more
    /// than half of the connections.
    pub(crate) fn next_batch(&mut self) -> Option<Batch> {
        let max = self.limit.bytes();
        let stored =
            self.draining.is_empty() && self.keeper.as_ref().is_some_and(|keeper| !keeper.backlog.ready.is_empty());
        let live = !self.queue.is_empty();
        if stored && (!live || (self.stored_turn && self.has_room_for_stored())) {
            self.stored_turn = false;
            let batch = self.keeper.as_mut()?.backlog.ready.take(max)?;
            return Some(Batch { kept: true, ..batch });
        }
        self.stored_turn = stored;
        self.queue.take(max)
    }

    fn has_room_for_stored(&self) -> bool {
        let of_backlog = |slot: &&super::slot::Slot| slot.work.last().is_some_and(|batch| batch.kept);
        let busy = self.slots.iter().filter(of_backlog).count();
        busy < self.slots.len().div_ceil(2)
    }
}
