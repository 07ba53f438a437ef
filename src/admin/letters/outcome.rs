//! What became of dead letters that were queued for replay.
//!
//! A letter keeps its row while it waits to be sent, so the rows that still wait are counted by their ids. One that is refused again
//! is a new dead letter of the same request: same destination, same signal, same time of arrival, and a last attempt since the
//! replay began. What neither waits nor is dead again was delivered.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::access::DeadLetterAdmin;
use super::api::{ReplayOutcome, ReplayResponse};
use super::replay::{Planned, ReplayPlan};
use crate::otlp::Signal;
use crate::store::{Count, Filter, StoreError};

/// Time between two looks, at least. A look that takes long is followed by a pause four times as long.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// Time between two looks, at most: the client hears this often that somebody is there.
const MAX_POLL_INTERVAL: Duration = Duration::from_secs(10);

/// Watches the letters of `plan`, of which `moved` were queued since `started` (nanoseconds since the Unix epoch), until none waits
/// any more or `wait` is over. `tell` gets the outcome so far after each look, and ends it by returning false. Blocks.
pub(super) fn follow(
    admin: &DeadLetterAdmin,
    plan: &ReplayPlan,
    moved: Count,
    started: u64,
    wait: Duration,
    tell: &mut dyn FnMut(ReplayResponse) -> bool,
) -> Result<(), StoreError> {
    let deadline = Instant::now() + wait;
    let requests: HashSet<_> = plan.letters.iter().map(|letter| key(plan, letter)).collect();
    let mut waiting: Vec<&Planned> = plan.letters.iter().collect();
    loop {
        let looked_at = Instant::now();
        let ids: Vec<_> = waiting.iter().map(|letter| letter.id).collect();
        let still: HashSet<_> = admin.store().still_waiting(&ids)?.into_iter().collect();
        waiting.retain(|letter| still.contains(&letter.id));
        // After the look at what waits: a letter that dies in between is then not taken for delivered.
        let refused = dead_again(admin, &requests, started)?;
        let mut left = Count::default();
        waiting.iter().for_each(|letter| left.add(letter.count));
        let outcome = outcome(moved, left, refused);
        if !tell(ReplayResponse { outcome: Some(outcome), ..plan.progress(moved) }) {
            return Ok(());
        }
        let now = Instant::now();
        if waiting.is_empty() || now >= deadline {
            return Ok(());
        }
        let pause = (4 * (now - looked_at)).clamp(POLL_INTERVAL, MAX_POLL_INTERVAL);
        std::thread::sleep(pause.min(deadline - now));
    }
}

/// What the parts of one request have in common.
fn key<'a>(plan: &'a ReplayPlan, letter: &Planned) -> (&'a str, Signal, u64) {
    (&plan.destinations[letter.destination], letter.signal, letter.received)
}

/// The sum of the letters of `requests` whose last attempt was at `started` or later.
fn dead_again(
    admin: &DeadLetterAdmin,
    requests: &HashSet<(&str, Signal, u64)>,
    started: u64,
) -> Result<Count, StoreError> {
    let mut sum = Count::default();
    admin.for_each_page(&Filter { since: Some(started), ..Filter::default() }, |page| {
        for letter in page {
            if requests.contains(&(&*letter.destination, letter.signal, letter.received)) {
                sum.add(Count::of_one(letter.signal, letter.spans, letter.bytes));
            }
        }
        true
    })?;
    Ok(sum)
}

/// What of `moved` is neither `waiting` nor `refused` was delivered. In spans and requests: a letter of many spans may die again
/// as several.
fn outcome(moved: Count, waiting: Count, refused: Count) -> ReplayOutcome {
    let rest = |all: u64, waits: u64, dead: u64| all.saturating_sub(waits).saturating_sub(dead);
    let delivered = Count {
        records: rest(moved.records, waiting.records, refused.records),
        spans: rest(moved.spans, waiting.spans, refused.spans),
        requests: rest(moved.requests, waiting.requests, refused.requests),
        bytes: rest(moved.bytes, waiting.bytes, refused.bytes),
    };
    ReplayOutcome { delivered: Some(delivered.into()), refused: Some(refused.into()), waiting: Some(waiting.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every span is delivered, waiting or refused; a letter that died again in two halves is not counted below zero.
    #[test]
    fn what_is_gone_was_delivered() {
        let traces = |records, spans| Count { records, spans, requests: 0, bytes: 0 };
        let found = outcome(traces(3, 10), traces(1, 2), traces(4, 5));
        assert_eq!(found.delivered, Some(traces(0, 3).into()));
        assert_eq!((found.waiting, found.refused), (Some(traces(1, 2).into()), Some(traces(4, 5).into())));
    }
}
