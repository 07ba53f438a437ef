//! Spans that carry their number in their id, and reading the numbers back from a request.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

/// The first two bytes of every span id of ours.
const MARK: u64 = 0x7ac5 << 48;
/// So many spans share a trace.
const TRACE: u64 = 8;
const CHAINS: [i64; 3] = [1, 8453, 137];

/// A request of the spans `first`, `first + 1` and so on.
pub fn request(first: u64, spans: u32) -> ExportTraceServiceRequest {
    let end = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let spans = (first..first + u64::from(spans)).map(|number| span(number, end)).collect();
    let resource = Resource { attributes: vec![text("service.name", "torture")], ..Default::default() };
    let scope_spans = vec![ScopeSpans { spans, ..Default::default() }];
    let resource_spans = ResourceSpans { resource: Some(resource), scope_spans, ..Default::default() };
    ExportTraceServiceRequest { resource_spans: vec![resource_spans] }
}

fn span(number: u64, end: Duration) -> Span {
    let trace = number / TRACE;
    let chain = AnyValue { value: Some(Value::IntValue(CHAINS[(trace % 3) as usize])) };
    let end_nano = end.as_nanos() as u64;
    Span {
        trace_id: [MARK.to_be_bytes(), (trace + 1).to_be_bytes()].concat(),
        span_id: (MARK | (number + 1)).to_be_bytes().to_vec(),
        name: "process task".into(),
        kind: 1,
        start_time_unix_nano: end_nano - 5_000_000,
        end_time_unix_nano: end_nano,
        attributes: vec![
            KeyValue { key: "chain_id".into(), value: Some(chain), ..Default::default() },
            text("task.id", "0x7f1d9a63c05e4b28a9d3"),
        ],
        ..Default::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.into())) });
    KeyValue { key: key.into(), value, ..Default::default() }
}

/// What one request held.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// The numbers of our spans.
    pub ours: Vec<u64>,
    /// How many spans were not ours: with an id that nobody sent.
    pub strange: u64,
}

/// The numbers in an encoded request.
pub fn read(body: &[u8]) -> Result<Numbers, prost::DecodeError> {
    let mut numbers = Numbers::default();
    let request = Ids::decode(body)?;
    for span in request.resources.iter().flat_map(|resource| &resource.scopes).flat_map(|scope| &scope.spans) {
        let id = <[u8; 8]>::try_from(&span.id[..]).map(u64::from_be_bytes).unwrap_or_default();
        match id.checked_sub(MARK + 1) {
            Some(number) if number < 1 << 48 => numbers.ours.push(number),
            _ => numbers.strange += 1,
        }
    }
    Ok(numbers)
}

// As much of the OTLP messages as tells the span ids; prost skips the rest.
#[derive(prost::Message)]
struct Ids {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<ResourceIds>,
}

#[derive(prost::Message)]
struct ResourceIds {
    #[prost(message, repeated, tag = "2")]
    scopes: Vec<ScopeIds>,
}

#[derive(prost::Message)]
struct ScopeIds {
    #[prost(message, repeated, tag = "2")]
    spans: Vec<SpanId>,
}

#[derive(prost::Message)]
struct SpanId {
    #[prost(bytes = "vec", tag = "2")]
    id: Vec<u8>,
}
