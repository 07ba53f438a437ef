//! What it means that a destination does not take one signal: that signal waits, on the disk where there is one, and stands
//! in nobody's way. Its connection is free for others, and the destination's own breaker hears that it answered.

use tokio::time::Instant;

use super::actor::Actor;
use super::breaker::Event;
use super::queue::Batch;
use super::retry::{Failure, Judgement};
use super::{Signal, Undelivered};
use crate::config::Role;
use crate::otlp::PerSignal;

impl Actor {
    /// Of which signals something may go out now, as far as they are concerned.
    pub(crate) fn admitted(&self) -> PerSignal<bool> {
        let mut in_flight = PerSignal::<usize>::default();
        for slot in self.slots.iter().filter(|slot| slot.sending.is_some()) {
            slot.work.last().into_iter().for_each(|batch| in_flight[batch.signal] += 1);
        }
        PerSignal::from_fn(|signal| self.lanes.admits(signal, in_flight[signal]))
    }

    /// Whether nothing of `signal` is sent at the moment: what waits of it has the disk, or nothing.
    pub(crate) fn is_left_alone(&self, signal: Signal) -> bool {
        !self.breaker.is_closed() || !self.lanes.is_closed(signal)
    }

    /// A batch was answered with "there is no such service".
    pub(crate) fn untaken(&mut self, batch: Batch, failure: &Failure, now: Instant) {
        let signal = batch.signal;
        self.meters.failed(failure, Judgement::Untaken);
        let asked = failure.retry_after.map(|delay| now + delay);
        if self.lanes.refused(signal, now, asked, fastrand::f64()) {
            self.meters.untaken(signal, failure);
        }
        self.tickets.books.untaken[signal] = Some(failure.to_string().into());
        self.turn(Event::Refused, now, None);
        self.put_back(signal, batch.pieces, false);
        self.park(signal, now);
    }

    /// A batch of `signal` was taken.
    pub(crate) fn taken(&mut self, signal: Signal, now: Instant) {
        if self.lanes.taken(signal, now) {
            self.tickets.books.untaken[signal] = None;
            self.meters.taken(signal);
        }
    }

    /// Nothing of `signal` waits in the hands of a connection, or was read too early; what is not on the disk gets there.
    fn park(&mut self, signal: Signal, now: Instant) {
        for index in 0..self.slots.len() {
            self.make_way(index, |batch| batch.signal == signal);
        }
        let Some(keeper) = &mut self.keeper else { return };
        let ready = keeper.ready.take_lane(signal);
        self.put_back(signal, ready.into(), false);
        self.spill_due = Some(now);
    }

    /// Connection `index` has no work of the kind that is `unwanted`, but for what is on its way.
    pub(crate) fn make_way(&mut self, index: usize, unwanted: impl Fn(&Batch) -> bool) {
        let slot = &mut self.slots[index];
        let still = slot.work.len() - usize::from(slot.sending.is_some());
        if !slot.work[..still].iter().any(&unwanted) {
            return;
        }
        let on_its_way = slot.work.split_off(still);
        let (back, stay): (Vec<Batch>, _) = slot.work.drain(..).partition(unwanted);
        slot.work.extend(stay);
        slot.work.extend(on_its_way);
        for batch in back {
            self.put_back(batch.signal, batch.pieces, false);
        }
    }

    /// Whether `bytes` of `signal` find room. Only a debug destination lacks it; what it does not take makes room for what it
    /// takes.
    pub(crate) fn has_room(&mut self, signal: Signal, bytes: u64) -> bool {
        let (role, max) = (self.role, self.debug_queue_bytes);
        let fits = |actor: &Self| role != Role::Debug || actor.tickets.books.queue_bytes + bytes <= max;
        if !fits(self) && self.lanes.is_closed(signal) {
            self.drop_untaken();
        }
        fits(self)
    }

    fn drop_untaken(&mut self) {
        for signal in Signal::ALL.into_iter().filter(|signal| !self.lanes.is_closed(*signal)) {
            for piece in self.queue.take_lane(signal) {
                self.tickets.books.queue_bytes -= piece.body.len() as u64;
                self.tickets.hand_back(piece.ticket, Undelivered::Closed);
                self.tickets.release(piece.ticket);
            }
        }
    }
}
