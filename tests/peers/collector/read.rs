//! Reads both vocabularies from OTLP exports: chainspan's deltas by operation, the Collector's running totals by span name.

use std::collections::BTreeMap;

use chainspan_sim::parse_exposition;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::AggregationTemporality;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;

use super::truth::operation;

/// Durations of some operations of a service.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reading {
    pub(crate) count: u64,
    /// The earliest time that a point of them bears.
    pub(crate) first_time_unix_nano: u64,
    /// Upper bound in milliseconds (as bits: they are positive, so the order is theirs) → lower bound and count.
    buckets: BTreeMap<u64, (f64, u64)>,
    exponential: bool,
}

/// One point: temporality, time, buckets in milliseconds (lower, upper, count).
struct Point {
    delta: bool,
    exponential: bool,
    time: u64,
    count: u64,
    buckets: Vec<(f64, f64, u64)>,
}

/// The durations of `operations` of `service` in all `exports`.
pub(crate) fn read(exports: &[ExportMetricsServiceRequest], service: &str, operations: &[&str]) -> Reading {
    let mut reading = Reading::default();
    // Of running totals the last of each series counts.
    let mut totals: BTreeMap<String, Point> = BTreeMap::new();
    for resource in exports.iter().flat_map(|export| &export.resource_metrics) {
        let of_resource = resource.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
        for metric in resource.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
            let scale = match metric.name.as_str() {
                "avs.gateway.operation.duration" => 1e3,
                "traces.span.metrics.duration" => 1.0,
                _ => continue,
            };
            for (attributes, point) in points(metric.data.as_ref(), scale) {
                let text = |key: &str| text(attributes, key).or_else(|| text(of_resource, key));
                let own = text("operation").or_else(|| text("span.name").and_then(operation)).unwrap_or_default();
                if text("service.name") != Some(service) || !operations.contains(&own) {
                    continue;
                }
                let first = &mut reading.first_time_unix_nano;
                *first = if *first == 0 { point.time } else { point.time.min(*first) };
                if point.delta {
                    reading.add(&point);
                } else {
                    totals.insert(format!("{of_resource:?} {attributes:?}"), point);
                }
            }
        }
    }
    totals.values().for_each(|point| reading.add(point));
    reading
}

fn points(data: Option<&Data>, scale: f64) -> Vec<(&[KeyValue], Point)> {
    let is_delta = |temporality: i32| temporality == AggregationTemporality::Delta as i32;
    match data {
        Some(Data::Histogram(histogram)) => {
            let delta = is_delta(histogram.aggregation_temporality);
            let point = histogram.data_points.iter().map(|point| {
                let uppers = point.explicit_bounds.iter().map(|bound| bound * scale);
                let lowers = [0.0].into_iter().chain(uppers.clone());
                let buckets = lowers.zip(uppers.chain([f64::INFINITY])).zip(&point.bucket_counts);
                let buckets = buckets.map(|((low, high), count)| (low, high, *count)).collect();
                let (time, count) = (point.time_unix_nano, point.count);
                (&point.attributes[..], Point { delta, exponential: false, time, count, buckets })
            });
            point.collect()
        }
        Some(Data::ExponentialHistogram(histogram)) => {
            let delta = is_delta(histogram.aggregation_temporality);
            let point = histogram.data_points.iter().map(|point| {
                let positive = point.positive.clone().unwrap_or_default();
                let bound = |index: i32| (f64::from(index) * 2f64.powi(-point.scale)).exp2() * scale;
                let filled = positive.bucket_counts.iter().zip(positive.offset..).filter(|(count, _)| **count > 0);
                let buckets = filled.map(|(count, index)| (bound(index), bound(index + 1), *count));
                let buckets = [(0.0, 0.0, point.zero_count)].into_iter().chain(buckets).collect();
                let (time, count) = (point.time_unix_nano, point.count);
                (&point.attributes[..], Point { delta, exponential: true, time, count, buckets })
            });
            point.collect()
        }
        _ => Vec::new(),
    }
}

fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    let value = &attributes.iter().find(|attribute| attribute.key == key)?.value;
    match value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

impl Reading {
    fn add(&mut self, point: &Point) {
        self.count += point.count;
        self.exponential = point.exponential;
        for (low, high, count) in &point.buckets {
            self.buckets.entry(high.to_bits()).or_insert((*low, 0)).1 += count;
        }
    }

    /// The quantile in milliseconds: of explicit buckets linear within the one that holds the rank, as Prometheus does it;
    /// of exponential ones its middle.
    pub(crate) fn quantile(&self, q: f64) -> Option<f64> {
        let rank = q * self.count as f64;
        let mut below = 0;
        for (high, (low, count)) in &self.buckets {
            let high = f64::from_bits(*high);
            if (below + count) as f64 >= rank && *count > 0 {
                return Some(match (self.exponential, high.is_infinite()) {
                    (_, true) => *low,
                    (true, false) => 2.0 * low * high / (low + high),
                    (false, false) => low + (high - low) * (rank - below as f64) / *count as f64,
                });
            }
            below += count;
        }
        None
    }
}

/// The p99 of an operation in milliseconds, from the classic buckets of a Prometheus page.
pub(crate) fn on_page(page: &str, service: &str, operation: &str) -> f64 {
    let mut cumulative = BTreeMap::<u64, f64>::new();
    for (series, value) in parse_exposition(page).unwrap() {
        let is = |key: &str, text: &str| series.labels.iter().any(|(k, v)| k == key && v == text);
        if series.name == "avs_gateway_operation_duration_seconds_bucket"
            && is("service_name", service)
            && is("operation", operation)
        {
            let le = series.labels.iter().find(|(key, _)| *key == "le").map(|(_, le)| le.clone()).unwrap();
            let high = le.parse::<f64>().unwrap_or(f64::INFINITY) * 1e3;
            *cumulative.entry(high.to_bits()).or_default() += value;
        }
    }
    let (mut low, mut before) = (0.0, 0.0);
    let mut reading = Reading::default();
    for (high, value) in cumulative {
        reading.buckets.insert(high, (low, (value - before) as u64));
        (low, before) = (f64::from_bits(high), value);
        reading.count = value as u64;
    }
    reading.quantile(0.99).unwrap()
}
