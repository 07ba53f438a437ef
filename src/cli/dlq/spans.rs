//! The body of a dead letter, decoded so that a person or a script can read it.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::clock;
use crate::delivery::{Meaning, meanings};

/// The content of a body.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Content {
    /// The spans of a traces request.
    Spans(Vec<ShownSpan>),
    /// The names of a metrics request.
    Metrics(Vec<String>),
    /// The bodies of a logs request.
    Logs(Vec<Value>),
    /// Why it cannot be read.
    Damaged(String),
}

/// A span.
#[derive(Debug, Serialize)]
pub(super) struct ShownSpan {
    pub(super) name: String,
    pub(super) chain: Option<String>,
    pub(super) operation: Option<&'static str>,
    pub(super) trace_id: String,
    pub(super) span_id: String,
    pub(super) parent_span_id: String,
    pub(super) kind: i32,
    pub(super) start: String,
    pub(super) end: String,
    pub(super) duration_ns: u64,
    /// `unset`, `ok` or `error`.
    pub(super) status: &'static str,
    pub(super) status_message: String,
    pub(super) attributes: Map<String, Value>,
    pub(super) resource: Map<String, Value>,
    pub(super) events: Vec<SpanEvent>,
}

/// An event of a span.
#[derive(Debug, Serialize)]
pub(super) struct SpanEvent {
    pub(super) name: String,
    pub(super) time: String,
    pub(super) attributes: Map<String, Value>,
}

impl Content {
    /// Decodes the export request of `signal` in `body`, whatever its bytes are.
    pub(super) fn read(signal: &str, body: &[u8]) -> Self {
        let read = match signal {
            "traces" => ExportTraceServiceRequest::decode(body).map(|request| Self::Spans(spans(request, body))),
            "metrics" => ExportMetricsServiceRequest::decode(body).map(|request| Self::Metrics(metrics(request))),
            _ => ExportLogsServiceRequest::decode(body).map(|request| Self::Logs(logs(request))),
        };
        read.unwrap_or_else(|error| Self::Damaged(error.to_string()))
    }
}

fn spans(request: ExportTraceServiceRequest, body: &[u8]) -> Vec<ShownSpan> {
    // In the order of the wire, like the decoded spans.
    let mut meanings = meanings(body).unwrap_or_default().into_iter();
    let mut shown = Vec::new();
    for resource in request.resource_spans {
        let attributes = map(resource.resource.unwrap_or_default().attributes);
        for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            shown.push(ShownSpan::new(span, meanings.next().unwrap_or_default(), attributes.clone()));
        }
    }
    shown
}

impl ShownSpan {
    fn new(span: Span, meaning: Meaning, resource: Map<String, Value>) -> Self {
        let status = span.status.unwrap_or_default();
        Self {
            name: span.name,
            chain: meaning.chain.map(|chain| chain.to_string()),
            operation: meaning.operation.map(|operation| operation.label()),
            trace_id: hex(&span.trace_id),
            span_id: hex(&span.span_id),
            parent_span_id: hex(&span.parent_span_id),
            kind: span.kind,
            start: clock::rfc3339(span.start_time_unix_nano),
            end: clock::rfc3339(span.end_time_unix_nano),
            duration_ns: span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano),
            status: match status.code {
                1 => "ok",
                2 => "error",
                _ => "unset",
            },
            status_message: status.message,
            attributes: map(span.attributes),
            resource,
            events: span
                .events
                .into_iter()
                .map(|event| SpanEvent {
                    name: event.name,
                    time: clock::rfc3339(event.time_unix_nano),
                    attributes: map(event.attributes),
                })
                .collect(),
        }
    }
}

fn metrics(request: ExportMetricsServiceRequest) -> Vec<String> {
    let scopes = request.resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics);
    scopes.flat_map(|scope| scope.metrics).map(|metric| metric.name).collect()
}

fn logs(request: ExportLogsServiceRequest) -> Vec<Value> {
    let scopes = request.resource_logs.into_iter().flat_map(|resource| resource.scope_logs);
    scopes.flat_map(|scope| scope.log_records).map(|record| any(record.body)).collect()
}

/// Attributes by name. If a name occurs twice the first one counts, as everywhere.
fn map(attributes: Vec<KeyValue>) -> Map<String, Value> {
    let mut map = Map::new();
    for attribute in attributes {
        map.entry(attribute.key).or_insert_with(|| any(attribute.value));
    }
    map
}

/// Integers as JSON numbers, bytes as hexadecimal text, doubles that JSON cannot hold as text.
fn any(value: Option<AnyValue>) -> Value {
    match value.and_then(|value| value.value) {
        None => Value::Null,
        Some(Any::StringValue(text)) => Value::String(text),
        Some(Any::BoolValue(truth)) => json!(truth),
        Some(Any::IntValue(int)) => json!(int),
        Some(Any::DoubleValue(double)) if double.is_finite() => json!(double),
        Some(Any::DoubleValue(double)) => Value::String(double.to_string()),
        Some(Any::BytesValue(bytes)) => Value::String(hex(&bytes)),
        Some(Any::ArrayValue(array)) => array.values.into_iter().map(|value| any(Some(value))).collect(),
        Some(Any::KvlistValue(list)) => Value::Object(map(list.values)),
        // Indices into a string table, which trace, metric and log requests do not have.
        #[allow(unreachable_patterns)]
        Some(_) => Value::Null,
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    })
}
