//! The end. What can be delivered in time is; where there is a store, what is left then is written, and nothing of what
//! clients were promised is lost. Where there is none it goes back to them.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Undelivered;
use super::actor::Actor;
use super::queue::Piece;
use super::slot::Slot;
use super::tickets::TicketId;
use crate::otlp::PerSignal;

/// So much of the time is kept for the disk.
const FOR_THE_DISK: Duration = Duration::from_millis(1_500);

/// Somebody waits for the end.
#[derive(Debug)]
pub(crate) struct Draining {
    pub(crate) deadline: Instant,
    /// From when on everything is written rather than sent.
    spill_at: Instant,
    done: oneshot::Sender<bool>,
}

impl Draining {
    pub(crate) fn new(deadline: Instant, now: Instant, done: oneshot::Sender<bool>) -> Self {
        let left = deadline.saturating_duration_since(now);
        Self { deadline, spill_at: deadline - FOR_THE_DISK.min(left / 2), done }
    }
}

impl Actor {
    /// When the drain has something to do.
    pub(crate) fn drain_due(&self, now: Instant) -> Option<Instant> {
        let times = self.draining.iter().flat_map(|draining| [draining.spill_at, draining.deadline]);
        times.filter(|time| *time > now).min()
    }

    /// Ends, if somebody waits for that and nothing more is to be done, or can be.
    pub(crate) fn finish_drain(&mut self, now: Instant) {
        let Some(deadline) = self.draining.iter().map(|draining| draining.deadline).min() else { return };
        // A destination that is left alone would not be tried before the end: there is nothing to wait for.
        let late = self.draining.iter().any(|draining| draining.spill_at <= now);
        let given_up = self.keeper.is_some() && (late || !self.breaker.is_closed());
        // The same holds for a signal that it does not take.
        let alone = PerSignal::from_fn(|signal| given_up || (self.keeper.is_some() && self.is_left_alone(signal)));
        if alone.values().any(|alone| *alone) {
            self.spill(now, given_up);
            self.give_up_deltas(alone, late);
            self.ask(now);
        }
        let waited_for = |slot: &Slot| slot.work.last().is_some_and(|batch| !alone[batch.signal]);
        let sending = self.slots.iter().any(|slot| slot.sending.is_some() && waited_for(slot));
        let idle = match self.keeper {
            Some(_) => !self.tickets.anything_waits() && !sending,
            None => self.queue.is_empty() && !self.slots.iter().any(|slot| slot.has_work()),
        };
        if !idle && now < deadline {
            return;
        }
        self.closed = true;
        let empty = !self.give_up(now) && self.clean;
        self.publish();
        for Draining { done, .. } in self.draining.drain(..) {
            // Whoever asked may have stopped waiting.
            let _ = done.send(empty);
        }
    }

    /// What must not be sent twice is not written, and of signals that are left `alone` will not be sent any more; what is on
    /// its way has until it is `late`.
    fn give_up_deltas(&mut self, alone: PerSignal<bool>, late: bool) {
        let slots = self.slots.iter().filter(|slot| late || slot.sending.is_none());
        let pieces = self.queue.iter().chain(slots.flat_map(|slot| slot.work.iter().flat_map(|batch| &batch.pieces)));
        let lost = |ticket: &TicketId| self.tickets.once(*ticket) && alone[self.tickets.signal(*ticket)];
        let once: Vec<_> = pieces.map(|piece| piece.ticket).filter(lost).collect();
        self.withdrawn |= !once.is_empty();
        once.into_iter().for_each(|ticket| _ = self.tickets.hand_back(ticket, Undelivered::Closed));
    }

    /// Has everything written that clients still wait for or, without a store, hands it back; what is measured here goes on.
    /// `true`: something was handed back.
    pub(crate) fn let_go(&mut self, now: Instant) -> bool {
        if self.keeper.is_some() {
            self.spill(now, true);
            self.ask(now);
            return false;
        }
        let pieces =
            self.queue.iter().chain(self.slots.iter().flat_map(|slot| &slot.work).flat_map(|batch| &batch.pieces));
        let waiting: Vec<_> = pieces.map(|piece| piece.ticket).filter(|ticket| !self.tickets.once(*ticket)).collect();
        let mut handed_back = false;
        for ticket in waiting {
            handed_back |= self.tickets.hand_back(ticket, Undelivered::Closed);
        }
        self.withdrawn |= handed_back;
        handed_back
    }

    /// Lets go of everything. `true`: something had to be handed back that its client was waiting for.
    fn give_up(&mut self, now: Instant) -> bool {
        let mut pieces: Vec<Piece> = Vec::new();
        let ready = self.keeper.as_mut().map(|keeper| std::mem::take(&mut keeper.ready));
        for queue in ready.into_iter().chain([std::mem::take(&mut self.queue)]) {
            pieces.extend(queue.into_lanes().flat_map(|(_, lane)| lane));
        }
        for slot in &mut self.slots {
            slot.sending = None;
            pieces.extend(slot.work.drain(..).flat_map(|batch| batch.pieces));
        }
        let mut handed_back = false;
        for piece in pieces {
            self.tickets.books.queue_bytes -= piece.body.len() as u64;
            if self.tickets.is_kept(piece.ticket) {
                self.tickets.drop_kept(piece.ticket, piece.body, piece.items, false);
                continue;
            }
            handed_back |= self.tickets.hand_back(piece.ticket, Undelivered::Closed)
                && !(self.keeper.is_some() && self.tickets.once(piece.ticket));
            self.tickets.release(piece.ticket);
        }
        self.ask(now);
        handed_back
    }
}
