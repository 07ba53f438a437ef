//! What the end of an attempt means: for the parcels in it, for the connection, for the destination.

use tokio::time::Instant;

use super::Undelivered;
use super::actor::Actor;
use super::backlog::Backlog;
use super::breaker::Event;
use super::caller::Finished;
use super::isolate::{Division, by_parcel, by_span};
use super::keeping::Dead;
use super::letter::describe;
use super::queue::{Batch, Piece};
use super::response::Answer;
use super::retry::{Failure, Judgement, code_name};
use super::slot::Rest;
use crate::clock::unix_nano;
use crate::store::{Death, DeathReason};

impl Actor {
    /// Takes note of an attempt's end.
    pub(crate) fn settle(&mut self, index: usize, end: Finished, now: Instant) {
        let slot = &mut self.slots[index];
        (slot.link, slot.sending) = (end.link, None);
        self.breaker.ended(index);
        self.lanes.ended(index);
        let Some(mut batch) = slot.work.pop() else { return };
        let failure = match end.outcome {
            Ok(answer) => {
                let signal = batch.signal;
                self.acknowledged(batch, &answer);
                self.taken(signal, now);
                self.succeeded(index, now);
                return;
            }
            Err(failure) => failure,
        };
        match failure.judgement() {
            Judgement::Retry => {
                if failure.is_ambiguous() {
                    batch.pieces = self.without_doubtful(batch.pieces, &failure);
                }
                self.attempted(&batch);
                self.again(index, batch);
                self.failed(index, &failure, Event::Failed, now);
            }
            Judgement::Misconfigured => {
                // Other signals may be taken: they go first the next time.
                self.attempted(&batch);
                self.put_back(batch.signal, batch.pieces, true);
                self.failed(index, &failure, Event::Misconfigured, now);
            }
            Judgement::Untaken => {
                self.attempted(&batch);
                self.untaken(batch, &failure, now);
            }
            Judgement::TooLarge | Judgement::Permanent => self.refused(index, batch, &failure, now),
        }
    }

    fn acknowledged(&mut self, batch: Batch, answer: &Answer) {
        let items: u64 = batch.pieces.iter().map(|piece| u64::from(piece.items)).sum();
        let rejected = answer.rejected.min(items);
        self.meters.acknowledged(batch.signal, items, rejected, &answer.message);
        // The destination does not say whose spans it turned away: the oldest parcels bear it.
        let mut left = rejected;
        for piece in batch.pieces {
            let share = left.min(u64::from(piece.items));
            left -= share;
            self.tickets.books.queue_bytes -= piece.body.len() as u64;
            self.tickets.acknowledge(piece.ticket, piece.items, share);
        }
    }

    /// To be sent again; what the disk has is dropped from memory meanwhile.
    fn again(&mut self, index: usize, mut batch: Batch) {
        let (kept, left): (Vec<Piece>, _) =
            batch.pieces.into_iter().partition(|piece| self.tickets.is_kept(piece.ticket));
        self.put_back(batch.signal, kept, false);
        batch.pieces = left;
        if !batch.pieces.is_empty() {
            self.slots[index].work.push(batch);
        }
    }

    /// The destination does not want this: it is divided, or it is the offender. Unless it wants nothing at all.
    fn refused(&mut self, index: usize, batch: Batch, failure: &Failure, now: Instant) {
        self.meters.failed(failure, failure.judgement());
        self.attempted(&batch);
        let items = batch.pieces.iter().map(|piece| u64::from(piece.items)).sum();
        let blamed = self.keeper.is_some() && (self.refusals.add(items) || self.breaker.is_refusing());
        if blamed {
            self.put_back(batch.signal, batch.pieces, true);
            self.failed(index, failure, Event::RefusesAll, now);
            return;
        }
        self.turn(Event::Refused, now, None);
        let before = batch.bytes();
        let whole = batch.pieces.len() == 1 && !self.is_keepable(&batch);
        let division = match failure.judgement() {
            Judgement::TooLarge => by_span(batch, &mut self.tickets),
            _ if self.keeper.is_some() && !whole => by_span(batch, &mut self.tickets),
            _ => by_parcel(batch),
        };
        match division {
            Division::Halves(first, second) => {
                if failure.judgement() == Judgement::TooLarge {
                    self.limit.shrink(before, now);
                }
                // Halves of one parcel each carry its resource and scope.
                let books = &mut self.tickets.books;
                books.queue_bytes = books.queue_bytes + (first.bytes() + second.bytes()) as u64 - before as u64;
                self.slots[index].work.extend([second, first]);
            }
            Division::Alone(batch) => self.offends(batch, failure),
        }
    }

    /// Whether a refused part of it can be put among the dead letters.
    fn is_keepable(&self, batch: &Batch) -> bool {
        self.keeper.is_some() && batch.pieces.iter().all(|piece| !self.tickets.once(piece.ticket))
    }

    /// The offender alone. It becomes a dead letter; where there is no place for one, its client hears the destination's own
    /// words.
    fn offends(&mut self, batch: Batch, failure: &Failure) {
        let keepable = self.is_keepable(&batch);
        let reason =
            if failure.judgement() == Judgement::TooLarge { DeathReason::TooLarge } else { DeathReason::Rejected };
        for piece in batch.pieces {
            self.tickets.books.queue_bytes -= piece.body.len() as u64;
            let code = failure.code.unwrap_or(tonic::Code::Unknown);
            let why = Undelivered::Rejected { destination: self.name.clone(), code, message: failure.message.clone() };
            if keepable {
                let now = unix_nano();
                let (attempts, first) = self.tickets.attempts(piece.ticket, now);
                let about = describe(batch.signal, &piece.body);
                let death = Death {
                    reason,
                    code: code_name(code).to_owned(),
                    message: failure.message.clone(),
                    attempts,
                    first,
                    last: now,
                    chains: about.chains,
                    operations: about.operations,
                };
                self.tickets.refuse(piece.ticket, Dead { body: piece.body, items: piece.items, death, why });
            } else {
                self.tickets.hand_back(piece.ticket, why);
                self.tickets.release(piece.ticket);
            }
        }
    }

    /// Counts an attempt for everything in `batch`; only where there may be dead letters.
    fn attempted(&mut self, batch: &Batch) {
        if self.keeper.is_some() {
            let now = unix_nano();
            let mut last = None;
            for piece in &batch.pieces {
                if last != Some(piece.ticket) {
                    self.tickets.attempted(piece.ticket, now);
                }
                last = Some(piece.ticket);
            }
        }
    }

    /// What may be sent again after an attempt that may have arrived; the rest is handed back.
    fn without_doubtful(&mut self, pieces: Vec<Piece>, failure: &Failure) -> Vec<Piece> {
        let (doubtful, left) = pieces.into_iter().partition(|piece| self.tickets.once(piece.ticket));
        let why = || Undelivered::Ambiguous { destination: self.name.clone(), last_error: failure.to_string() };
        let doubtful: Vec<Piece> = doubtful;
        for piece in doubtful {
            self.tickets.hand_back(piece.ticket, why());
            self.tickets.books.queue_bytes -= piece.body.len() as u64;
            self.tickets.release(piece.ticket);
        }
        left
    }

    /// The destination works. If it had been down, the other connections need not sit out their pauses.
    fn succeeded(&mut self, index: usize, now: Instant) {
        self.slots[index].failures = 0;
        self.refusals.reset(now);
        if self.breaker.is_refusing() {
            self.refusals.rehabilitate(now);
        }
        self.limit.grow(now);
        self.turn(Event::Succeeded, now, None);
        if let Some(keeper) = &mut self.keeper {
            keeper.backlogs.values_mut().for_each(Backlog::hopeful);
        }
        let books = &mut self.tickets.books;
        let failures = std::mem::take(&mut books.failures);
        if failures == 0 {
            return;
        }
        books.last_error = None;
        self.meters.recovered(failures);
        if failures > 1 {
            for rest in self.slots.iter_mut().filter_map(|slot| slot.rest.as_mut()).filter(|rest| !rest.asked) {
                rest.until = now;
            }
        }
    }

    /// The destination does not work, or not now: its connection pauses.
    pub(crate) fn failed(&mut self, index: usize, failure: &Failure, event: Event, now: Instant) {
        if event != Event::RefusesAll {
            self.meters.failed(failure, failure.judgement());
        }
        let books = &mut self.tickets.books;
        books.failures = books.failures.saturating_add(1);
        books.last_error = Some(failure.to_string().into());
        let slot = &mut self.slots[index];
        slot.failures = slot.failures.saturating_add(1);
        let pause = self.backoff.pause(slot.failures, fastrand::f64());
        let asked = failure.retry_after.map(|delay| now + delay);
        self.not_before = self.not_before.max(asked);
        let until = asked.map_or(now + pause, |asked| asked.max(now + pause));
        slot.rest = Some(Rest { until, asked: asked.is_some() });
        self.turn(event, now, asked);
    }

    /// Tells the breaker, and does what its new state means.
    pub(crate) fn turn(&mut self, event: Event, now: Instant, asked: Option<Instant>) {
        if !self.breaker.on(event, now, asked, fastrand::f64()) {
            return;
        }
        self.turned(now);
    }

    /// The breaker has changed.
    pub(crate) fn turned(&mut self, now: Instant) {
        let why = self.tickets.books.last_error.as_deref().unwrap_or_default();
        self.meters.turned(self.breaker.state(), why);
        if self.breaker.wakes().is_none() {
            return;
        }
        // Its time holds now, not those of the connections. What the disk has, or will have soon, need not wait in memory.
        self.refusals.reset(now);
        for slot in &mut self.slots {
            slot.rest = slot.rest.filter(|rest| rest.asked);
        }
        if self.keeper.is_none() {
            return;
        }
        for index in 0..self.slots.len() {
            self.make_way(index, |_| true);
        }
        let ready = self.keeper.as_mut().map(|keeper| std::mem::take(&mut keeper.ready)).unwrap_or_default();
        for (signal, lane) in ready.into_lanes() {
            self.put_back(signal, lane.into(), false);
        }
        self.spill_due = Some(now);
    }
}
