//! The metrics whose truth is known, copied by hand from the catalogue in `docs/metrics.md`.

use crate::spec;

/// A metric whose truth is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricFamily {
    /// OTLP name, after the namespace and a dot.
    pub name: &'static str,
    /// Prometheus name, after the namespace and an underscore, without a suffix.
    pub prometheus: &'static str,
    /// What a series of it holds.
    pub shape: Shape,
}

/// What a series of a metric holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A count.
    Counter,
    /// Durations: exponential in OTLP, over [`spec::DURATION_BOUNDS_NANO`] in Prometheus.
    Duration,
    /// Other values, over bounds of their own.
    Values,
    /// The value recorded by the span that ended last.
    Gauge,
}

const fn family(name: &'static str, prometheus: &'static str, shape: Shape) -> MetricFamily {
    MetricFamily { name, prometheus, shape }
}

/// The whole catalogue, except the two gauges whose value depends on the time of reading (`chain.last_success.age`,
/// `chain.health`).
pub const FAMILIES: [MetricFamily; 17] = [
    family("operations", "operations", Shape::Counter),
    family("operation.duration", "operation_duration_seconds", Shape::Duration),
    family("quorum.failures", "quorum_failures", Shape::Counter),
    family("quorum.signed_stake.ratio", "quorum_signed_stake_ratio", Shape::Values),
    family("quorum.margin", "quorum_margin", Shape::Values),
    family("operation.attempts", "operation_attempts", Shape::Values),
    family("tx.failures", "tx_failures", Shape::Counter),
    family("webhook.deliveries", "webhook_deliveries", Shape::Counter),
    family("quorum.time_to_threshold", "quorum_time_to_threshold_seconds", Shape::Duration),
    family("operator.responses", "operator_responses", Shape::Counter),
    family("tx.exhausted", "tx_exhausted", Shape::Counter),
    family("tx.confirmation.duration", "tx_confirmation_duration_seconds", Shape::Duration),
    family("tx.queue.duration", "tx_queue_duration_seconds", Shape::Duration),
    family("tx.batch.items", "tx_batch_items", Shape::Counter),
    family("webhook.exhausted", "webhook_exhausted", Shape::Counter),
    family("tx.nonce.gap", "tx_nonce_gap", Shape::Gauge),
    family("circuit_breaker.state", "circuit_breaker_state", Shape::Gauge),
];

/// The families that [`Truth::compare`](crate::Truth::compare) compares: all of them.
pub const MEASURED: &[MetricFamily] = &FAMILIES;

/// The family with that OTLP name.
pub(crate) fn named(name: &str) -> Option<&'static MetricFamily> {
    FAMILIES.iter().find(|family| family.name == name)
}

/// Upper bounds of a family of [`Shape::Values`]; empty for the others.
pub(crate) fn bounds(family: &MetricFamily) -> Vec<f64> {
    match family.name {
        "quorum.signed_stake.ratio" => spec::ratio_bounds(),
        "quorum.margin" => spec::margin_bounds(),
        "operation.attempts" => spec::ATTEMPT_BOUNDS.to_vec(),
        _ => Vec::new(),
    }
}
