//! What is counted under one key.

use std::sync::Arc;

use super::bounds::{ATTEMPTS, MARGIN, RATIO};
use super::exemplars::Timed;
use super::fixed_histogram::FixedHistogram;
use super::labels::{Attributes, ResultLabel};
use super::metric::Metric;
use super::stage::{Dims, Observation};
use crate::gateway::{Detail, Operation, Seconds};

/// The sums of one key. How many observations there are is the duration's count: one number, not two that could differ.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) dims: Arc<Dims>,
    pub(super) attributes: Attributes,
    pub(super) duration: Timed,
    /// The latest end of a span.
    pub(super) newest_end: u64,
    /// Few spans have them, so few cells carry them.
    extras: Option<Box<Extras>>,
}

/// What not every span has.
#[derive(Clone, Debug, Default)]
struct Extras {
    attempts: Option<FixedHistogram>,
    stake: Option<FixedHistogram>,
    margin: Option<FixedHistogram>,
    /// Until the threshold, or until the confirmation: a cell is of one operation.
    reached: Option<Timed>,
    queue: Option<Timed>,
    parts: [Option<u64>; 5],
    exhausted: u64,
}

/// What a cell adds to a series.
#[derive(Debug)]
pub(super) enum Amount<'c> {
    Count(u64),
    Duration(&'c Timed),
    Fixed(&'c FixedHistogram),
}

impl Cell {
    pub(super) fn new(dims: Arc<Dims>, attributes: Attributes) -> Self {
        Self { dims, attributes, duration: Timed::default(), newest_end: 0, extras: None }
    }

    /// Counts one observation; of its durations the `exemplars` slowest are kept.
    #[inline]
    pub(super) fn add(&mut self, observation: &Observation, exemplars: usize) {
        let measured = &observation.measured;
        self.duration.add(observation.duration_nano, observation, exemplars);
        self.newest_end = self.newest_end.max(observation.end_unix_nano);
        if let Some(attempts) = measured.attempts {
            self.extras().attempts.get_or_insert_with(|| FixedHistogram::new(&ATTEMPTS)).add(i64::from(attempts));
        }
        let stake = measured.signed_stake_ratio.filter(|_| measured.operation == Operation::BlsAggregation);
        if let Some(stake) = stake.map(billionths) {
            let extras = self.extras();
            extras.stake.get_or_insert_with(|| FixedHistogram::new(&RATIO)).add(stake);
            if let Some(threshold) = measured.threshold.map(billionths) {
                extras.margin.get_or_insert_with(|| FixedHistogram::new(&MARGIN)).add(stake.saturating_sub(threshold));
            }
        }
        if measured.detail != Detail::Nothing {
            self.add_detail(observation, exemplars);
        }
    }

    fn add_detail(&mut self, observation: &Observation, exemplars: usize) {
        match observation.measured.detail {
            Detail::Nothing => {}
            Detail::Quorum { time_to_threshold, .. } => {
                for (part, count) in responses(&observation.measured.detail) {
                    self.extras().count(part, count);
                }
                if let Some(duration) = nanoseconds(time_to_threshold) {
                    self.extras().reached.get_or_insert_default().add(duration, observation, exemplars);
                }
            }
            Detail::Tx { confirmation, queue, batch_size, batch_failed, exhausted } => {
                if let Some(size) = batch_size.get() {
                    let failed = batch_failed.get().unwrap_or(0).min(size);
                    self.extras().count(ResultLabel::Ok, size - failed);
                    self.extras().count(ResultLabel::Failed, failed);
                }
                if let Some(duration) = nanoseconds(confirmation) {
                    self.extras().reached.get_or_insert_default().add(duration, observation, exemplars);
                }
                if let Some(duration) = nanoseconds(queue) {
                    self.extras().queue.get_or_insert_default().add(duration, observation, exemplars);
                }
                if exhausted {
                    self.extras().exhausted += 1;
                }
            }
            Detail::Webhook { exhausted } => {
                if exhausted {
                    self.extras().exhausted += 1;
                }
            }
        }
    }

    fn extras(&mut self) -> &mut Extras {
        self.extras.get_or_insert_default()
    }

    /// What this cell adds to the series of `metric` and `part`, where it has something to add. Of no part: all together.
    pub(super) fn amount(&self, metric: Metric, part: Option<ResultLabel>) -> Option<Amount<'_>> {
        let extras = self.extras.as_deref();
        let fixed = |choose: fn(&Extras) -> &Option<FixedHistogram>| Some(Amount::Fixed(choose(extras?).as_ref()?));
        let timed = |choose: fn(&Extras) -> &Option<Timed>| Some(Amount::Duration(choose(extras?).as_ref()?));
        match metric {
            Metric::Operations | Metric::QuorumFailures | Metric::TxFailures | Metric::WebhookDeliveries => {
                Some(Amount::Count(self.duration.histogram.count()))
            }
            Metric::OperationDuration => Some(Amount::Duration(&self.duration)),
            Metric::SignedStakeRatio => fixed(|extras| &extras.stake),
            Metric::QuorumMargin => fixed(|extras| &extras.margin),
            Metric::OperationAttempts => fixed(|extras| &extras.attempts),
            Metric::TimeToThreshold | Metric::TxConfirmation => timed(|extras| &extras.reached),
            Metric::TxQueue => timed(|extras| &extras.queue),
            Metric::OperatorResponses | Metric::TxBatchItems => match part {
                Some(part) => extras?.parts[part as usize].map(Amount::Count),
                None => extras?.parts.iter().copied().flatten().reduce(u64::saturating_add).map(Amount::Count),
            },
            Metric::TxExhausted | Metric::WebhookExhausted => {
                extras.filter(|extras| extras.exhausted > 0).map(|extras| Amount::Count(extras.exhausted))
            }
            Metric::TxNonceGap | Metric::BreakerState | Metric::LastSuccessAge | Metric::ChainHealth => None,
        }
    }
}

impl Extras {
    fn count(&mut self, part: ResultLabel, count: u32) {
        let total = self.parts[part as usize].get_or_insert(0);
        *total = total.saturating_add(u64::from(count));
    }
}

/// What is known of the operators' responses. Who is missing is known only if it is known how many were asked and how
/// many signed; figures that contradict each other say nothing about it.
fn responses(detail: &Detail) -> impl Iterator<Item = (ResultLabel, u32)> + use<> {
    let (operators, signed, rejected) = match *detail {
        Detail::Quorum { operators, signed, rejected, .. } => (operators.get(), signed.get(), rejected.get()),
        _ => (None, None, None),
    };
    let missing = operators
        .zip(signed)
        .and_then(|(operators, signed)| operators.checked_sub(signed)?.checked_sub(rejected.unwrap_or(0)));
    [(ResultLabel::Signed, signed), (ResultLabel::Rejected, rejected), (ResultLabel::Missing, missing)]
        .into_iter()
        .filter_map(|(part, count)| Some((part, count?)))
}

/// A ratio in whole billionths, so that 0.55 − 0.5 is 0.05, on its bound and not above it, and sums do not depend on
/// their order.
fn billionths(ratio: f64) -> i64 {
    (ratio * 1e9).round() as i64
}

/// Seconds in whole nanoseconds. The conversion saturates.
fn nanoseconds(seconds: Seconds) -> Option<u64> {
    seconds.get().map(|seconds| (seconds * 1e9).round() as u64)
}
