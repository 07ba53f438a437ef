//! What has been counted, at one moment: series by metric, for the exporters.

use std::borrow::Cow;
use std::sync::Arc;

use super::calls::{CALL_METRICS, Calls};
use super::duration_histogram::DurationHistogram;
use super::fixed_histogram::FixedHistogram;
use super::labels::{Attributes, Subject};
use super::metric::{Metric, MetricAttribute};
use super::stage::Dims;

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

impl Snapshot {
    /// How many series there are.
    pub fn series_count(&self) -> usize {
        let families: usize = self.families.iter().map(|family| family.series.len()).sum();
        families + self.calls.len() * CALL_METRICS.len()
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
