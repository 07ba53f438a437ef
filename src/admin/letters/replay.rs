//! Letting dead letters go, slowly and in steps.
//!
//! What is meant is written down first: a letter that dies again while others are still waiting for their turn is not
//! meant a second time. Each step is one transaction of the store, so after a crash what was moved is moved, what was not
//! is still dead, and the same command again goes on with the rest.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::api::ReplayResponse;
use super::desk::{Desk, add};
use crate::otlp::Signal;
use crate::store::{Count, Filter, Letter, RecordId, StoreError};

/// Letters of one step, at most.
const STEP: usize = 500;
/// Steps a second when the rate, and not their number of letters, limits them.
const STEPS_PER_SECOND: u64 = 4;

/// What is meant, before anything has happened.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Each letter and what it weighs against the rate.
    letters: Vec<(RecordId, u64)>,
    meant: Count,
    left: Count,
    unknown: BTreeSet<String>,
}

impl Plan {
    /// Looks for the letters that `filter` means. Blocks.
    pub(super) fn make(desk: &Desk, filter: &Filter) -> Result<Self, StoreError> {
        let mut plan = Self::default();
        desk.each_page(filter, |page| {
            page.into_iter().for_each(|letter| plan.note(desk, letter));
            true
        })?;
        Ok(plan)
    }

    fn note(&mut self, desk: &Desk, letter: Letter) {
        let traces = letter.signal == Signal::Traces;
        let spans = if traces { u64::from(letter.spans) } else { 0 };
        let count = Count { records: 1, spans, requests: u64::from(!traces), bytes: letter.bytes };
        if desk.knows(&letter.destination) {
            add(&mut self.meant, count);
            self.letters.push((letter.id, spans.max(1)));
        } else {
            add(&mut self.left, count);
            self.unknown.insert(letter.destination);
        }
    }

    /// How far it is, once `moved` is done.
    pub(super) fn progress(&self, moved: Count) -> ReplayResponse {
        ReplayResponse {
            meant: Some(self.meant.into()),
            moved: Some(moved.into()),
            unknown_destinations: self.unknown.iter().cloned().collect(),
            left: Some(self.left.into()),
        }
    }

    /// Lets everything go, at no more than `rate` spans a second (0: no limit). `tell` hears of each step and may end it
    /// by saying false. Blocks.
    pub(super) fn carry_out(
        &self,
        desk: &Desk,
        rate: u64,
        mut tell: impl FnMut(ReplayResponse) -> bool,
    ) -> Result<(), StoreError> {
        let begun = Instant::now();
        let (mut moved, mut weight) = (Count::default(), 0);
        if !tell(self.progress(moved)) {
            return Ok(());
        }
        let mut rest = &self.letters[..];
        while !rest.is_empty() {
            let (step, after) = rest.split_at(step_length(rest, rate));
            rest = after;
            let ids = step.iter().map(|(id, _)| *id).collect();
            add(&mut moved, desk.revive(&Filter { ids, ..Filter::default() })?);
            weight += step.iter().map(|(_, weight)| weight).sum::<u64>();
            if !tell(self.progress(moved)) {
                break;
            }
            if rate > 0 && !rest.is_empty() {
                let due = begun + Duration::from_secs_f64(weight as f64 / rate as f64);
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
        }
        Ok(())
    }
}

/// How many letters make up the next step: at least one.
fn step_length(letters: &[(RecordId, u64)], rate: u64) -> usize {
    let room = if rate == 0 { u64::MAX } else { (rate / STEPS_PER_SECOND).max(1) };
    let mut weight = 0_u64;
    let fits = letters.iter().take(STEP).take_while(|(_, spans)| {
        weight = weight.saturating_add(*spans);
        weight <= room
    });
    fits.count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A step is no longer than a quarter of a second of the rate, never empty, and never too many letters.
    #[test]
    fn steps_are_short_and_never_empty() {
        let letters: Vec<_> = (0..2_000).map(|id| (RecordId(id), 10)).collect();
        assert_eq!(step_length(&letters, 400), 10);
        assert_eq!(step_length(&letters, 1), 1);
        assert_eq!(step_length(&letters, 0), STEP);
        assert_eq!(step_length(&[(RecordId(1), 1_000_000)], 10), 1);
    }
}
