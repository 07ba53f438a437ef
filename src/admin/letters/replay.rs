//! Queues dead letters to be sent again, step by step and no faster than asked.
//!
//! First the plan is made, so that a letter that dies again while others still wait for their turn is not replayed twice. Each step
//! is one transaction of the store: after a crash what was queued is queued, the rest is still dead, and the same command
//! continues with it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::access::DeadLetterAdmin;
use super::api::ReplayResponse;
use crate::otlp::Signal;
use crate::store::{Count, Filter, Letter, RecordId, StoreError};

/// No step queues more letters than this.
const STEP_LETTERS: usize = 500;
/// A step queues no more spans than this part of a second of the rate, so that they do not leave in bursts.
const STEPS_PER_SECOND: u64 = 4;

/// A dead letter that is to be replayed.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    pub(super) id: RecordId,
    /// An index into the plan's destinations.
    pub(super) destination: usize,
    pub(super) signal: Signal,
    pub(super) received: u64,
    pub(super) count: Count,
}

impl Planned {
    /// Spans that it uses of the rate.
    fn weight(&self) -> u64 {
        self.count.spans.max(1)
    }
}

/// Which letters are to be replayed, before anything has happened.
#[derive(Debug, Default)]
pub(super) struct ReplayPlan {
    pub(super) letters: Vec<Planned>,
    pub(super) destinations: Vec<String>,
    meant: Count,
    /// Letters for destinations that are not configured stay where they are.
    left: Count,
    unknown: BTreeSet<String>,
}

impl ReplayPlan {
    /// Plans to replay the letters that match `filter`. Blocks.
    pub(super) fn make(admin: &DeadLetterAdmin, filter: &Filter) -> Result<Self, StoreError> {
        let mut plan = Self::default();
        admin.for_each_page(filter, |page| {
            page.into_iter().for_each(|letter| plan.add(admin, letter));
            true
        })?;
        Ok(plan)
    }

    fn add(&mut self, admin: &DeadLetterAdmin, letter: Letter) {
        let Letter { id, destination, signal, spans, bytes, received, .. } = letter;
        let count = Count::of_one(signal, spans, bytes);
        if !admin.has_destination(&destination) {
            self.left.add(count);
            self.unknown.insert(destination);
            return;
        }
        self.meant.add(count);
        let known = self.destinations.iter().position(|name| *name == destination);
        let destination = known.unwrap_or_else(|| {
            self.destinations.push(destination);
            self.destinations.len() - 1
        });
        self.letters.push(Planned { id, destination, signal, received, count });
    }

    /// The answer when `moved` are queued.
    pub(super) fn progress(&self, moved: Count) -> ReplayResponse {
        ReplayResponse {
            meant: Some(self.meant.into()),
            moved: Some(moved.into()),
            unknown_destinations: self.unknown.iter().cloned().collect(),
            left: Some(self.left.into()),
            outcome: None,
        }
    }

    /// Queues all letters, at no more than `rate` spans a second (0: no limit), and returns their sum. `tell` gets the progress
    /// after each step, and ends it by returning false, which is `None`. Blocks.
    pub(super) fn queue(
        &self,
        admin: &DeadLetterAdmin,
        rate: u64,
        tell: &mut dyn FnMut(ReplayResponse) -> bool,
    ) -> Result<Option<Count>, StoreError> {
        let begun = Instant::now();
        let (mut moved, mut weight) = (Count::default(), 0);
        let mut rest = &self.letters[..];
        while tell(self.progress(moved)) {
            if rest.is_empty() {
                return Ok(Some(moved));
            }
            if rate > 0 {
                let due = begun + Duration::from_secs_f64(weight as f64 / rate as f64);
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            let (step, after) = rest.split_at(step_length(rest, rate));
            rest = after;
            let ids = step.iter().map(|letter| letter.id).collect();
            moved.add(admin.revive(&Filter { ids, ..Filter::default() })?);
            weight += step.iter().map(Planned::weight).sum::<u64>();
        }
        Ok(None)
    }
}

/// How many letters make up the next step: at least one.
fn step_length(letters: &[Planned], rate: u64) -> usize {
    let limit = if rate == 0 { u64::MAX } else { (rate / STEPS_PER_SECOND).max(1) };
    let mut weight = 0_u64;
    let fits = letters.iter().take(STEP_LETTERS).take_while(|letter| {
        weight = weight.saturating_add(letter.weight());
        weight <= limit
    });
    fits.count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(id: i64, spans: u32) -> Planned {
        let signal = Signal::Traces;
        Planned { id: RecordId(id), destination: 0, signal, received: 1, count: Count::of_one(signal, spans, 100) }
    }

    /// A step is no longer than a quarter of a second of the rate, never empty, and never too many letters.
    #[test]
    fn steps_are_short_and_never_empty() {
        let letters: Vec<_> = (0..2_000).map(|id| planned(id, 10)).collect();
        assert_eq!(step_length(&letters, 400), 10);
        assert_eq!(step_length(&letters, 1), 1);
        assert_eq!(step_length(&letters, 0), STEP_LETTERS);
        assert_eq!(step_length(&[planned(1, 1_000_000)], 10), 1);
    }
}
