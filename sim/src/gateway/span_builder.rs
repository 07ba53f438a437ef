//! One span under construction: its protobuf message, what it means, and the tag with which it must arrive.

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status, span};

use crate::truth::{ExpectedTag, OperationFact, SpanKey};

/// Where a span stands in the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placement {
    /// In the gateway's own scope, which carries no chain id.
    Main,
    /// In the scope of a library.
    Library,
    /// In a scope that carries this chain id.
    Scope(u64),
    /// In a resource that carries this chain id.
    Resource(u64),
}

/// A span, and what it means.
#[derive(Clone, Debug)]
pub(super) struct SpanBuilder {
    pub(super) message: Span,
    pub(super) placement: Placement,
    /// Only operations have one.
    pub(super) fact: Option<OperationFact>,
    pub(super) tag: ExpectedTag,
}

impl SpanBuilder {
    /// A span of `duration_nano` that ends at `end`, without attributes.
    pub(super) fn new(trace_id: &[u8], span_id: u64, parent: u64, end: u64, duration_nano: u64) -> Self {
        let parent_span_id = if parent == 0 { Vec::new() } else { parent.to_be_bytes().to_vec() };
        let message = Span {
            trace_id: trace_id.to_vec(),
            span_id: span_id.to_be_bytes().to_vec(),
            parent_span_id,
            kind: span::SpanKind::Internal as i32,
            flags: 0x101,
            start_time_unix_nano: end.saturating_sub(duration_nano),
            end_time_unix_nano: end,
            attributes: Vec::with_capacity(14),
            ..Span::default()
        };
        Self { message, placement: Placement::Main, fact: None, tag: ExpectedTag::Absent }
    }

    /// Adds an attribute.
    pub(super) fn put(&mut self, attribute: KeyValue) {
        self.message.attributes.push(attribute);
    }

    /// Sets the span status to ERROR with a description.
    pub(super) fn error(&mut self, description: impl Into<String>) {
        self.message.status = Some(Status { message: description.into(), code: StatusCode::Error as i32 });
    }

    /// Sets the span status to OK.
    pub(super) fn ok(&mut self) {
        self.message.status = Some(Status { message: String::new(), code: StatusCode::Ok as i32 });
    }

    /// Adds an event at the end of the span.
    pub(super) fn event(&mut self, name: &str, attributes: Vec<KeyValue>) {
        self.message.events.push(span::Event {
            time_unix_nano: self.message.end_time_unix_nano,
            name: name.to_owned(),
            attributes,
            dropped_attributes_count: 0,
        });
    }

    /// Where the span is looked up after delivery.
    pub(super) fn key(&self) -> SpanKey {
        SpanKey::of(&self.message.span_id)
    }
}
