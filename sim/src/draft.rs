//! One span under construction: the protobuf message, what it is meant to say, and the tag it must arrive with.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status, span};

use super::fact::{Fact, SpanKey, Tag};

/// Which SDK a gateway uses; the same facts look different on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// Numbers are ints, statuses are set with care, few library spans.
    Collector,
    /// `tracing-opentelemetry`: a `u64` arrives as a string, log events inside spans, floods of library spans, and an
    /// ERROR log event marks its span as failed even when the operation succeeded.
    RustSdk,
}

/// Where in the request a span stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    /// The gateway's own scope, which knows no chain.
    Main,
    /// The scope of a library.
    Library,
    /// A scope that carries the chain id.
    Scope(u64),
    /// A resource that carries the chain id.
    Resource(u64),
}

/// A span and what it means.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) span: Span,
    pub(super) group: Group,
    /// Present on operations only.
    pub(super) fact: Option<Fact>,
    pub(super) tag: Tag,
}

impl Draft {
    /// A span of `duration_nano` that ends at `end`, without attributes.
    pub(super) fn new(trace_id: &[u8], span_id: u64, parent: u64, end: u64, duration_nano: u64) -> Self {
        let parent_span_id = if parent == 0 { Vec::new() } else { parent.to_be_bytes().to_vec() };
        let span = Span {
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
        Self { span, group: Group::Main, fact: None, tag: Tag::Absent }
    }

    /// Adds an attribute.
    pub(super) fn put(&mut self, attribute: KeyValue) {
        self.span.attributes.push(attribute);
    }

    /// Sets the span status to ERROR with a description.
    pub(super) fn error(&mut self, description: impl Into<String>) {
        self.span.status = Some(Status { message: description.into(), code: StatusCode::Error as i32 });
    }

    /// Sets the span status to OK.
    pub(super) fn ok(&mut self) {
        self.span.status = Some(Status { message: String::new(), code: StatusCode::Ok as i32 });
    }

    /// Adds an event at the end of the span.
    pub(super) fn event(&mut self, name: &str, attributes: Vec<KeyValue>) {
        self.span.events.push(span::Event {
            time_unix_nano: self.span.end_time_unix_nano,
            name: name.to_owned(),
            attributes,
            dropped_attributes_count: 0,
        });
    }

    /// Where the span is looked up after delivery.
    pub(super) fn key(&self) -> SpanKey {
        SpanKey::of(&self.span.span_id)
    }
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// A string attribute.
pub(super) fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, Value::StringValue(value.into()))
}

/// An int attribute.
pub(super) fn int(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

/// A bool attribute.
pub(super) fn boolean(key: &str, value: bool) -> KeyValue {
    attribute(key, Value::BoolValue(value))
}

/// A double attribute.
pub(super) fn double(key: &str, value: f64) -> KeyValue {
    attribute(key, Value::DoubleValue(value))
}

/// A string array attribute.
pub(super) fn texts(key: &str, values: Vec<String>) -> KeyValue {
    let values = values.into_iter().map(|value| AnyValue { value: Some(Value::StringValue(value)) }).collect();
    attribute(key, Value::ArrayValue(ArrayValue { values }))
}

/// A whole number as this flavour records a `u64`.
pub(super) fn unsigned(flavour: Flavour, key: &str, value: u64) -> KeyValue {
    match (flavour, i64::try_from(value)) {
        (Flavour::Collector, Ok(value)) => int(key, value),
        _ => text(key, value.to_string()),
    }
}
