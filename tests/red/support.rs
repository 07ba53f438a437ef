//! Observations for the tests of counting and showing.
#![allow(dead_code)]

use std::sync::Arc;

use chainspan::chain::ChainId;
use chainspan::gateway::{
    Detail, FailureReason, Measured, Operation, OutcomeClass, QuorumReason, TxReason, WebhookStatus,
};
use chainspan::red::{
    Attributes, Dims, DurationHistogram, FixedHistogram, Metric, Observation, RedSettings, Series, SeriesValue,
    Snapshot, Stage,
};

pub(crate) fn settings() -> RedSettings {
    RedSettings {
        namespace: "avs.gateway".to_owned(),
        dimensions: vec!["service.name".to_owned(), "deployment.environment.name".to_owned()],
        chains: Default::default(),
        max_chains: 64,
        max_series: 4_096,
        committers: 4,
        ..RedSettings::default()
    }
}

pub(crate) fn chain(raw: u64) -> ChainId {
    ChainId::new(raw).expect("in range")
}

pub(crate) fn dims(service: &str, environment: &str) -> Arc<Dims> {
    Arc::new(Dims(vec![service.into(), environment.into()].into()))
}

/// A successful operation of the first resource of its stage.
pub(crate) fn success(chain: Option<ChainId>, operation: Operation, duration_nano: u64) -> Observation {
    let measured = Measured {
        operation,
        outcome: OutcomeClass::Success,
        reason: None,
        status_conflict: false,
        attempts: None,
        signed_stake_ratio: None,
        threshold: None,
        webhook: None,
        detail: Detail::Nothing,
    };
    Observation { dims: 0, chain, measured, end_unix_nano: 0, duration_nano, trace_id: [0; 16], span_id: [0; 8] }
}

pub(crate) fn failure(
    chain: Option<ChainId>,
    operation: Operation,
    reason: FailureReason,
    duration_nano: u64,
) -> Observation {
    let mut observation = success(chain, operation, duration_nano);
    observation.measured.outcome = OutcomeClass::Failure;
    observation.measured.reason = Some(reason);
    observation
}

/// One of everything that can be told apart, by number: the same number gives the same observation.
pub(crate) fn varied(chain: Option<ChainId>, number: u64) -> Observation {
    let operation = Operation::ALL[(number % 5) as usize];
    let duration = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (22 + number % 30);
    let mut observation = match (number / 5) % 4 {
        0 => match operation {
            Operation::BlsAggregation => {
                failure(chain, operation, FailureReason::Quorum(QuorumReason::QuorumNotReached), duration)
            }
            Operation::TxSubmission => failure(chain, operation, FailureReason::Tx(TxReason::NonceTooLow), duration),
            Operation::Task => failure(chain, operation, FailureReason::Timeout, duration),
            Operation::TaskBroadcast | Operation::WebhookDelivery => {
                failure(chain, operation, FailureReason::Other, duration)
            }
        },
        _ => success(chain, operation, duration),
    };
    let measured = &mut observation.measured;
    match operation {
        Operation::BlsAggregation => {
            measured.signed_stake_ratio = Some((number % 101) as f64 / 100.0);
            measured.threshold = (!number.is_multiple_of(3)).then_some(0.67);
        }
        Operation::TxSubmission => measured.attempts = Some((number % 25 + 1) as u32),
        Operation::WebhookDelivery => {
            measured.webhook = (measured.outcome == OutcomeClass::Success).then_some(WebhookStatus::Success);
        }
        Operation::Task | Operation::TaskBroadcast => {}
    }
    observation
}

pub(crate) fn stage(observations: Vec<Observation>) -> Stage {
    Stage { dims: vec![dims("gateway", "prod")], observations, ..Stage::default() }
}

/// What the tests ask of a series' sums.
pub(crate) trait SeriesValueExt {
    /// The classic buckets, if it is a distribution.
    fn classic(&self) -> Option<&FixedHistogram>;

    /// How many observations it holds; of a gauge, none.
    fn count(&self) -> u64;
}

impl SeriesValueExt for SeriesValue {
    fn classic(&self) -> Option<&FixedHistogram> {
        match self {
            Self::Counter(_) | Self::Gauge(_) => None,
            Self::Duration(histogram) => Some(histogram.classic()),
            Self::Fixed(histogram) => Some(histogram),
        }
    }

    fn count(&self) -> u64 {
        match self {
            Self::Counter(count) => *count,
            Self::Gauge(_) => 0,
            distribution => distribution.classic().map_or(0, FixedHistogram::count),
        }
    }
}

/// What the tests ask of a snapshot; the product shows it series by series.
pub(crate) trait SnapshotExt {
    fn series(&self, metric: Metric) -> &[Series];

    /// Counts, or observations of a distribution, of the series whose attributes satisfy `select`.
    fn total(&self, metric: Metric, select: impl Fn(&Attributes) -> bool) -> u64 {
        self.series(metric).iter().filter(|series| select(&series.attributes)).map(|series| series.value.count()).sum()
    }

    /// The durations of the operations whose attributes satisfy `select`, together.
    fn duration(&self, select: impl Fn(&Attributes) -> bool) -> DurationHistogram {
        let mut together = DurationHistogram::default();
        for series in self.series(Metric::OperationDuration).iter().filter(|series| select(&series.attributes)) {
            if let SeriesValue::Duration(histogram) = &series.value {
                together.merge(histogram);
            }
        }
        together
    }
}

impl SnapshotExt for Snapshot {
    fn series(&self, metric: Metric) -> &[Series] {
        self.families.iter().find(|family| family.metric == metric).map_or(&[], |family| &family.series)
    }
}
