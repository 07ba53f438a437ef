//! What the end of an attempt means: for the parcels in it, for the connection, for the destination.

use tokio::time::Instant;

use super::Undelivered;
use super::actor::Actor;
use super::caller::Finished;
use super::isolate::{Division, by_parcel, by_size};
use super::queue::{Batch, Piece};
use super::response::Answer;
use super::retry::{Failure, Judgement};
use super::slot::Rest;

impl Actor {
    /// Takes note of an attempt's end.
    pub(crate) fn settle(&mut self, index: usize, end: Finished, now: Instant) {
        let slot = &mut self.slots[index];
        slot.link = end.link;
        let Some(mut batch) = slot.work.pop() else { return };
        let failure = match end.outcome {
            Ok(answer) => {
                self.acknowledged(batch, &answer);
                self.succeeded(index, now);
                return;
            }
            Err(failure) => failure,
        };
        let before = batch.bytes() as u64;
        let division = match failure.judgement() {
            Judgement::Retry | Judgement::Misconfigured => {
                if failure.is_ambiguous() {
                    batch.pieces = self.without_doubtful(batch.pieces, &failure);
                }
                if !batch.pieces.is_empty() {
                    self.slots[index].work.push(batch);
                }
                self.failed(index, &failure, now);
                return;
            }
            Judgement::TooLarge => by_size(batch, &mut self.tickets),
            Judgement::Permanent => by_parcel(batch),
        };
        self.meters.failed(&failure, failure.judgement());
        match division {
            Division::Halves(first, second) => {
                // Halves of one parcel each carry its resource and scope.
                let books = &mut self.tickets.books;
                books.queue_bytes = books.queue_bytes + (first.bytes() + second.bytes()) as u64 - before;
                self.slots[index].work.extend([second, first]);
            }
            Division::Alone(batch) => self.rejected(batch, &failure),
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

    /// The offender alone: its client hears the destination's own words.
    fn rejected(&mut self, batch: Batch, failure: &Failure) {
        for piece in batch.pieces {
            let why = Undelivered::Rejected {
                destination: self.name.clone(),
                code: failure.code.unwrap_or(tonic::Code::Unknown),
                message: failure.message.clone(),
            };
            self.tickets.hand_back(piece.ticket, why);
            self.tickets.books.queue_bytes -= piece.body.len() as u64;
            self.tickets.release(piece.ticket);
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
    pub(crate) fn failed(&mut self, index: usize, failure: &Failure, now: Instant) {
        self.meters.failed(failure, failure.judgement());
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
    }
}
