//! One series as one data point.

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, NumberDataPoint, exemplar, number_data_point,
};
use prost::Message;

use crate::red::{self, DurationHistogram, FixedHistogram, Metric, Series, SeriesValue};

/// Of the buckets of durations: 64 to a doubling.
const SCALE: i32 = 6;
/// Durations below this, in seconds, are in the zero bucket.
const ZERO_THRESHOLD: f64 = 1e-6;
/// Of every number of nanoseconds that is sent in seconds.
const NANO: f64 = 1e9;

/// A data point of the kind that its metric has.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Point {
    /// Of a counter or a gauge.
    Number(NumberDataPoint),
    /// Of a distribution over fixed bounds.
    Fixed(HistogramDataPoint),
    /// Of a duration.
    Exponential(ExponentialHistogramDataPoint),
}

impl Point {
    /// What `series` of `metric` says of the time from `start` to `end`, nanoseconds since the Unix epoch; `instance` is
    /// added to its attributes.
    pub(super) fn of(metric: Metric, series: &Series, (start, end): (u64, u64), instance: Option<&str>) -> Self {
        let mut attributes = attributes(metric, series);
        attributes.extend(instance.map(|instance| string("chainspan.instance", instance)));
        match &series.value {
            SeriesValue::Counter(count) => {
                // More than 2⁶³ cannot be said, nor reached.
                let count = i64::try_from(*count).unwrap_or(i64::MAX);
                Self::Number(number(attributes, (start, end), number_data_point::Value::AsInt(count)))
            }
            SeriesValue::Gauge(value) => {
                Self::Number(number(attributes, (start, end), number_data_point::Value::AsDouble(*value)))
            }
            SeriesValue::Fixed(histogram) => Self::Fixed(fixed(attributes, (start, end), histogram)),
            SeriesValue::Duration(histogram) => {
                let exemplars = series.exemplars.iter().map(exemplar).collect();
                Self::Exponential(exponential(attributes, (start, end), histogram, exemplars))
            }
        }
    }

    /// Bytes on the wire, without the tag and length that stand before it.
    pub(super) fn encoded_len(&self) -> usize {
        match self {
            Self::Number(point) => point.encoded_len(),
            Self::Fixed(point) => point.encoded_len(),
            Self::Exponential(point) => point.encoded_len(),
        }
    }
}

/// A text attribute: the agent makes tags of texts, and of nothing else.
pub(super) fn string(key: &str, value: &str) -> KeyValue {
    let value = Some(any_value::Value::StringValue(value.to_owned()));
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value }), ..KeyValue::default() }
}

fn attributes(metric: Metric, series: &Series) -> Vec<KeyValue> {
    let mut attributes: Vec<KeyValue> =
        series.texts(metric).map(|(attribute, text)| string(attribute.name(), &text)).collect();
    if series.attributes.overflow {
        attributes.push(string(red::OVERFLOW_ATTRIBUTE, "true"));
    }
    attributes
}

fn number(attributes: Vec<KeyValue>, (start, end): (u64, u64), value: number_data_point::Value) -> NumberDataPoint {
    NumberDataPoint {
        attributes,
        start_time_unix_nano: start,
        time_unix_nano: end,
        value: Some(value),
        ..NumberDataPoint::default()
    }
}

fn fixed(attributes: Vec<KeyValue>, (start, end): (u64, u64), histogram: &FixedHistogram) -> HistogramDataPoint {
    let bounds = histogram.bounds();
    let one = 10f64.powi(bounds.decimals as i32);
    HistogramDataPoint {
        attributes,
        start_time_unix_nano: start,
        time_unix_nano: end,
        count: histogram.count(),
        sum: Some(histogram.sum() as f64 / one),
        bucket_counts: histogram.buckets().to_vec(),
        explicit_bounds: bounds.values.iter().map(|bound| *bound as f64 / one).collect(),
        min: histogram.min().map(|min| min as f64 / one),
        max: histogram.max().map(|max| max as f64 / one),
        ..HistogramDataPoint::default()
    }
}

fn exponential(
    attributes: Vec<KeyValue>,
    (start, end): (u64, u64),
    histogram: &DurationHistogram,
    exemplars: Vec<Exemplar>,
) -> ExponentialHistogramDataPoint {
    let classic = histogram.classic();
    ExponentialHistogramDataPoint {
        attributes,
        start_time_unix_nano: start,
        time_unix_nano: end,
        count: histogram.count(),
        sum: Some(classic.sum() as f64 / NANO),
        scale: SCALE,
        zero_count: histogram.zero_count(),
        positive: buckets(histogram),
        zero_threshold: ZERO_THRESHOLD,
        min: classic.min().map(|min| min as f64 / NANO),
        max: classic.max().map(|max| max as f64 / NANO),
        exemplars,
        ..ExponentialHistogramDataPoint::default()
    }
}

/// From the first filled bucket to the last, those between them included; `None` when all is in the zero bucket.
fn buckets(histogram: &DurationHistogram) -> Option<Buckets> {
    let mut filled = histogram.exponential();
    let (offset, first) = filled.next()?;
    let mut bucket_counts = vec![first];
    for (index, count) in filled {
        // Ascending, so the distance is positive; and there are 2,048 buckets at most.
        bucket_counts.resize((index - offset) as usize, 0);
        bucket_counts.push(count);
    }
    Some(Buckets { offset, bucket_counts })
}

fn exemplar(seen: &red::Exemplar) -> Exemplar {
    Exemplar {
        time_unix_nano: seen.end_unix_nano,
        trace_id: seen.trace_id.to_vec(),
        span_id: seen.span_id.to_vec(),
        value: Some(exemplar::Value::AsDouble(seen.duration_nano as f64 / NANO)),
        ..Exemplar::default()
    }
}
