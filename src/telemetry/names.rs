//! The names of our own metrics, in one table.

/// Whether a value only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MetricKind {
    /// It does.
    Counter,
    /// It goes up and down.
    Gauge,
}

/// A metric of chainspan itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnMetric {
    /// Prometheus name.
    pub name: &'static str,
    /// Counter or gauge.
    pub kind: MetricKind,
    /// Label names, in order.
    pub labels: &'static [&'static str],
    /// What it says, in one sentence: Prometheus' `HELP`.
    pub help: &'static str,
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> OwnMetric {
    OwnMetric { name, kind: MetricKind::Counter, labels, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> OwnMetric {
    OwnMetric { name, kind: MetricKind::Gauge, labels, help }
}

/// Receivers: spans in requests that were answered with OK.
pub const ACCEPTED_SPANS: &str = "chainspan_receiver_accepted_spans_total";
/// Receivers: spans in requests that were refused.
pub const REFUSED_SPANS: &str = "chainspan_receiver_refused_spans_total";
/// Receivers: requests not answered with OK, by gRPC code.
pub const FAILED_REQUESTS: &str = "chainspan_receiver_failed_requests_total";
/// Exporters: spans acknowledged.
pub const SENT_SPANS: &str = "chainspan_exporter_sent_spans_total";
/// Exporters: spans rejected in a `partial_success` answer.
pub const REJECTED_SPANS: &str = "chainspan_exporter_rejected_spans_total";
/// Exporters: attempts to send that failed, by gRPC code.
pub const SEND_FAILED_REQUESTS: &str = "chainspan_exporter_send_failed_requests_total";
/// Exporters: spans waiting or in flight.
pub const QUEUE_SPANS: &str = "chainspan_exporter_queue_spans";
/// Exporters: bytes waiting or in flight.
pub const QUEUE_BYTES: &str = "chainspan_exporter_queue_bytes";
/// Exporters: spans that wait on disk.
pub const SPILLED_SPANS: &str = "chainspan_exporter_spilled_spans";
/// Exporters: spans among the dead letters.
pub const DEAD_SPANS: &str = "chainspan_exporter_dead_spans";
/// Exporters: requests that became dead letters, by reason.
pub const DEAD_LETTERS: &str = "chainspan_exporter_dead_letters_total";
/// Exporters: state of the circuit breaker.
pub const BREAKER_STATE: &str = "chainspan_exporter_breaker_state";
/// Exporters: data points of metrics/gateway acknowledged.
pub const SENT_POINTS: &str = "chainspan_exporter_sent_points_total";
/// Exporters: data points of metrics/gateway that did not arrive, or may not have.
pub const LOST_POINTS: &str = "chainspan_exporter_lost_points_total";
/// Chain: spans by where their chain was found.
pub const RESOLVED_SPANS: &str = "chainspan_chain_resolved_spans_total";
/// Chain: values of chain attributes that are not chain ids.
pub const INVALID_CHAIN_VALUES: &str = "chainspan_chain_invalid_values_total";
/// Chain: traces whose spans name two chains.
pub const AMBIGUOUS_TRACES: &str = "chainspan_chain_ambiguous_traces_total";
/// Gateway: spans that are not operations.
pub const UNCLASSIFIED_SPANS: &str = "chainspan_unclassified_spans_total";
/// Gateway: spans whose attributes and status disagree.
pub const STATUS_CONFLICTS: &str = "chainspan_status_conflicts_total";
/// Walk: well-formed spans with something odd about them, by kind.
pub const ODD_SPANS: &str = "chainspan_odd_spans_total";
/// Metrics: number of series.
pub const SERIES: &str = "chainspan_series";
/// Metrics: observations counted in shared series because the limit of series was reached.
pub const SERIES_OVERFLOW: &str = "chainspan_series_overflow_observations_total";
/// Metrics: observations that came after their window was closed.
pub const LATE_SPANS: &str = "chainspan_late_spans_total";
/// Metrics: observations of spans that ended after the current window.
pub const FUTURE_SPANS: &str = "chainspan_future_spans_total";
/// The process: resident memory.
pub const RESIDENT_MEMORY: &str = "process_resident_memory_bytes";
/// The process: CPU time.
pub const CPU_SECONDS: &str = "process_cpu_seconds_total";
/// The program that runs.
pub const BUILD_INFO: &str = "chainspan_build_info";

/// Every metric of our own.
pub const OWN_METRICS: &[OwnMetric] = &[
    counter(
        ACCEPTED_SPANS,
        &["signal"],
        "Spans in requests that were answered with OK; for metrics and logs, records.",
    ),
    counter(REFUSED_SPANS, &["signal"], "Spans in requests that were refused; for metrics and logs, records."),
    counter(FAILED_REQUESTS, &["signal", "code"], "Requests that were not answered with OK, by gRPC code."),
    counter(SENT_SPANS, &["exporter"], "Spans that a destination acknowledged."),
    counter(REJECTED_SPANS, &["exporter"], "Spans that a destination rejected in a partial_success answer."),
    counter(SEND_FAILED_REQUESTS, &["exporter", "code"], "Attempts to send that failed, by gRPC code."),
    gauge(QUEUE_SPANS, &["exporter"], "Spans that wait for a destination or are in flight to it."),
    gauge(QUEUE_BYTES, &["exporter"], "Bytes that wait for a destination or are in flight to it."),
    gauge(SPILLED_SPANS, &["exporter"], "Spans on disk that wait for a destination."),
    gauge(DEAD_SPANS, &["exporter"], "Spans among a destination's dead letters, on disk."),
    counter(
        DEAD_LETTERS,
        &["exporter", "reason"],
        "Requests that became dead letters, by reason: rejected, too_large, expired, corrupt_record.",
    ),
    gauge(BREAKER_STATE, &["exporter"], "Circuit breaker of a destination: 0 closed, 1 half-open, 2 open."),
    counter(SENT_POINTS, &["exporter"], "Data points of metrics/gateway that a destination acknowledged."),
    counter(
        LOST_POINTS,
        &["exporter", "reason"],
        "Data points of metrics/gateway that did not reach a destination, by reason: ambiguous (may have), expired, \
         rejected, full, shutdown.",
    ),
    counter(
        RESOLVED_SPANS,
        &["source"],
        "Spans by where their chain id was found: span, scope, resource, trace, none.",
    ),
    counter(INVALID_CHAIN_VALUES, &[], "Values of chain attributes that are not chain ids."),
    counter(
        AMBIGUOUS_TRACES,
        &[],
        "Traces whose spans name two different chains; their spans without a chain stay without one.",
    ),
    counter(UNCLASSIFIED_SPANS, &[], "Spans that are not gateway operations: forwarded, not measured."),
    counter(STATUS_CONFLICTS, &[], "Operation spans whose attributes and status disagree; the attributes won."),
    counter(ODD_SPANS, &["kind"], "Well-formed spans with something odd about them, by kind; forwarded unchanged."),
    gauge(SERIES, &[], "Series derived from spans."),
    counter(SERIES_OVERFLOW, &[], "Observations counted in a shared series because the limit of series was reached."),
    counter(LATE_SPANS, &[], "Operation spans that ended before the oldest open window and were counted in it."),
    counter(FUTURE_SPANS, &[], "Operation spans that ended after the current window and were counted in it."),
    gauge(RESIDENT_MEMORY, &[], "Resident memory size in bytes."),
    counter(CPU_SECONDS, &[], "Total user and system CPU time spent in seconds."),
    gauge(BUILD_INFO, &["version"], "Always 1; the label is the version that runs."),
];

/// The row of `name`.
pub fn own_metric(name: &str) -> Option<&'static OwnMetric> {
    OWN_METRICS.iter().find(|own| own.name == name)
}
