//! From the disk to the destination: the backlog drains by itself, oldest first, at most one request's worth ahead of what
//! is being sent, the signals in turns. While the destination, or a signal, is left alone nothing of it is read, except for
//! the one request that tries it.

use std::time::Duration;

use tokio::time::Instant;

use super::BreakerState;
use super::actor::Actor;
use super::destination::cut_to_size;
use super::keeper::Keeper;
use super::queue::{Batch, Piece};
use crate::clock::unix_nano;
use crate::otlp::PerSignal;
use crate::store::{DeathReason, Waiting};

impl Actor {
    /// Reads ahead, if there is something to read and somebody to send it to.
    pub(crate) fn fetch(&mut self, now: Instant) {
        let held = self.closed || !self.draining.is_empty() || self.not_before.is_some_and(|allowed| now < allowed);
        let Some(keeper) = self.keeper.as_ref().filter(|keeper| !held && keeper.may_read(now)) else { return };
        let wanted = self.wanted(keeper);
        if let Some(keeper) = &mut self.keeper {
            keeper.read(wanted, self.max_request_bytes);
        }
    }

    /// Of which signals there is somebody to send it to.
    fn wanted(&self, keeper: &Keeper) -> PerSignal<bool> {
        use BreakerState::{Closed, HalfOpen, Open};
        let room = keeper.ready.bytes() < self.max_request_bytes;
        let working = |signal| self.slots.iter().any(|slot| slot.work.iter().any(|batch| batch.signal == signal));
        let idle = || {
            let busy = self.slots.iter().any(|slot| !slot.work.is_empty());
            !busy && keeper.ready.is_empty() && !self.queue.has_any(self.admitted())
        };
        PerSignal::from_fn(|signal| match (self.breaker.state(), self.lanes.state(signal)) {
            (Open, _) | (_, Open) => false,
            (HalfOpen, Closed | HalfOpen) => idle(),
            (Closed, Closed) => room,
            (Closed, HalfOpen) => {
                let alone = PerSignal::from_fn(|other| other == signal);
                !working(signal) && !keeper.ready.has_any(alone) && !self.queue.has_any(alone)
            }
        })
    }

    /// Takes up what has been read.
    pub(crate) fn take_up(&mut self, now: Instant) {
        let Some((signal, aim, read)) = self.keeper.as_mut().and_then(Keeper::take) else { return };
        let read = match read {
            Ok(read) => read,
            Err(error) => {
                self.meters.unreadable(&error);
                self.keeper.iter_mut().for_each(|keeper| keeper.failed(now));
                return;
            }
        };
        self.tickets.books.damaged(&read.damaged);
        self.meters.died(DeathReason::CorruptRecord, read.damaged.records);
        let Some(keeper) = self.keeper.as_mut().filter(|_| !self.closed) else { return };
        if let Some(first) = read.waiting.first() {
            self.tickets.books.oldest_kept[signal] = Some(first.received);
        }
        let backlog = keeper.backlog(signal);
        let chosen = backlog.choose(aim, read, now);
        if self.lanes.state(signal) == BreakerState::Open {
            // It was asked for before we knew that nobody would take it.
            chosen.into_iter().for_each(|record| backlog.back(record.id, false));
            return;
        }
        chosen.into_iter().for_each(|record| self.resume(record, now));
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
                keeper.ready.push(record.signal, Piece { body, items, ticket, sequence, held });
            }
        }
    }

    /// The next batch to send. Where live traffic waits beside the backlog they take turns, and the backlog has no more
    /// than half of the connections.
    pub(crate) fn next_batch(&mut self) -> Option<Batch> {
        let (max, admitted) = (self.limit.bytes(), self.admitted());
        let read = self.keeper.as_ref().is_some_and(|keeper| keeper.ready.has_any(admitted));
        let stored = read && self.draining.is_empty();
        let live = self.queue.has_any(admitted);
        if stored && (!live || (self.stored_turn && self.has_room_for_stored())) {
            self.stored_turn = false;
            let batch = self.keeper.as_mut()?.ready.take(max, admitted)?;
            return Some(Batch { kept: true, ..batch });
        }
        self.stored_turn = stored;
        self.queue.take(max, admitted)
    }

    fn has_room_for_stored(&self) -> bool {
        let of_backlog = |slot: &&super::slot::Slot| slot.work.last().is_some_and(|batch| batch.kept);
        let busy = self.slots.iter().filter(of_backlog).count();
        busy < self.slots.len().div_ceil(2)
    }
}
