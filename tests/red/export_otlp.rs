//! What is pushed over OTLP, read back with the generated types; and what becomes of a window whose destination falters.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chainspan::chain::ChainId;
use chainspan::config::{self, Retry, Signals, Temporality};
use chainspan::delivery::Destination;
use chainspan::export::otlp::{Period, PushSettings, Pusher, requests};
use chainspan::gateway::{Operation, OutcomeClass};
use chainspan::red::{
    Attributes, ChainLabel, Dims, DurationHistogram, Exemplar, Family, FixedHistogram, Instrument, Metric, Series,
    SeriesValue, Snapshot, Window,
};
use chainspan::telemetry::{LOST_POINTS, SENT_POINTS, Telemetry};
use chainspan_testing::server::{Act, FaultServer};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{self as otlp, metric::Data, number_data_point};
use proptest::prelude::*;
use prost::Message;
use tonic::Code;

const START: u64 = 1_700_000_000_000_000_000;
const END: u64 = START + 10_000_000_000;

fn dims(service: &str) -> Arc<Dims> {
    Arc::new(Dims(vec![service.into(), "".into()].into()))
}

fn series(service: &str, chain: u64, operation: Operation, value: SeriesValue) -> Series {
    Series {
        dims: dims(service),
        attributes: Attributes {
            chain: ChainLabel::Id(ChainId::new(chain).expect("in range")),
            operation: Some(operation),
            outcome: Some(OutcomeClass::Success),
            reason: None,
            webhook: None,
            part: None,
            overflow: false,
        },
        subject: None,
        start_unix_nano: START - 5,
        value,
        exemplars: Vec::new(),
    }
}

fn snapshot(families: Vec<Family>) -> Snapshot {
    Snapshot {
        namespace: "avs.gateway".into(),
        dimensions: Arc::new(["service.name".to_owned(), "deployment.environment.name".to_owned()]),
        families,
        calls: Vec::new(),
        overflow_observations: 0,
        late: 0,
        future: 0,
    }
}

fn settings(max_request_bytes: usize) -> PushSettings {
    PushSettings { temporality: Temporality::Delta, instance: Some("host:14317".to_owned()), max_request_bytes }
}

fn fixed(metric: Metric, values: &[i64]) -> SeriesValue {
    let Instrument::Histogram(bounds) = metric.entry().instrument else { panic!("{metric:?} is no histogram") };
    let mut histogram = FixedHistogram::new(bounds);
    values.iter().for_each(|value| histogram.add(*value));
    SeriesValue::Fixed(histogram)
}

fn duration(values: &[u64]) -> SeriesValue {
    let mut histogram = DurationHistogram::default();
    values.iter().for_each(|value| histogram.add(*value));
    SeriesValue::Duration(Arc::new(histogram))
}

/// Attributes by name; every value must be a text.
fn texts(attributes: &[KeyValue]) -> BTreeMap<&str, &str> {
    fn text(attribute: &KeyValue) -> &str {
        match attribute.value.as_ref().map(|value| &value.value) {
            Some(Some(any_value::Value::StringValue(text))) => text.as_str(),
            other => panic!("{}: not a text: {other:?}", attribute.key),
        }
    }
    attributes.iter().map(|attribute| (attribute.key.as_str(), text(attribute))).collect()
}

/// One window with everything in it, field by field as the data model and the agent want it.
#[test]
fn a_window_is_written_as_the_agent_reads_it() {
    let slow = Exemplar { duration_nano: 4_000_000_000, end_unix_nano: START + 7, trace_id: [7; 16], span_id: [9; 8] };
    let mut timed = series("gateway", 1, Operation::Task, duration(&[0, 999, 1_000_000_000, 4_000_000_000]));
    timed.exemplars = vec![slow];
    let mut overflow = series("gateway", 1, Operation::Task, SeriesValue::Counter(5));
    overflow.attributes.overflow = true;
    let family = |metric, series| Family { metric, series };
    let all = snapshot(vec![
        family(Metric::Operations, vec![series("gateway", 1, Operation::Task, SeriesValue::Counter(3)), overflow]),
        family(Metric::OperationDuration, vec![timed]),
        family(
            Metric::SignedStakeRatio,
            vec![series("gateway", 1, Operation::Task, fixed(Metric::SignedStakeRatio, &[410_000_000, 670_000_000]))],
        ),
        family(Metric::TxNonceGap, vec![series("gateway", 1, Operation::Task, SeriesValue::Gauge(2.0))]),
    ]);
    let written = requests(&all, Period::Window(START, END), &settings(1 << 20));
    assert_eq!((written.len(), written[0].points), (1, 5));
    let message = ExportMetricsServiceRequest::decode(&written[0].body[..]).expect("valid");
    let [resource] = &message.resource_metrics[..] else { panic!("one resource: {message:?}") };
    let named = texts(&resource.resource.as_ref().expect("there").attributes);
    assert_eq!(named, BTreeMap::from([("service.name", "gateway")]), "what is empty is left out");
    let [scope] = &resource.scope_metrics[..] else { panic!("one scope") };
    let of = |name: &str| scope.metrics.iter().find(|metric| metric.name == name).expect("there");

    let operations = of("avs.gateway.operations");
    assert_eq!((operations.unit.as_str(), operations.description.is_empty()), ("{operation}", false));
    let Some(Data::Sum(sum)) = &operations.data else { panic!("{operations:?}") };
    assert!(sum.is_monotonic);
    assert_eq!(sum.aggregation_temporality(), otlp::AggregationTemporality::Delta);
    let [counted, rest] = &sum.data_points[..] else { panic!("two points: {sum:?}") };
    assert_eq!((counted.start_time_unix_nano, counted.time_unix_nano), (START, END));
    assert_eq!(counted.value, Some(number_data_point::Value::AsInt(3)));
    let expected = BTreeMap::from([
        ("chain_id", "1"),
        ("operation", "task"),
        ("outcome", "success"),
        ("chainspan.instance", "host:14317"),
    ]);
    assert_eq!(texts(&counted.attributes), expected);
    assert_eq!(texts(&rest.attributes)["otel.metric.overflow"], "true");

    let Some(Data::ExponentialHistogram(durations)) = &of("avs.gateway.operation.duration").data else { panic!() };
    assert_eq!(durations.aggregation_temporality(), otlp::AggregationTemporality::Delta);
    let point = &durations.data_points[0];
    assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (START, END));
    assert_eq!((point.count, point.sum, point.scale), (4, Some(5.000_000_999), 6));
    assert_eq!((point.min, point.max, point.zero_count, point.zero_threshold), (Some(0.0), Some(4.0), 2, 1e-6));
    // 1 s and 4 s are bounds: each belongs to the bucket that ends there.
    let positive = point.positive.as_ref().expect("two above zero");
    assert_eq!((positive.offset, positive.bucket_counts.len()), (-1, 129));
    assert_eq!((positive.bucket_counts[0], positive.bucket_counts[128]), (1, 1));
    assert_eq!(positive.bucket_counts.iter().sum::<u64>() + point.zero_count, point.count);
    let [seen] = &point.exemplars[..] else { panic!("one exemplar") };
    assert_eq!((&seen.trace_id[..], &seen.span_id[..], seen.time_unix_nano), (&[7; 16][..], &[9; 8][..], START + 7));
    assert_eq!(seen.value, Some(otlp::exemplar::Value::AsDouble(4.0)));

    let Some(Data::Histogram(ratios)) = &of("avs.gateway.quorum.signed_stake.ratio").data else { panic!() };
    let point = &ratios.data_points[0];
    assert_eq!((point.count, point.sum, point.min, point.max), (2, Some(1.08), Some(0.41), Some(0.67)));
    assert_eq!((point.explicit_bounds.len() + 1, point.explicit_bounds[1]), (point.bucket_counts.len(), 0.05));
    let Some(Data::Gauge(gap)) = &of("avs.gateway.tx.nonce.gap").data else { panic!() };
    assert_eq!(gap.data_points[0].value, Some(number_data_point::Value::AsDouble(2.0)));
}

/// Running totals count from the beginning of each series until now, and say that they do.
#[test]
fn totals_begin_where_their_series_begin() {
    let all = snapshot(vec![Family {
        metric: Metric::Operations,
        series: vec![series("gateway", 1, Operation::Task, SeriesValue::Counter(3))],
    }]);
    let settings = PushSettings { temporality: Temporality::Cumulative, instance: None, ..settings(1 << 20) };
    let written = requests(&all, Period::Until(END), &settings);
    let message = ExportMetricsServiceRequest::decode(&written[0].body[..]).expect("valid");
    let metric = &message.resource_metrics[0].scope_metrics[0].metrics[0];
    let Some(Data::Sum(sum)) = &metric.data else { panic!("{metric:?}") };
    assert_eq!(sum.aggregation_temporality(), otlp::AggregationTemporality::Cumulative);
    let point = &sum.data_points[0];
    assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (START - 5, END));
    assert!(!texts(&point.attributes).contains_key("chainspan.instance"));
    assert!(requests(&snapshot(Vec::new()), Period::Until(END), &settings).is_empty());
}

proptest! {
    /// However small a request must be: no point is lost or doubled, none is under a wrong resource, none makes a request
    /// too large that could have gone elsewhere, and within a request no resource and no metric stands twice.
    #[test]
    fn requests_are_cut_between_points(
        points in prop::collection::btree_map((0usize..3, 1u64..40, 0usize..2), 1u64..1_000, 1..120),
        max in 100usize..6_000,
    ) {
        let mut families: BTreeMap<Metric, Vec<Series>> = BTreeMap::new();
        for ((service, chain, kind), count) in &points {
            let service = ["a", "gateway", ""][*service];
            let (metric, value) = match kind {
                0 => (Metric::Operations, SeriesValue::Counter(*count)),
                _ => (Metric::OperationDuration, duration(&vec![count * 1_000_000; *count as usize])),
            };
            families.entry(metric).or_default().push(series(service, *chain, Operation::Task, value));
        }
        let all = snapshot(families.into_iter().map(|(metric, series)| Family { metric, series }).collect());
        let written = requests(&all, Period::Window(START, END), &settings(max));
        let mut seen = BTreeMap::new();
        for request in &written {
            let message = ExportMetricsServiceRequest::decode(&request.body[..]).expect("valid");
            prop_assert!(request.body.len() <= max || request.points == 1);
            let mut resources = BTreeSet::new();
            let mut count = 0;
            for resource in &message.resource_metrics {
                let named = texts(&resource.resource.as_ref().expect("there").attributes);
                let service = named.get("service.name").copied().unwrap_or_default();
                prop_assert!(resources.insert(service), "{service} stands twice");
                let mut metrics = BTreeSet::new();
                for metric in &resource.scope_metrics[0].metrics {
                    prop_assert!(metrics.insert(metric.name.as_str()), "{} stands twice", metric.name);
                    let found: Vec<(&[KeyValue], u64)> = match metric.data.as_ref().expect("there") {
                        Data::Sum(sum) => sum.data_points.iter().map(|point| match point.value {
                            Some(number_data_point::Value::AsInt(count)) => (&point.attributes[..], count as u64),
                            _ => panic!("{point:?}"),
                        }).collect(),
                        Data::ExponentialHistogram(all) => {
                            all.data_points.iter().map(|point| (&point.attributes[..], point.count)).collect()
                        }
                        other => panic!("{other:?}"),
                    };
                    for (attributes, value) in found {
                        count += 1;
                        let chain: u64 = texts(attributes)["chain_id"].parse().expect("decimal");
                        let place = ["a", "gateway", ""].iter().position(|s| *s == service).expect("known");
                        let kind = usize::from(metric.name.ends_with("duration"));
                        prop_assert!(seen.insert((place, chain, kind), value).is_none());
                    }
                }
            }
            prop_assert_eq!(count, request.points);
        }
        prop_assert_eq!(seen, points);
    }
}

fn destination(fault: &FaultServer, temporality: Temporality, telemetry: &Telemetry) -> Destination {
    let settings = config::Destination {
        name: "otlp/test".to_owned(),
        endpoint: fault.address().to_string(),
        timeout: Duration::from_millis(300),
        connections: 1,
        retry: Retry {
            initial_interval: Duration::from_millis(5),
            max_interval: Duration::from_millis(20),
            max_elapsed_time: None,
        },
        breaker: config::Breaker {
            consecutive_failures: 5,
            open_min: Duration::from_millis(20),
            open_max: Duration::from_millis(100),
        },
        temporality,
        signals: Signals { derived: true, ..Signals::default() },
        ..config::Destination::default()
    };
    Destination::start(settings, telemetry, None).expect("sound settings")
}

/// Three points.
fn window() -> Window {
    let counted = |chain| series("gateway", chain, Operation::Task, SeriesValue::Counter(chain));
    let series = (1..=3).map(counted).collect();
    let snapshot = snapshot(vec![Family { metric: Metric::Operations, series }]);
    Window { start_unix_nano: START, end_unix_nano: END, snapshot }
}

fn count(telemetry: &Telemetry, name: &str) -> BTreeMap<String, f64> {
    let samples = telemetry.samples().into_iter().filter(|sample| sample.name == name);
    samples.map(|s| (s.labels.last().map_or_else(String::new, |(_, value)| value.clone()), s.value)).collect()
}

/// How many times the fault server accepted a request with points.
fn accepted(fault: &FaultServer) -> usize {
    fault.received().iter().filter(|request| request.accepted).count()
}

/// A refusal that leaves no doubt is retried; after an answer that did not come the points are not sent again but counted,
/// and the next window is not held up. Running totals are sent until they arrive.
#[tokio::test]
async fn a_delta_that_may_have_arrived_is_a_counted_gap() {
    for (act, gap) in [
        (Act::Refuse(Code::Unavailable, "busy", None), false),
        (Act::BlackHole, true),
        (Act::Reset, true),
        (Act::Refuse(Code::DeadlineExceeded, "behind it", None), true),
    ] {
        let fault = FaultServer::start().await;
        fault.then([act.clone()]);
        let telemetry = Telemetry::new();
        let destination = destination(&fault, Temporality::Delta, &telemetry);
        let mut pusher = Pusher::new(&[destination], None, telemetry.clone());
        let encoder = pusher.encoder();
        assert!(!encoder.wants_totals());
        pusher.send(encoder.encode(&[window()], None));
        fault.arrived(1).await;
        pusher.send(encoder.encode(&[window()], None));
        pusher.finish().await;
        let (sent, lost) = (count(&telemetry, SENT_POINTS), count(&telemetry, LOST_POINTS));
        if gap {
            assert_eq!((sent["otlp/test"], lost["ambiguous"]), (3.0, 3.0), "{act:?}");
            assert_eq!(accepted(&fault), 1, "{act:?}");
        } else {
            assert_eq!((sent["otlp/test"], lost.len()), (6.0, 0), "{act:?}");
        }
    }

    let fault = FaultServer::start().await;
    fault.then([Act::BlackHole]);
    let telemetry = Telemetry::new();
    let destination = destination(&fault, Temporality::Cumulative, &telemetry);
    let mut pusher = Pusher::new(&[destination], None, telemetry.clone());
    let encoder = pusher.encoder();
    assert!(encoder.wants_totals());
    let totals = window().snapshot;
    pusher.send(encoder.encode(&[window()], Some((&totals, END))));
    pusher.finish().await;
    assert_eq!((accepted(&fault), count(&telemetry, SENT_POINTS)["otlp/test"]), (1, 3.0));
    assert!(count(&telemetry, LOST_POINTS).is_empty());
}

/// What a destination refuses for good is counted as that; and a drain that does not get rid of a window says so too.
#[tokio::test]
async fn every_point_that_does_not_arrive_is_counted_with_its_reason() {
    let fault = FaultServer::start().await;
    fault.then([Act::Refuse(Code::InvalidArgument, "no", None)]).always(Act::Refuse(Code::Unavailable, "down", None));
    let telemetry = Telemetry::new();
    let destination = destination(&fault, Temporality::Delta, &telemetry);
    let mut pusher = Pusher::new(std::slice::from_ref(&destination), None, telemetry.clone());
    let encoder = pusher.encoder();
    pusher.send(encoder.encode(&[window()], None));
    fault.arrived(1).await;
    pusher.send(encoder.encode(&[window()], None));
    fault.arrived(2).await;
    assert!(!destination.drain(tokio::time::Instant::now()).await);
    pusher.finish().await;
    let lost = count(&telemetry, LOST_POINTS);
    assert_eq!(lost, BTreeMap::from([("rejected".to_owned(), 3.0), ("shutdown".to_owned(), 3.0)]));
}
