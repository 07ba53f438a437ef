//! Attributes as the two kinds of SDK write them.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};

/// Which SDK a gateway uses: the same facts look different on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// Integers are ints, statuses are set with care, and there are few library spans.
    Collector,
    /// `tracing-opentelemetry`: a `u64` arrives as a string, log events are span events, there are many library spans, and
    /// an ERROR log event marks its span as failed even when the operation succeeded.
    RustSdk,
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

/// A `u64` as this kind of SDK records it.
pub(super) fn unsigned(flavour: Flavour, key: &str, value: u64) -> KeyValue {
    match (flavour, i64::try_from(value)) {
        (Flavour::Collector, Ok(value)) => int(key, value),
        _ => text(key, value.to_string()),
    }
}
