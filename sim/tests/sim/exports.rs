//! Metric exports as a chainspan without a fault would make them of a known truth.

use std::collections::BTreeMap;

use chainspan_sim::{Chain, Expected, FAMILIES, Series, Truth, WINDOW_NANO, gateways, spec};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint,
    Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

pub(crate) const NAMESPACE: &str = "avs.gateway";

const NOW: u64 = 180_000_000 * WINDOW_NANO + 5_000_000_000;
const DELTA: i32 = AggregationTemporality::Delta as i32;

fn attributes(labels: &BTreeMap<String, String>, of_resource: bool) -> Vec<KeyValue> {
    let name = |label: &str| match label {
        "chain_id" | "status_class" => label.to_owned(),
        dotted => dotted.replace('_', "."),
    };
    let chosen = labels
        .iter()
        .filter(|(label, _)| ["service_name", "deployment_environment_name"].contains(&label.as_str()) == of_resource);
    let attribute = |(label, value): (&String, &String)| KeyValue {
        key: name(label),
        value: Some(AnyValue { value: Some(Value::StringValue(value.clone())) }),
        ..KeyValue::default()
    };
    chosen.map(attribute).collect()
}

/// The index of the bucket of scale 6 that holds `nano`: its upper bound belongs to it.
fn index(nano: u64) -> i32 {
    ((nano as f64 / 1e9).log2() * 64.0).ceil() as i32 - 1
}

fn point(series: &Series, value: &Expected, start: u64) -> ResourceMetrics {
    let family = FAMILIES.iter().find(|family| family.name == series.name).unwrap();
    let attributes_of_point = attributes(&series.labels, false);
    let (start_time_unix_nano, time_unix_nano) = (start, start + WINDOW_NANO);
    let number = |value| NumberDataPoint {
        attributes: attributes_of_point.clone(),
        start_time_unix_nano,
        time_unix_nano,
        value: Some(value),
        ..NumberDataPoint::default()
    };
    let data = match value {
        Expected::Count(count) => Data::Sum(Sum {
            data_points: vec![number(number_data_point::Value::AsInt(count.cast_signed()))],
            aggregation_temporality: DELTA,
            is_monotonic: true,
        }),
        Expected::Gauge(value) => {
            Data::Gauge(Gauge { data_points: vec![number(number_data_point::Value::AsDouble(*value))] })
        }
        Expected::Values(values) => {
            let explicit_bounds = match family.name {
                "quorum.signed_stake.ratio" => spec::ratio_bounds(),
                "quorum.margin" => spec::margin_bounds(),
                _ => spec::ATTEMPT_BOUNDS.to_vec(),
            };
            Data::Histogram(Histogram {
                data_points: vec![HistogramDataPoint {
                    attributes: attributes_of_point,
                    start_time_unix_nano,
                    time_unix_nano,
                    count: values.count,
                    sum: Some(values.sum),
                    bucket_counts: values.buckets.clone(),
                    explicit_bounds,
                    ..HistogramDataPoint::default()
                }],
                aggregation_temporality: DELTA,
            })
        }
        Expected::Durations(durations) => {
            let mut buckets: BTreeMap<i32, u64> = BTreeMap::new();
            let long = durations.exact.iter().filter(|nano| **nano >= 1_000);
            long.for_each(|nano| *buckets.entry(index(*nano)).or_default() += 1);
            let offset = buckets.keys().next().copied().unwrap_or(0);
            let last = buckets.keys().next_back().copied().unwrap_or(-1);
            let counts = (offset..=last).map(|index| buckets.get(&index).copied().unwrap_or(0)).collect();
            Data::ExponentialHistogram(ExponentialHistogram {
                data_points: vec![ExponentialHistogramDataPoint {
                    attributes: attributes_of_point,
                    start_time_unix_nano,
                    time_unix_nano,
                    count: durations.count,
                    sum: Some(durations.sum_nano as f64 / 1e9),
                    min: Some(durations.min_nano as f64 / 1e9),
                    max: Some(durations.max_nano as f64 / 1e9),
                    scale: 6,
                    zero_count: durations.exact.iter().filter(|nano| **nano < 1_000).count() as u64,
                    positive: Some(Buckets { offset, bucket_counts: counts }),
                    ..ExponentialHistogramDataPoint::default()
                }],
                aggregation_temporality: DELTA,
            })
        }
    };
    let metric = Metric { name: format!("{NAMESPACE}.{}", family.name), data: Some(data), ..Metric::default() };
    ResourceMetrics {
        resource: Some(Resource { attributes: attributes(&series.labels, true), ..Resource::default() }),
        scope_metrics: vec![ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() }],
        ..ResourceMetrics::default()
    }
}

/// Three windows of two gateways, and the exports that a chainspan without a fault would make of them.
pub(crate) fn faultless() -> (Truth, Vec<ExportMetricsServiceRequest>) {
    let mut truth = Truth::by_window();
    for mut gateway in gateways(2, &Chain::with_profiles(&[1, 8_453, 42_161, 10, 137]), 5) {
        for batch in 0..12 {
            let now = NOW + batch * 2_500_000_000;
            truth.acknowledge(&gateway.next_batch(400, now).facts, now, now + 1);
        }
    }
    // A gauge stays as it was seen last.
    let mut gauges = BTreeMap::new();
    let mut export = |(start, window): (u64, &Truth)| {
        let mut expected = window.expected(&FAMILIES);
        let seen = expected.iter().filter(|(_, value)| matches!(value, Expected::Gauge(_)));
        gauges.extend(seen.map(|(series, value)| (series.clone(), value.clone())));
        expected.extend(gauges.clone());
        let points = expected.iter().map(|(series, value)| point(series, value, start));
        ExportMetricsServiceRequest { resource_metrics: points.collect() }
    };
    let exports = truth.windows().map(&mut export).collect();
    (truth, exports)
}
