//! Windows of event time as they are exported, laid beside the truth: the check must find whatever is wrong.

use std::collections::BTreeMap;

use chainspan_sim::{FAMILIES, Shape, Truth, WindowReport, WindowScope, check_windows};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, ExponentialHistogramDataPoint, number_data_point,
};

use super::exports::{NAMESPACE, faultless};

fn found(truth: &Truth, exports: &[ExportMetricsServiceRequest]) -> WindowReport {
    check_windows(exports, truth, NAMESPACE, &FAMILIES, WindowScope::EachWindow)
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
    assert!(windows.problems.is_empty(), "{}", windows.problems.join("\n"));
    assert_eq!((windows.windows.len(), windows.gaps, windows.ragged), (4, 0, 0));
    for family in FAMILIES {
        assert!(truth.expected(&FAMILIES).keys().any(|series| series.name == family.name), "{}", family.name);
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
    assert!(found(&truth, &backwards).problems.is_empty(), "the order of arrival means nothing");
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
        assert!(!found(&truth, &exports).problems.is_empty(), "{fault}");
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
    assert_eq!(found(&truth, &moved).problems.len(), 2);
    let totals = check_windows(&moved, &truth, NAMESPACE, &FAMILIES, WindowScope::Totals);
    assert!(totals.problems.is_empty(), "{}", totals.problems.join("\n"));
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
