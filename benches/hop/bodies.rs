//! The requests that the hop is measured with: what ten gateways with the official SDK send.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

/// How many different bodies are sent in turn.
pub(crate) const BODIES: usize = 64;
const CHAINS: [i64; 8] = [1, 11_155_111, 8453, 84_532, 10, 42_161, 137, 560_048];

/// Operation, span name, span kind, outcome.
const OPERATIONS: [(&str, &str, i32, &str); 5] = [
    ("task", "process task", 2, "allow"),
    ("task_broadcast", "broadcast task", 4, "sent"),
    ("bls_aggregation", "aggregate signatures", 1, "reached"),
    ("tx_submission", "submit transaction", 3, "confirmed"),
    ("webhook_delivery", "deliver webhook", 1, "delivered"),
];

/// What requests look like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) spans: usize,
    /// Every span carries all that chainspan would add, so that it may stay as it is; otherwise every span needs a `chain_id`
    /// and, being an operation, Datadog's hints.
    pub(crate) tagged: bool,
    pub(crate) services: usize,
    pub(crate) chains: usize,
    /// How many of the five operations.
    pub(crate) operations: usize,
}

impl Shape {
    /// What ten gateways for eight chains send.
    pub(crate) fn usual(spans: usize, tagged: bool) -> Self {
        Self { spans, tagged, services: 10, chains: CHAINS.len(), operations: OPERATIONS.len() }
    }
}

/// [`BODIES`] requests, ten attributes a span.
pub(crate) fn make(shape: Shape) -> Vec<Bytes> {
    let mut random = fastrand::Rng::with_seed(20_260_701);
    (0..BODIES).map(|nth| request(&mut random, nth, shape).encode_to_vec().into()).collect()
}

/// Mean size of a span on the wire, with its share of the rest of a request of 512.
pub(crate) fn span_bytes(tagged: bool) -> f64 {
    let bodies = make(Shape::usual(512, tagged));
    bodies.iter().map(Bytes::len).sum::<usize>() as f64 / (BODIES * 512) as f64
}

fn request(random: &mut fastrand::Rng, nth: usize, shape: Shape) -> ExportTraceServiceRequest {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64);
    let mut trace = [0u8; 16];
    let spans = (0..shape.spans)
        .map(|i| {
            if i % shape.operations == 0 {
                random.fill(&mut trace);
            }
            span(random, &trace, i % shape.operations, now, shape)
        })
        .collect();
    let resource = Resource {
        attributes: vec![
            text("service.name", &format!("avs-gateway-{}", nth % shape.services)),
            text("service.version", "1.4.2"),
            text("service.instance.id", &format!("gateway-{}-0", nth % shape.services)),
            text("deployment.environment.name", "bench"),
            text("telemetry.sdk.language", "rust"),
            text("telemetry.sdk.name", "opentelemetry"),
        ],
        ..Default::default()
    };
    let scope = InstrumentationScope { name: "gateway".into(), version: "1.4.2".into(), ..Default::default() };
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, ..Default::default() }];
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { resource: Some(resource), scope_spans, ..Default::default() }],
    }
}

fn span(random: &mut fastrand::Rng, trace: &[u8; 16], operation: usize, now: u64, shape: Shape) -> Span {
    let (operation, name, kind, outcome) = OPERATIONS[operation];
    let chain = random.usize(..shape.chains);
    // Beyond the known ones: testnets have ids of that length.
    let chain = CHAINS.get(chain).copied().unwrap_or(11_200_000 + chain as i64);
    let mut id = [0u8; 8];
    random.fill(&mut id);
    let mut parent = [0u8; 8];
    random.fill(&mut parent);
    let mut attributes = vec![
        text("avs.operation", operation),
        text("avs.outcome", outcome),
        text("avs.task.id", &format!("0x{:032x}{:032x}", random.u128(..), random.u128(..))),
        int("avs.attempt.count", random.i64(1..3)),
        text("code.module.name", "avs_gateway::operations::pipeline"),
        int("code.line.number", random.i64(20..900)),
    ];
    if shape.tagged {
        attributes.insert(0, text("chain_id", &chain.to_string()));
        attributes.push(text("operation.name", &format!("gateway.{operation}")));
        attributes.push(int("_dd.measured", 1));
        attributes.push(int("thread.id", random.i64(1..9)));
    } else {
        attributes.insert(0, int("chain.id", chain));
        attributes.push(text("thread.name", "gateway-runtime-worker-001"));
        attributes.push(int("thread.id", random.i64(1..9)));
        attributes.push(int("busy_ns", random.i64(1_000..9_000_000)));
    }
    Span {
        trace_id: trace.to_vec(),
        span_id: id.to_vec(),
        parent_span_id: parent.to_vec(),
        name: name.into(),
        kind,
        start_time_unix_nano: now - random.u64(1_000_000..8_000_000_000),
        end_time_unix_nano: now,
        attributes,
        status: Some(Status::default()),
        flags: 0x101,
        ..Default::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.into()))
}

fn int(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}
