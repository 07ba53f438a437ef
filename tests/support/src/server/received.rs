//! What has arrived, and what is in it.

use bytes::Bytes;
use http::HeaderMap;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Received {
    /// The gRPC path.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// The message, decompressed; empty if the server keeps no bodies.
    pub body: Bytes,
    /// Whether it was answered with OK.
    pub accepted: bool,
}

impl Received {
    /// The spans in it, if it is a trace request.
    pub fn whole_spans(&self) -> Vec<Span> {
        let request = ExportTraceServiceRequest::decode(&self.body[..]).expect("a valid request");
        let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }

    /// Span ids in it, if it is a trace request.
    pub fn spans(&self) -> Vec<Vec<u8>> {
        self.whole_spans().into_iter().map(|span| span.span_id).collect()
    }

    /// Bodies of the log records in it, if it is a logs request.
    pub fn logs(&self) -> Vec<String> {
        let request = ExportLogsServiceRequest::decode(&self.body[..]).expect("a valid request");
        let scopes = request.resource_logs.into_iter().flat_map(|resource| resource.scope_logs);
        let text = |value| match value {
            any_value::Value::StringValue(text) => text,
            other => panic!("not a text: {other:?}"),
        };
        let values = scopes.flat_map(|scope| scope.log_records).filter_map(|record| record.body?.value);
        values.map(text).collect()
    }
}
