//! The health of a chain: a small state machine over what was counted of it (`docs/delivery.md`, section 5).
//!
//! *Down*: operations are attempted and none succeeds, or a circuit breaker of the chain is open. *Degraded*: too large a
//! share of them fails, or a nonce gap stays. Else *healthy*. Two evaluations in a row must agree before it changes.

use std::collections::VecDeque;
use std::time::Duration;

use super::window::WINDOW_NANO;
use crate::gateway::OutcomeClass;

/// Windows over which ratios are taken: 30 of ten seconds, five minutes.
const RATIO_WINDOWS: u64 = 30;
/// Operations that a chain needs in those windows before its error ratio can degrade it.
const MIN_OPERATIONS: u64 = 10;
/// Aggregations that a chain needs in those windows before its quorum failure ratio can degrade it.
const MIN_AGGREGATIONS: u64 = 5;
/// Nanoseconds that a nonce gap may stay open before it degrades its chain: gaps of seconds are normal.
const MAX_GAP_NANO: u64 = 60_000_000_000;
/// Evaluations in a row that must agree before the health of a chain changes.
const MIN_EVALUATIONS: u32 = 2;

/// When a chain is not healthy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// A chain is degraded when a larger share of its operations of five minutes failed, 0 to 1. Fewer than 10 operations
    /// do not count.
    pub error_ratio: f64,
    /// A chain is degraded when a larger share of its aggregations of five minutes missed the quorum, 0 to 1. Fewer than 5
    /// aggregations do not count.
    pub quorum_failure_ratio: f64,
    /// A chain is down when operations were attempted for this long and none succeeded. The service makes it at least 5
    /// block times of the chain, where the configuration knows them.
    pub no_success: Duration,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { error_ratio: 0.05, quorum_failure_ratio: 0.02, no_success: Duration::from_secs(60) }
    }
}

/// The health of a chain. The number is the value of `chain.health`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum ChainHealth {
    /// Nothing succeeds, or a circuit breaker is open.
    Down = 0,
    /// Too much fails, or a nonce gap stays.
    Degraded = 1,
    /// Neither.
    Healthy = 2,
}

/// Why a chain is not healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// Operations are attempted, none succeeds.
    NoSuccess,
    /// A circuit breaker is open.
    BreakerOpen,
    /// Too many operations fail.
    ErrorRatio,
    /// Too many aggregations miss the quorum.
    QuorumFailureRatio,
    /// A nonce gap stays.
    NonceGap,
}

impl ChainHealth {
    /// `down`, `degraded`, `healthy`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Degraded => "degraded",
            Self::Healthy => "healthy",
        }
    }
}

impl Cause {
    /// One sentence for people.
    pub fn text(self) -> &'static str {
        match self {
            Self::NoSuccess => "operations are attempted and none succeeds",
            Self::BreakerOpen => "a circuit breaker is open",
            Self::ErrorRatio => "too many operations fail",
            Self::QuorumFailureRatio => "too many aggregations miss the quorum",
            Self::NonceGap => "a nonce gap stays open",
        }
    }

    fn health(self) -> ChainHealth {
        match self {
            Self::NoSuccess | Self::BreakerOpen => ChainHealth::Down,
            Self::ErrorRatio | Self::QuorumFailureRatio | Self::NonceGap => ChainHealth::Degraded,
        }
    }
}

/// What happened in one window.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    successes: u64,
    failures: u64,
    aggregations: u64,
    quorum_failures: u64,
}

/// What the gauges of a chain say at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Signs {
    pub(super) breaker_open: bool,
    /// Since when the oldest nonce gap is above 0.
    pub(super) gap_since: Option<u64>,
}

/// One chain of one set of dimensions.
#[derive(Debug, Default)]
pub(super) struct Tracker {
    /// Ascending by window.
    recent: VecDeque<(u64, Counts)>,
    last_success: u64,
    /// End of the first failure known after the last success.
    failing_since: Option<u64>,
    cause: Option<Cause>,
    /// What the last evaluations found, where it differs from `cause`, and how many in a row found it.
    other: (Option<Cause>, u32),
}

/// Operations of the same kind that ended in the same window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Happened {
    pub(super) window: u64,
    pub(super) outcome: OutcomeClass,
    pub(super) aggregation: bool,
    /// Failed, and it is the quorum's own failure.
    pub(super) of_quorum: bool,
    pub(super) count: u64,
    /// The latest end of them.
    pub(super) newest_end: u64,
}

impl Tracker {
    /// Counts operations that ended.
    pub(super) fn count(&mut self, happened: Happened) {
        let place = match self.recent.binary_search_by_key(&happened.window, |(window, _)| *window) {
            Ok(place) => place,
            Err(place) => {
                self.recent.insert(place, (happened.window, Counts::default()));
                place
            }
        };
        let counts = &mut self.recent[place].1;
        match happened.outcome {
            OutcomeClass::Success => {
                counts.successes += happened.count;
                self.last_success = self.last_success.max(happened.newest_end);
                self.failing_since = self.failing_since.filter(|since| *since > self.last_success);
            }
            OutcomeClass::Failure => {
                counts.failures += happened.count;
                if happened.newest_end > self.last_success {
                    let since = self.failing_since.get_or_insert(happened.newest_end);
                    *since = (*since).min(happened.newest_end);
                }
            }
            OutcomeClass::Cancelled => {}
        }
        if happened.aggregation {
            counts.aggregations += happened.count;
            counts.quorum_failures += if happened.of_quorum { happened.count } else { 0 };
        }
        let newest = self.recent.back().map_or(0, |(window, _)| *window);
        while self.recent.front().is_some_and(|(window, _)| *window + RATIO_WINDOWS < newest) {
            self.recent.pop_front();
        }
    }

    /// Evaluates the chain at `now` and returns its health after that.
    pub(super) fn evaluate(&mut self, now: u64, thresholds: &Thresholds, signs: Signs) -> ChainHealth {
        let found = self.cause_now(now, thresholds, signs);
        let same = |a: Option<Cause>, b: Option<Cause>| a.map(Cause::health) == b.map(Cause::health);
        if same(found, self.cause) {
            // The reason may be another one at once, the state may not.
            self.cause = found;
            self.other = (None, 0);
        } else {
            let times = if self.other.1 > 0 && same(found, self.other.0) { self.other.1 + 1 } else { 1 };
            self.other = (found, times);
            if times >= MIN_EVALUATIONS {
                self.cause = found;
                self.other = (None, 0);
            }
        }
        self.health()
    }

    pub(super) fn health(&self) -> ChainHealth {
        self.cause.map_or(ChainHealth::Healthy, Cause::health)
    }

    pub(super) fn cause(&self) -> Option<Cause> {
        self.cause
    }

    fn cause_now(&self, now: u64, thresholds: &Thresholds, signs: Signs) -> Option<Cause> {
        let no_success = u64::try_from(thresholds.no_success.as_nanos()).unwrap_or(u64::MAX);
        if self.failing_since.is_some_and(|since| now.saturating_sub(since) >= no_success) {
            return Some(Cause::NoSuccess);
        }
        if signs.breaker_open {
            return Some(Cause::BreakerOpen);
        }
        let oldest = (now / WINDOW_NANO).saturating_sub(RATIO_WINDOWS);
        let mut sum = Counts::default();
        for (_, counts) in self.recent.iter().filter(|(window, _)| *window >= oldest) {
            sum.successes += counts.successes;
            sum.failures += counts.failures;
            sum.aggregations += counts.aggregations;
            sum.quorum_failures += counts.quorum_failures;
        }
        let above = |part: u64, whole: u64, limit: f64| part as f64 > whole as f64 * limit;
        let operations = sum.successes + sum.failures;
        if operations >= MIN_OPERATIONS && above(sum.failures, operations, thresholds.error_ratio) {
            return Some(Cause::ErrorRatio);
        }
        if sum.aggregations >= MIN_AGGREGATIONS
            && above(sum.quorum_failures, sum.aggregations, thresholds.quorum_failure_ratio)
        {
            return Some(Cause::QuorumFailureRatio);
        }
        signs.gap_since.filter(|since| now.saturating_sub(*since) >= MAX_GAP_NANO).map(|_| Cause::NonceGap)
    }
}

#[cfg(test)]
#[cfg(not(chainspan_loom))]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn happened(outcome: OutcomeClass, count: u64, end: u64) -> Happened {
        let (window, aggregation) = (end / WINDOW_NANO, true);
        Happened { window, outcome, aggregation, of_quorum: false, count, newest_end: end }
    }

    fn twice(tracker: &mut Tracker, now: u64, signs: Signs) -> ChainHealth {
        tracker.evaluate(now, &Thresholds::default(), signs);
        tracker.evaluate(now, &Thresholds::default(), signs)
    }

    /// One evaluation changes nothing, the second does; an evaluation that finds the old state in between starts over.
    #[test]
    fn two_evaluations_in_a_row_change_it() {
        let (mut tracker, limits) = (Tracker::default(), Thresholds::default());
        let open = Signs { breaker_open: true, ..Signs::default() };
        assert_eq!(tracker.evaluate(0, &limits, open), ChainHealth::Healthy);
        assert_eq!(tracker.evaluate(1, &limits, Signs::default()), ChainHealth::Healthy);
        assert_eq!(tracker.evaluate(2, &limits, open), ChainHealth::Healthy);
        assert_eq!(tracker.evaluate(3, &limits, open), ChainHealth::Down);
        assert_eq!(tracker.cause(), Some(Cause::BreakerOpen));
        assert_eq!(tracker.evaluate(4, &limits, Signs::default()), ChainHealth::Down);
        assert_eq!(tracker.evaluate(5, &limits, Signs::default()), ChainHealth::Healthy);
    }

    /// Failures for a minute without a success are down; silence is not, and one success clears it.
    #[test]
    fn down_is_when_nothing_succeeds_that_is_attempted() {
        let mut tracker = Tracker::default();
        tracker.count(happened(OutcomeClass::Success, 1, 100 * SECOND));
        assert_eq!(twice(&mut tracker, 10_000 * SECOND, Signs::default()), ChainHealth::Healthy, "silent");
        tracker.count(happened(OutcomeClass::Failure, 1, 10_000 * SECOND));
        tracker.count(happened(OutcomeClass::Failure, 1, 10_040 * SECOND));
        assert_eq!(twice(&mut tracker, 10_059 * SECOND, Signs::default()), ChainHealth::Healthy);
        assert_eq!(twice(&mut tracker, 10_060 * SECOND, Signs::default()), ChainHealth::Down);
        tracker.count(happened(OutcomeClass::Success, 1, 10_061 * SECOND));
        assert_eq!(twice(&mut tracker, 10_062 * SECOND, Signs::default()), ChainHealth::Healthy);
    }

    /// Five percent of ten operations in five minutes; fewer operations, or older ones, say nothing.
    #[test]
    fn degraded_is_a_ratio_of_enough_operations() {
        let at = 1_000 * SECOND;
        for (successes, failures, expected) in [
            (8, 1, ChainHealth::Healthy),
            (9, 1, ChainHealth::Degraded),
            (95, 5, ChainHealth::Healthy),
            (94, 6, ChainHealth::Degraded),
        ] {
            let mut tracker = Tracker::default();
            tracker.count(happened(OutcomeClass::Failure, failures, at));
            tracker.count(happened(OutcomeClass::Success, successes, at + 1));
            assert_eq!(twice(&mut tracker, at + 2, Signs::default()), expected, "{failures} of {successes}");
            assert_eq!(
                twice(&mut tracker, at + 320 * SECOND, Signs::default()),
                ChainHealth::Healthy,
                "five minutes on"
            );
        }
    }

    /// Two percent of five aggregations, of class quorum alone.
    #[test]
    fn degraded_is_a_quorum_that_is_missed() {
        for (of_quorum, count, expected) in
            [(true, 4, ChainHealth::Degraded), (true, 3, ChainHealth::Healthy), (false, 4, ChainHealth::Healthy)]
        {
            let mut tracker = Tracker::default();
            tracker.count(Happened { of_quorum, ..happened(OutcomeClass::Failure, 1, SECOND) });
            tracker.count(happened(OutcomeClass::Success, count, 2 * SECOND));
            assert_eq!(twice(&mut tracker, 3 * SECOND, Signs::default()), expected, "{of_quorum} {count}");
        }
    }

    /// A nonce gap counts once it has been there for a minute.
    #[test]
    fn degraded_is_a_nonce_gap_that_stays() {
        let signs = Signs { gap_since: Some(SECOND), ..Signs::default() };
        assert_eq!(twice(&mut Tracker::default(), 60 * SECOND, signs), ChainHealth::Healthy);
        assert_eq!(twice(&mut Tracker::default(), 61 * SECOND, signs), ChainHealth::Degraded);
    }
}
