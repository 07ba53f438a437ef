//! What becomes of a batch that its destination refuses: it is cut in two, again and again, until what is refused stands
//! alone: between parcels, then between traces, then between spans. Each cut halves what is in question, so a batch of n
//! spans with one offender costs 2 log2 n more requests, and k offenders no more than k times that.
//!
//! A destination that refuses everything is another matter: nothing is wrong with the data then. So many refusals in a row
//! without a success, `2 log2 n` and [`BENEFIT_OF_DOUBT`] more, and it is the destination that is left alone: its breaker
//! opens, and the data is kept. Up to then what stood alone has become a dead letter, which an operator can replay. If it
//! then turns out to take other data, it was the data after all, and sixteen times as many are allowed for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::Signal;
use super::queue::{Batch, Piece};
use super::tickets::Tickets;
use crate::otlp;

/// Refusals in a row that isolation may cost beyond what one offender explains.
const BENEFIT_OF_DOUBT: u32 = 30;
/// So many times more when the destination was wrongly blamed, and again.
const REHABILITATION: u32 = 16;
/// For so long.
const REMEMBERED: Duration = Duration::from_secs(600);
/// After so long without a request that was too large, larger ones are tried again.
const GROW: Duration = Duration::from_secs(300);
/// A limit is not taken to be lower than that: one span that is too large says little of others.
const SMALLEST: usize = 16 << 10;

/// The next step.
#[derive(Debug)]
pub(crate) enum Division {
    /// Send these one after the other; nothing may join them.
    Halves(Batch, Batch),
    /// It stands alone: this is what the destination refuses.
    Alone(Batch),
}

/// Cuts by parcel only: a parcel goes back to its client as a whole.
pub(crate) fn by_parcel(batch: Batch) -> Division {
    let first = batch.pieces.first().map(|piece| piece.ticket);
    if batch.pieces.iter().all(|piece| Some(piece.ticket) == first) {
        return Division::Alone(batch);
    }
    in_the_middle(batch)
}

/// Cuts by parcel, and a parcel by trace and span.
pub(crate) fn by_span(mut batch: Batch, tickets: &mut Tickets) -> Division {
    if batch.pieces.len() > 1 {
        return in_the_middle(batch);
    }
    let Some(piece) = batch.pieces.pop() else { return Division::Alone(batch) };
    let Some((left, right)) = halve(batch.signal, &piece) else {
        batch.pieces.push(piece);
        return Division::Alone(batch);
    };
    tickets.cut(piece.ticket);
    // The halves are copies; as long as one of them is there, so is what they were cut from, and its share of the budget.
    let held = Some(piece.held.clone().unwrap_or_else(|| piece.body.clone()));
    let of = |half: otlp::Piece| Batch {
        pieces: vec![Piece { body: half.body, items: half.items, held: held.clone(), ..piece }],
        sealed: true,
        ..batch
    };
    Division::Halves(of(left), of(right))
}

/// Between traces where that is possible, through one where it is not.
fn halve(signal: Signal, piece: &Piece) -> Option<(otlp::Piece, otlp::Piece)> {
    let together = (signal == Signal::Traces).then(|| otlp::halve(&piece.body, true).ok().flatten()).flatten();
    together.or_else(|| otlp::halve(&piece.body, false).ok().flatten())
}

fn in_the_middle(mut batch: Batch) -> Division {
    let pieces = batch.pieces.split_off(batch.pieces.len() / 2);
    batch.sealed = true;
    let second = Batch { pieces, ..batch };
    Division::Halves(batch, second)
}

/// Refusals in a row, of whatever.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    row: u32,
    /// So many are explained by what is being isolated.
    explained: u32,
    /// What is allowed beyond that, times this, until then.
    trust: Option<(u32, Instant)>,
}

impl Refusals {
    /// A batch of `items` was refused. `true`: it is the destination that is to blame.
    pub(crate) fn add(&mut self, items: u64) -> bool {
        self.row = self.row.saturating_add(1);
        let trust = self.trust.map_or(1, |(factor, _)| factor);
        self.explained = self.explained.max(2 * items.max(1).ilog2() + BENEFIT_OF_DOUBT * trust);
        self.row > self.explained
    }

    /// Something was taken, or everything begins anew.
    pub(crate) fn reset(&mut self, now: Instant) {
        (self.row, self.explained) = (0, 0);
        self.trust = self.trust.filter(|(_, until)| now < *until);
    }

    /// The destination was to blame, and takes other data.
    pub(crate) fn rehabilitate(&mut self, now: Instant) {
        let factor = self.trust.map_or(1, |(factor, _)| factor);
        self.trust = Some(((factor * REHABILITATION).min(REHABILITATION * REHABILITATION), now + REMEMBERED));
    }
}

/// How large a request may be: as configured, or less where the destination has said so. Shared with whoever cuts parcels
/// to size.
#[derive(Debug)]
pub(crate) struct Limit {
    configured: usize,
    bytes: Arc<AtomicUsize>,
    grows: Option<Instant>,
}

impl Limit {
    pub(crate) fn new(configured: usize, bytes: Arc<AtomicUsize>) -> Self {
        Self { configured, bytes, grows: None }
    }

    /// The most bytes of one request.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// A request of `bytes` that could be divided was too large.
    pub(crate) fn shrink(&mut self, bytes: usize, now: Instant) {
        let half = (bytes / 2).max(SMALLEST.min(self.configured));
        self.bytes.store(half.min(self.bytes()), Ordering::Relaxed);
        self.grows = Some(now + GROW);
    }

    /// Twice as much, after a while.
    pub(crate) fn grow(&mut self, now: Instant) {
        if self.grows.is_some_and(|grows| grows <= now) {
            let twice = self.bytes().saturating_mul(2).min(self.configured);
            self.bytes.store(twice, Ordering::Relaxed);
            self.grows = (twice < self.configured).then(|| now + GROW);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One offender among n is found without anybody being blamed for it; a destination that takes nothing is.
    #[test]
    fn a_destination_that_refuses_everything_is_to_blame_after_a_bounded_number() {
        let now = Instant::now();
        for items in [1_u64, 64, 100_000] {
            let mut refusals = Refusals::default();
            let one_offender = u64::from(items.ilog2()) + 1;
            assert!((0..one_offender).all(|step| !refusals.add(items >> step)));
            let more = (0..1_000).take_while(|_| !refusals.add(1)).count() as u64;
            assert!(one_offender + more <= 2 * u64::from(items.ilog2()) + 30, "{items}: {more}");
            refusals.reset(now);
            assert!(!refusals.add(items));
            // Wrongly blamed: it is believed for longer, and not for ever.
            refusals.rehabilitate(now);
            refusals.reset(now);
            assert!((0..480).all(|_| !refusals.add(1)));
            refusals.reset(now + REMEMBERED);
            assert_eq!((0..1_000).take_while(|_| !refusals.add(1)).count(), 30);
        }
    }

    #[test]
    fn a_lower_limit_is_remembered_and_slowly_forgotten() {
        let mut limit = Limit::new(1 << 20, Arc::new(AtomicUsize::new(1 << 20)));
        let now = Instant::now();
        limit.shrink(1 << 20, now);
        limit.shrink(1 << 19, now);
        assert_eq!(limit.bytes(), 1 << 18);
        limit.grow(now + GROW / 2);
        assert_eq!(limit.bytes(), 1 << 18);
        limit.grow(now + GROW);
        limit.grow(now + 2 * GROW);
        limit.grow(now + 3 * GROW);
        assert_eq!(limit.bytes(), 1 << 20);
        limit.shrink(3, now);
        assert_eq!(limit.bytes(), SMALLEST);
    }
}
