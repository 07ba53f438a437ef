//! What a span lacks so that the Datadog agent names it well and keeps statistics for it.

use super::key::AttributeKey;
use super::{Facts, Operation};

/// OTLP's `SPAN_KIND_INTERNAL`.
const KIND_INTERNAL: i32 = 1;

/// The attributes to add to an operation span. What is there already is never touched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// Add the string `operation.name` with this value.
    pub operation_name: Option<&'static str>,
    /// Add the int `_dd.measured` = 1.
    pub measured: bool,
}

impl Hints {
    /// What a span of `operation` lacks: its operation name, and, as it is of kind INTERNAL, the wish to be measured.
    #[inline]
    pub fn of(operation: Operation, kind: i32, facts: &Facts<'_>) -> Self {
        Self {
            operation_name: (!facts.has_any(AttributeKey::OperationName)).then(|| operation.datadog_name()),
            measured: kind == KIND_INTERNAL && !facts.has_any(AttributeKey::DatadogMeasured),
        }
    }

    /// Whether there is nothing to add.
    #[inline]
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }
}
