//! The names of our own metrics, in one table.

use super::MetricKind;

/// A metric of chainspan itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnMetric {
    /// Prometheus name.
    pub name: &'static str,
    /// Counter or gauge.
    pub kind: MetricKind,
    /// Label names, in order.
    pub labels: &'static [&'static str],
    /// One sentence for people.
    pub help: &'static str,
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> OwnMetric {
    OwnMetric { name, kind: MetricKind::Counter, labels, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> OwnMetric {
    OwnMetric { name, kind: MetricKind::Gauge, labels, help }
}

/// Request doors: spans answered with OK.
pub const ACCEPTED_SPANS: &str = "chainspan_receiver_accepted_spans_total";
/// Request doors: spans turned away.
pub const REFUSED_SPANS: &str = "chainspan_receiver_refused_spans_total";
/// Request doors: requests that failed, by gRPC code.
pub const FAILED_REQUESTS: &str = "chainspan_receiver_failed_requests_total";
/// Destinations: spans acknowledged.
pub const SENT_SPANS: &str = "chainspan_exporter_sent_spans_total";
/// Destinations: spans that a `partial_success` turned away.
pub const REJECTED_SPANS: &str = "chainspan_exporter_rejected_spans_total";
/// Destinations: attempts that failed, by gRPC code.
pub const SEND_FAILED_REQUESTS: &str = "chainspan_exporter_send_failed_requests_total";
/// Destinations: spans waiting or in flight.
pub const QUEUE_SPANS: &str = "chainspan_exporter_queue_spans";
/// Destinations: bytes waiting or in flight.
pub const QUEUE_BYTES: &str = "chainspan_exporter_queue_bytes";
/// Destinations: spans on disk that wait for it.
pub const SPILLED_SPANS: &str = "chainspan_exporter_spilled_spans";
/// Destinations: spans among its dead letters.
pub const DEAD_SPANS: &str = "chainspan_exporter_dead_spans";
/// Destinations: dead letters made, by reason.
pub const DEAD_LETTERS: &str = "chainspan_exporter_dead_letters_total";
/// Destinations: whether it is left alone.
pub const BREAKER_STATE: &str = "chainspan_exporter_breaker_state";
/// Destinations: data points of ours acknowledged.
pub const SENT_POINTS: &str = "chainspan_exporter_sent_points_total";
/// Destinations: data points of ours that did not arrive, or of which that is not known.
pub const LOST_POINTS: &str = "chainspan_exporter_lost_points_total";
/// Chain: spans by where their chain was found.
pub const RESOLVED_SPANS: &str = "chainspan_chain_resolved_spans_total";
/// Chain: values that are no chain id.
pub const INVALID_CHAIN_VALUES: &str = "chainspan_chain_invalid_values_total";
/// Chain: traces that have shown two chains.
pub const AMBIGUOUS_TRACES: &str = "chainspan_chain_ambiguous_traces_total";
/// Gateway: spans that are no operation.
pub const UNCLASSIFIED_SPANS: &str = "chainspan_unclassified_spans_total";
/// Gateway: spans whose attributes and status disagree.
pub const STATUS_CONFLICTS: &str = "chainspan_status_conflicts_total";
/// Walk: spans that are odd but well-formed, by kind.
pub const ODD_SPANS: &str = "chainspan_odd_spans_total";
/// Metrics: series there are.
pub const SERIES: &str = "chainspan_series";
/// Metrics: observations counted beyond the limit of series.
pub const SERIES_OVERFLOW: &str = "chainspan_series_overflow_observations_total";
/// Metrics: observations that came after their window.
pub const LATE_SPANS: &str = "chainspan_late_spans_total";
/// Metrics: observations from after the current window.
pub const FUTURE_SPANS: &str = "chainspan_future_spans_total";
/// The process: resident memory.
pub const RESIDENT_MEMORY: &str = "process_resident_memory_bytes";
/// The process: CPU time.
pub const CPU_SECONDS: &str = "process_cpu_seconds_total";
/// The program that runs.
pub const BUILD_INFO: &str = "chainspan_build_info";

/// Every metric of our own.
pub const OWN_METRICS: &[OwnMetric] = &[
    counter(ACCEPTED_SPANS, &["signal"], "Spans that were answered with OK. Records, for metrics and logs."),
    counter(REFUSED_SPANS, &["signal"], "Spans of requests that were refused. Records, for metrics and logs."),
    counter(FAILED_REQUESTS, &["signal", "code"], "Requests that were not answered with OK, by gRPC code."),
    counter(SENT_SPANS, &["exporter"], "Spans that a destination acknowledged."),
    counter(REJECTED_SPANS, &["exporter"], "Spans that a destination's partial_success turned away."),
    counter(SEND_FAILED_REQUESTS, &["exporter", "code"], "Attempts to send that failed, by gRPC code."),
    gauge(QUEUE_SPANS, &["exporter"], "Spans that wait for a destination or are on their way to it."),
    gauge(QUEUE_BYTES, &["exporter"], "Bytes that wait for a destination or are on their way to it."),
    gauge(SPILLED_SPANS, &["exporter"], "Spans on disk that wait for a destination."),
    gauge(DEAD_SPANS, &["exporter"], "Spans on disk that a destination refuses for good: its dead letters."),
    counter(
        DEAD_LETTERS,
        &["exporter", "reason"],
        "Dead letters made, by reason: rejected, too_large, expired, corrupt_record.",
    ),
    gauge(BREAKER_STATE, &["exporter"], "Circuit breaker of a destination: 0 closed, 1 half-open, 2 open."),
    counter(SENT_POINTS, &["exporter"], "Data points of metrics/gateway that a destination acknowledged."),
    counter(
        LOST_POINTS,
        &["exporter", "reason"],
        "Data points of metrics/gateway that a destination did not get: ambiguous (it may have), expired, rejected, full, \
         shutdown.",
    ),
    counter(
        RESOLVED_SPANS,
        &["source"],
        "Spans by where their chain id was found: span, scope, resource, trace, none.",
    ),
    counter(INVALID_CHAIN_VALUES, &[], "Attribute values under a chain key that are no chain id."),
    counter(AMBIGUOUS_TRACES, &[], "Traces that have shown two different chains and pass none on."),
    counter(UNCLASSIFIED_SPANS, &[], "Spans that are no operation of a gateway: forwarded, not measured."),
    counter(STATUS_CONFLICTS, &[], "Operation spans whose attributes and status disagree; the attributes won."),
    counter(ODD_SPANS, &["kind"], "Spans that are odd but well-formed, forwarded as they came."),
    gauge(SERIES, &[], "Series derived from spans."),
    counter(SERIES_OVERFLOW, &[], "Observations counted in a shared series because the limit of series was reached."),
    counter(LATE_SPANS, &[], "Operation spans that ended before the oldest open window and were counted in it."),
    counter(FUTURE_SPANS, &[], "Operation spans that ended after the current window and were counted in it."),
    gauge(RESIDENT_MEMORY, &[], "Resident memory size in bytes."),
    counter(CPU_SECONDS, &[], "Total user and system CPU time spent in seconds."),
    gauge(BUILD_INFO, &["version"], "1, labelled with the version that runs."),
];

/// The row of `name`.
pub fn own_metric(name: &str) -> Option<&'static OwnMetric> {
    OWN_METRICS.iter().find(|own| own.name == name)
}
