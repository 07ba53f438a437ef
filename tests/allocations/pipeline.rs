//! What a request allocates on its way through the pipeline does not depend on how many spans it holds: nothing is allocated
//! per span.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use chainspan::config;
use chainspan::delivery::Signal;
use chainspan::export::prometheus::{Format, render};
use chainspan::pipeline::{Budget, Parts, Pipeline};
use chainspan::red::{Red, RedSettings};
use chainspan::telemetry::Telemetry;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

/// The wall clock of the spans.
const NOW: u64 = 1_700_000_009_000_000_000;

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}

/// `spans` spans of eight chains and four operations; `tagged`: all that chainspan would add is there.
fn request(spans: u64, tagged: bool) -> Bytes {
    const OPERATIONS: [&str; 4] = ["task", "task_broadcast", "tx_submission", "webhook_delivery"];
    let text = |key, text: &str| attribute(key, Value::StringValue(text.into()));
    let span = |number: u64| {
        let (chain, operation) = (1 + number % 8, OPERATIONS[(number / 8 % 4) as usize]);
        let mut attributes = vec![text("avs.operation", operation), attribute("thread.id", Value::IntValue(3))];
        if tagged {
            attributes.push(text("chain_id", &chain.to_string()));
            attributes.push(text("operation.name", &format!("gateway.{operation}")));
        } else {
            attributes.push(attribute("chain.id", Value::IntValue(chain as i64)));
        }
        Span {
            trace_id: u128::from(1 + number / 5).to_be_bytes().into(),
            span_id: (number + 1).to_be_bytes().into(),
            kind: 2,
            name: operation.into(),
            start_time_unix_nano: NOW - 1_000_000 * (1 + number % 8),
            end_time_unix_nano: NOW,
            attributes,
            ..Default::default()
        }
    };
    let resource = Resource { attributes: vec![text("service.name", "gateway")], ..Default::default() };
    let scope_spans = vec![ScopeSpans { spans: (0..spans).map(span).collect(), ..Default::default() }];
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { resource: Some(resource), scope_spans, ..Default::default() }],
    }
    .encode_to_vec()
    .into()
}

/// A pipeline with the configuration that is shipped and nowhere to send to, so that its answers do not wait.
fn pipeline() -> (Pipeline, Arc<Red>) {
    let text = include_str!("../../collector-config.yaml");
    let config = config::parse(text, "collector-config.yaml", &|_| None).expect("the configuration that is shipped");
    let red = Arc::new(Red::new(RedSettings::default()));
    let pipeline = Pipeline::new(Parts {
        budget: Budget::new(1 << 30),
        chain: config.chain.as_ref(),
        gateway: config.gateway.as_ref(),
        red: Some(red.clone()),
        destinations: Vec::new(),
        telemetry: Telemetry::new(),
    });
    (pipeline, red)
}

fn accept(pipeline: &Pipeline, body: &Bytes) {
    let answer = pin!(pipeline.accept(Signal::Traces, body.clone(), None));
    let Poll::Ready(answer) = answer.poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("there is no destination to wait for")
    };
    answer.expect("a valid request");
}

/// Walk, classify, resolve, tag, stage and commit: once the series are known and the memory is there, a request of 2,048 spans
/// allocates as often as one of 16, and neither more than a handful of times.
#[test]
fn a_request_allocates_a_handful_of_times_whatever_its_size() {
    for tagged in [true, false] {
        let (pipeline, _) = pipeline();
        let bodies = [16, 2_048].map(|spans| request(spans, tagged));
        // The second time too, for the first commit after a window began makes its tables.
        (0..2).for_each(|_| bodies.iter().for_each(|body| accept(&pipeline, body)));
        // The least of three, for a window may begin between any two of them.
        let measured = |body: &Bytes| allocation_counter::measure(|| accept(&pipeline, body)).count_total;
        let counts = bodies.map(|body| (0..3).map(|_| measured(&body)).min().unwrap_or_default());
        println!("tagged: {tagged}, allocations: {counts:?}");
        assert!(counts[1] <= counts[0] + 4, "tagged: {tagged}, of 16 spans and of 2,048: {counts:?}");
        assert!(counts[0] <= MOST, "tagged: {tagged}: {counts:?}");
    }
}

/// Allocations of one request between the receiver and its answer. A window that begins in between makes new tables.
const MOST: u64 = 16;

/// Writing the page allocates in proportion to its families and series, not to what was counted in them.
#[test]
fn encoding_does_not_depend_on_how_much_was_counted() {
    let (pipeline, red) = pipeline();
    let body = request(512, true);
    let page = || {
        let snapshot = red.snapshot(0);
        allocation_counter::measure(|| drop(render(Format::Text, Some(&snapshot), &[]))).count_total
    };
    accept(&pipeline, &body);
    let once = page();
    (0..20).for_each(|_| accept(&pipeline, &body));
    let often = page();
    println!("allocations of a page: {once} and {often}");
    assert!(often <= once + once / 10, "after one request {once}, after 21 {often}");
}
