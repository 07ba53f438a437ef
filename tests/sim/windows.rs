//! Windows of event time as they are exported, laid beside the truth: first the check itself, which must find whatever is
//! wrong, then a real chainspan.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::{NAMESPACE, Setup, assert_page, assert_timing, send};
use chainspan::sim::{
    Chain, FAMILIES, Figure, MEASURED, Relay, Scope, Series, Shape, Trouble, Truth, WINDOW_NANO, Windows,
    check_windows, gateways, spec,
};
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

fn point(series: &Series, figure: &Figure, start: u64) -> ResourceMetrics {
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
    let data = match figure {
        Figure::Count(count) => Data::Sum(Sum {
            data_points: vec![number(number_data_point::Value::AsInt(count.cast_signed()))],
            aggregation_temporality: DELTA,
            is_monotonic: true,
        }),
        Figure::Gauge(value) => {
            Data::Gauge(Gauge { data_points: vec![number(number_data_point::Value::AsDouble(*value))] })
        }
        Figure::Values(values) => {
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
        Figure::Durations(durations) => {
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
fn faultless() -> (Truth, Vec<ExportMetricsServiceRequest>) {
    let mut truth = Truth::by_window();
    for mut gateway in gateways(2, &Chain::cast(&[1, 8_453, 42_161, 10, 137]), 5) {
        for batch in 0..12 {
            let now = NOW + batch * 2_500_000_000;
            truth.acknowledge(&gateway.next_batch(400, now).facts, now, now + 1);
        }
    }
    // A gauge stays as it was seen last.
    let mut gauges = BTreeMap::new();
    let mut export = |(start, window): (u64, &Truth)| {
        let mut figures = window.figures(&FAMILIES);
        let seen = figures.iter().filter(|(_, figure)| matches!(figure, Figure::Gauge(_)));
        gauges.extend(seen.map(|(series, figure)| (series.clone(), figure.clone())));
        figures.extend(gauges.clone());
        let points = figures.iter().map(|(series, figure)| point(series, figure, start));
        ExportMetricsServiceRequest { resource_metrics: points.collect() }
    };
    let exports = truth.windows().map(&mut export).collect();
    (truth, exports)
}

fn found(truth: &Truth, exports: &[ExportMetricsServiceRequest]) -> Windows {
    check_windows(exports, truth, NAMESPACE, &FAMILIES, Scope::EachWindow)
}

/// The first metric of that name that `change` is able to change.
fn changed(
    exports: &[ExportMetricsServiceRequest],
    name: &str,
    mut change: impl FnMut(&mut Data) -> bool,
) -> Vec<ExportMetricsServiceRequest> {
    let mut exports = exports.to_vec();
    let resources = exports.iter_mut().flat_map(|export| &mut export.resource_metrics);
    let metrics = resources.flat_map(|resource| &mut resource.scope_metrics).flat_map(|scope| &mut scope.metrics);
    let hit = metrics
        .filter(|metric| metric.name == format!("{NAMESPACE}.{name}"))
        .any(|metric| metric.data.as_mut().is_some_and(&mut change));
    assert!(hit, "{name} has nothing to change");
    exports
}

/// What a chainspan without a fault exports passes, every family with every window of it.
#[test]
fn exports_without_a_fault_pass() {
    let (truth, exports) = faultless();
    let windows = found(&truth, &exports);
    assert!(windows.troubles.is_empty(), "{}", windows.troubles.join("\n"));
    assert_eq!((windows.windows.len(), windows.gaps, windows.ragged), (4, 0, 0));
    for family in FAMILIES {
        assert!(truth.figures(&FAMILIES).keys().any(|series| series.name == family.name), "{}", family.name);
    }
    assert!(truth.timing().all_on_time());
}

/// Each fault that an exporter can have is found: a window twice, lost, shifted or overlapping; a count, a sum in its last
/// nanosecond, a bucket, a maximum, a scale, a temporality, a type of attribute that is wrong.
#[test]
fn planted_faults_are_found() {
    let (truth, exports) = faultless();
    let mut twice = exports.clone();
    twice.push(exports[1].clone());
    let backwards: Vec<_> = exports.iter().rev().cloned().collect();
    assert!(found(&truth, &backwards).troubles.is_empty(), "the order of arrival means nothing");
    let mut lost = exports.clone();
    lost.remove(1);
    assert_eq!(found(&truth, &lost).gaps, 1);
    let exponential = |change: fn(&mut ExponentialHistogramDataPoint) -> bool| {
        changed(&exports, "operation.duration", |data| match data {
            Data::ExponentialHistogram(histogram) => change(&mut histogram.data_points[0]),
            _ => false,
        })
    };
    let mut faults = vec![
        ("twice", twice),
        ("lost", lost),
        ("off by one", changed(&exports, "operations", |data| count(data, 1))),
        (
            "overlapping",
            exponential(|point| {
                point.start_time_unix_nano -= 1;
                true
            }),
        ),
        (
            "sum",
            exponential(|point| {
                let enough = point.count > 1;
                point.sum = point.sum.map(|sum| sum + if enough { 1e-9 } else { 0.0 });
                enough
            }),
        ),
        (
            "max",
            exponential(|point| {
                point.max = point.min;
                point.count > 1
            }),
        ),
        (
            "scale",
            exponential(|point| {
                point.scale = 5;
                true
            }),
        ),
        (
            "torn",
            exponential(|point| {
                point.count += 1;
                true
            }),
        ),
        (
            "bucket",
            exponential(|point| {
                point.positive.as_mut().is_some_and(|positive| {
                    positive.offset += 2;
                    true
                })
            }),
        ),
        (
            "attribute",
            changed(&exports, "tx.failures", |data| match data {
                Data::Sum(sum) => {
                    sum.data_points[0].attributes[0].value = Some(AnyValue { value: Some(Value::IntValue(1)) });
                    true
                }
                _ => false,
            }),
        ),
        (
            "temporality",
            changed(&exports, "tx.failures", |data| match data {
                Data::Sum(sum) => {
                    sum.aggregation_temporality = AggregationTemporality::Cumulative as i32;
                    true
                }
                _ => false,
            }),
        ),
        (
            "bounds",
            changed(&exports, "quorum.margin", |data| match data {
                Data::Histogram(histogram) => {
                    histogram.data_points[0].explicit_bounds[3] += 0.01;
                    true
                }
                _ => false,
            }),
        ),
        ("gauge, in the first window", changed(&exports, "tx.nonce.gap", another_state)),
        ("gauge, in the last window", changed(&backwards, "tx.nonce.gap", another_state)),
    ];
    for family in FAMILIES.iter().filter(|family| family.shape == Shape::Counter) {
        faults.push((family.name, changed(&exports, family.name, |data| count(data, 1))));
    }
    for (fault, exports) in faults {
        assert!(!found(&truth, &exports).troubles.is_empty(), "{fault}");
    }
}

fn another_state(data: &mut Data) -> bool {
    match data {
        Data::Gauge(gauge) => {
            gauge.data_points[0].value = Some(number_data_point::Value::AsDouble(99.0));
            true
        }
        _ => false,
    }
}

/// A count that moved from one window to the next is found there, and rightly not in the totals.
#[test]
fn a_count_in_the_wrong_window_is_found() {
    let (truth, exports) = faultless();
    // Every series of operations in a window, by what it says of itself.
    let places = |export: &ExportMetricsServiceRequest| {
        let resources = export.resource_metrics.iter().enumerate();
        let places = resources.filter_map(|(at, resource)| {
            let metric = &resource.scope_metrics[0].metrics[0];
            let Some(Data::Sum(sum)) = &metric.data else { return None };
            let mine = metric.name == format!("{NAMESPACE}.operations");
            mine.then(|| (format!("{:?} {:?}", resource.resource, sum.data_points[0].attributes), at))
        });
        places.collect::<BTreeMap<String, usize>>()
    };
    let (one, other) = (places(&exports[1]), places(&exports[2]));
    let (first, second) =
        one.iter().find_map(|(series, at)| Some((*at, *other.get(series)?))).expect("they have one in common");
    let mut moved = exports.clone();
    for (export, at, by) in [(1, first, 1), (2, second, -1)] {
        let metric = &mut moved[export].resource_metrics[at].scope_metrics[0].metrics[0];
        assert!(count(metric.data.as_mut().unwrap(), by));
    }
    assert_eq!(found(&truth, &moved).troubles.len(), 2);
    let totals = check_windows(&moved, &truth, NAMESPACE, &FAMILIES, Scope::Totals);
    assert!(totals.troubles.is_empty(), "{}", totals.troubles.join("\n"));
}

fn count(data: &mut Data, by: i64) -> bool {
    let Data::Sum(sum) = data else { return false };
    match &mut sum.data_points[0].value {
        Some(number_data_point::Value::AsInt(count)) => {
            *count += by;
            true
        }
        _ => false,
    }
}

/// A real chainspan under an even load of spans that come in at once: every window holds exactly what ended in it, windows
/// follow each other without a gap, and the last ones come with the shutdown.
#[tokio::test(flavor = "multi_thread")]
async fn every_window_holds_what_ended_in_it() {
    let setup = Setup::start().await;
    let trouble = Trouble::seeded(21);
    let relay = Relay::start(setup.grpc(), &trouble).await.unwrap();
    let progress = setup.measures(Truth::by_window());
    send(&relay, &trouble, 4, Duration::from_secs(12), &progress).await;
    let page = setup.page().await;
    setup.service.shut_down().await.unwrap();
    progress.with_truth(|truth| {
        assert_page(truth, &page);
        assert_timing(truth, &page);
        assert!(truth.windows().count() >= 2);
        // A span may have been late, if its window was over when chainspan began or if the machine stood still for ten
        // seconds: then only the totals are known.
        let on_time = truth.timing().all_on_time();
        let scope = if on_time { Scope::EachWindow } else { Scope::Totals };
        let found = check_windows(&setup.agent.metrics(), truth, NAMESPACE, MEASURED, scope);
        assert!(found.troubles.is_empty(), "{} troubles:\n{}", found.troubles.len(), found.troubles.join("\n"));
        assert_eq!(found.gaps, 0, "{:?}", found.windows);
        assert!(found.windows.len() >= 2 && found.ragged <= 2, "{:?}", found.windows);
        assert!(found.exemplars > 0);
    });
}
