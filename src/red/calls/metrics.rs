//! The two metrics of calls: a catalogue of their own, for their names are fixed.

use crate::chain::TAG_KEY;

/// A metric of calls.
#[derive(Clone, Copy, Debug)]
pub struct CallMetric {
    /// Prometheus name, without `_total`, `_bucket` and the like.
    pub name: &'static str,
    /// Whether it is the distribution of durations; the other one is the counter.
    pub histogram: bool,
    /// Labels, in the order in which they are shown.
    pub labels: &'static [&'static str],
    /// One sentence for people.
    pub help: &'static str,
}

/// The labels of both metrics, in the order in which they are shown.
pub const CALL_LABELS: [&str; 5] = ["service_name", "span_name", "span_kind", "status_code", TAG_KEY];

/// The two metrics of calls.
pub const CALL_METRICS: [CallMetric; 2] = [
    CallMetric {
        name: "traces_span_metrics_calls",
        histogram: false,
        labels: &CALL_LABELS,
        help: "Spans that ended, operations or not. Only with span_metrics: true.",
    },
    CallMetric {
        name: "traces_span_metrics_duration_milliseconds",
        histogram: true,
        labels: &CALL_LABELS,
        help: "Time from start to end of a span, operation or not. Only with span_metrics: true.",
    },
];
