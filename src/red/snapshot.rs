//! What has been counted, at one moment: series by metric, for whoever shows them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::calls::{CALL_METRICS, Calls};
use super::catalogue::{Metric, MetricAttribute};
use super::histogram::{DurationHistogram, FixedHistogram};
use super::labels::{Attributes, ChainLabel, Subject, class};
use super::stage::Dims;
use crate::gateway::{Operation, OutcomeClass};

/// Either running totals as of the commits that had returned when it was taken (of a request that was being committed
/// meanwhile, all or nothing), or what was counted in one [`Window`](super::Window) alone.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Prefix of every metric, dotted.
    pub namespace: Arc<str>,
    /// Names of the dimensions, in the order of [`Dims`].
    pub dimensions: Arc<[String]>,
    /// By metric, in the order of the catalogue; metrics without a series are absent.
    pub families: Vec<Family>,
    /// Of running totals: all spans, if they are counted as calls.
    pub calls: Vec<Calls>,
    /// Observations that were counted in a series beyond the limit.
    pub overflow_observations: u64,
    /// Observations whose span ended before the oldest open window, and were counted in that one.
    pub late: u64,
    /// Observations whose span ended after the current window, and were counted in that one.
    pub future: u64,
}

/// The series of one metric.
#[derive(Clone, Debug)]
pub struct Family {
    /// The metric.
    pub metric: Metric,
    /// In the order of dimensions and attributes, so that two snapshots show them alike.
    pub series: Vec<Series>,
}

/// One attribute set of one metric.
#[derive(Clone, Debug)]
pub struct Series {
    /// Values of the dimensions.
    pub dims: Arc<Dims>,
    /// What else tells it apart.
    pub attributes: Attributes,
    /// Of gauges whose attributes are the gateway's own words.
    pub subject: Option<Subject>,
    /// When it began to count, nanoseconds since the Unix epoch: of running totals, the first commit it had a share in
    /// since it was last retired; of a window, the window's start.
    pub start_unix_nano: u64,
    /// Its sums.
    pub value: SeriesValue,
    /// Of durations: the slowest spans of the window (of running totals: of the last window that had any), slowest first,
    /// at most 4.
    pub exemplars: Vec<Exemplar>,
}

/// One span of a duration's series, to be looked up by its ids; both are valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exemplar {
    /// What was measured, nanoseconds.
    pub duration_nano: u64,
    /// End of the span, nanoseconds since the Unix epoch.
    pub end_unix_nano: u64,
    /// Its trace.
    pub trace_id: [u8; 16],
    /// The span.
    pub span_id: [u8; 8],
}

/// The sums of a series.
#[derive(Clone, Debug)]
pub enum SeriesValue {
    /// Of a counter.
    Counter(u64),
    /// Of a duration, in nanoseconds.
    Duration(Arc<DurationHistogram>),
    /// Of any other distribution.
    Fixed(FixedHistogram),
    /// Of a gauge.
    Gauge(f64),
}

impl SeriesValue {
    /// The classic buckets, if it is a distribution.
    pub fn classic(&self) -> Option<&FixedHistogram> {
        match self {
            Self::Counter(_) | Self::Gauge(_) => None,
            Self::Duration(histogram) => Some(histogram.classic()),
            Self::Fixed(histogram) => Some(histogram),
        }
    }

    /// How many observations it holds; of a gauge, none.
    pub fn count(&self) -> u64 {
        match self {
            Self::Counter(count) => *count,
            Self::Duration(histogram) => histogram.count(),
            Self::Fixed(histogram) => histogram.count(),
            Self::Gauge(_) => 0,
        }
    }
}

/// One chain at a glance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChainSummary {
    /// Operation spans by outcome: success, failure, cancelled.
    pub outcomes: [u64; 3],
    /// `bls_aggregation` spans.
    pub aggregations: u64,
    /// Failed ones of class quorum.
    pub quorum_failures: u64,
    /// Durations of all operations together.
    pub duration: DurationHistogram,
}

impl ChainSummary {
    /// Failures among successes and failures, 0 to 1; `None` when there was neither.
    pub fn error_ratio(&self) -> Option<f64> {
        let [success, failure, _] = self.outcomes;
        (success + failure > 0).then(|| failure as f64 / (success + failure) as f64)
    }

    /// Failures of class quorum among all aggregations, 0 to 1; `None` when there was no aggregation.
    pub fn quorum_failure_ratio(&self) -> Option<f64> {
        (self.aggregations > 0).then(|| self.quorum_failures as f64 / self.aggregations as f64)
    }
}

impl Snapshot {
    /// The series of `metric`.
    pub fn series(&self, metric: Metric) -> &[Series] {
        self.families.iter().find(|family| family.metric == metric).map_or(&[], |family| &family.series)
    }

    /// How many series there are.
    pub fn series_count(&self) -> usize {
        let families: usize = self.families.iter().map(|family| family.series.len()).sum();
        families + self.calls.len() * CALL_METRICS.len()
    }

    /// The sum over those series of `metric` whose attributes satisfy `select`: counts, or observations of a distribution.
    pub fn total(&self, metric: Metric, select: impl Fn(&Attributes) -> bool) -> u64 {
        self.series(metric).iter().filter(|series| select(&series.attributes)).map(|series| series.value.count()).sum()
    }

    /// The durations of those operations whose attributes satisfy `select`, together.
    pub fn duration(&self, select: impl Fn(&Attributes) -> bool) -> DurationHistogram {
        let mut together = DurationHistogram::default();
        for series in self.series(Metric::OperationDuration).iter().filter(|series| select(&series.attributes)) {
            if let SeriesValue::Duration(histogram) = &series.value {
                together.merge(histogram);
            }
        }
        together
    }

    /// Every chain at a glance. What was counted beyond the limit of series is in the durations and in none of the counts
    /// by outcome or operation, because it is not known there.
    pub fn chains(&self) -> BTreeMap<ChainLabel, ChainSummary> {
        let mut chains = BTreeMap::<ChainLabel, ChainSummary>::new();
        for series in self.series(Metric::Operations) {
            let (chain, count) = (chains.entry(series.attributes.chain).or_default(), series.value.count());
            match series.attributes.outcome {
                Some(OutcomeClass::Success) => chain.outcomes[0] += count,
                Some(OutcomeClass::Failure) => chain.outcomes[1] += count,
                Some(OutcomeClass::Cancelled) => chain.outcomes[2] += count,
                None => {}
            }
            if series.attributes.operation == Some(Operation::BlsAggregation) {
                chain.aggregations += count;
                let failed = series.attributes.outcome == Some(OutcomeClass::Failure);
                if failed && series.attributes.reason.is_some_and(|reason| class(reason) == "quorum") {
                    chain.quorum_failures += count;
                }
            }
        }
        for series in self.series(Metric::OperationDuration) {
            if let SeriesValue::Duration(histogram) = &series.value {
                chains.entry(series.attributes.chain).or_default().duration.merge(histogram);
            }
        }
        chains
    }
}

impl Series {
    /// The attributes that this series of `metric` has, as text, without the dimensions; never an empty value.
    pub fn texts(&self, metric: Metric) -> impl Iterator<Item = (MetricAttribute, Cow<'_, str>)> + '_ {
        metric.entry().attributes.iter().filter_map(|attribute| Some((*attribute, self.text(*attribute)?)))
    }

    fn text(&self, attribute: MetricAttribute) -> Option<Cow<'_, str>> {
        let of_subject = |text: fn(&Subject) -> &str| {
            let text = self.subject.as_ref().map(text)?;
            (!text.is_empty()).then_some(Cow::Borrowed(text))
        };
        match attribute {
            MetricAttribute::Signer | MetricAttribute::Target => of_subject(|subject| &subject.name),
            MetricAttribute::ServiceInstanceId => of_subject(|subject| &subject.instance),
            other => self.attributes.value(other),
        }
    }
}
