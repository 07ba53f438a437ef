//! What a request adds to our own counters, known after the walk and counted when it is accepted.

use metrics::Counter;

use super::unclassified::{NameSet, Unclassified};
use crate::chain::ChainSource;
use crate::telemetry::{
    AMBIGUOUS_TRACES, INVALID_CHAIN_VALUES, ODD_SPANS, RESOLVED_SPANS, STATUS_CONFLICTS, Telemetry, UNCLASSIFIED_SPANS,
};

/// Spans that are well-formed but odd: forwarded as they came, counted by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Odd {
    /// The trace id is not 16 bytes, or all zero.
    TraceId,
    /// The span id is not 8 bytes, or all zero.
    SpanId,
    /// An attribute key occurs more than once.
    DuplicateKeys,
    /// The end is before the start: measured as 0.
    ClockSkew,
    /// The start is not set: the duration is not known, and measured as 0.
    NoStart,
    /// A figure of an operation is not a number, is out of range, or contradicts another: it is not measured.
    BadFigure,
}

impl Odd {
    const ALL: [Odd; 6] = [Odd::TraceId, Odd::SpanId, Odd::DuplicateKeys, Odd::ClockSkew, Odd::NoStart, Odd::BadFigure];

    fn label(self) -> &'static str {
        match self {
            Odd::TraceId => "trace_id",
            Odd::SpanId => "span_id",
            Odd::DuplicateKeys => "duplicate_keys",
            Odd::ClockSkew => "clock_skew",
            Odd::NoStart => "no_start",
            Odd::BadFigure => "bad_figure",
        }
    }
}

/// What one request adds to the counters. Plain numbers; dropped when the request is refused.
#[derive(Debug, Default)]
pub(super) struct RequestCounts {
    pub(super) resolved: [u32; ChainSource::ALL.len()],
    pub(super) invalid_chain_values: u32,
    pub(super) status_conflicts: u32,
    pub(super) odd: [u32; Odd::ALL.len()],
    pub(super) unclassified: u32,
    /// Their names.
    pub(super) unclassified_names: NameSet,
}

impl RequestCounts {
    pub(super) fn odd(&mut self, kind: Odd) {
        self.odd[kind as usize] += 1;
    }
}

/// The counters that accepted requests are added to; their handles are made once.
pub(super) struct PipelineCounters {
    resolved: [Counter; ChainSource::ALL.len()],
    invalid_chain_values: Counter,
    ambiguous_traces: Counter,
    status_conflicts: Counter,
    odd: [Counter; Odd::ALL.len()],
    unclassified: Counter,
}

impl PipelineCounters {
    pub(super) fn new(telemetry: &Telemetry) -> Self {
        Self {
            resolved: ChainSource::ALL.map(|source| telemetry.counter(RESOLVED_SPANS, &[("source", source.label())])),
            invalid_chain_values: telemetry.counter(INVALID_CHAIN_VALUES, &[]),
            ambiguous_traces: telemetry.counter(AMBIGUOUS_TRACES, &[]),
            status_conflicts: telemetry.counter(STATUS_CONFLICTS, &[]),
            odd: Odd::ALL.map(|kind| telemetry.counter(ODD_SPANS, &[("kind", kind.label())])),
            unclassified: telemetry.counter(UNCLASSIFIED_SPANS, &[]),
        }
    }

    /// Counts an accepted request. `newly_ambiguous`: traces that showed their second chain with it.
    pub(super) fn add(&self, counts: &RequestCounts, newly_ambiguous: u32, names: &Unclassified) {
        for (counter, spans) in self.resolved.iter().zip(counts.resolved) {
            increment(counter, spans);
        }
        for (counter, spans) in self.odd.iter().zip(counts.odd) {
            increment(counter, spans);
        }
        increment(&self.invalid_chain_values, counts.invalid_chain_values);
        increment(&self.ambiguous_traces, newly_ambiguous);
        increment(&self.status_conflicts, counts.status_conflicts);
        increment(&self.unclassified, counts.unclassified);
        if counts.unclassified > 0 {
            names.accepted(counts.unclassified_names);
        }
    }
}

/// Most are 0 for most requests; then no shared cache line is touched.
fn increment(counter: &Counter, by: u32) {
    if by > 0 {
        counter.increment(u64::from(by));
    }
}

impl std::fmt::Debug for PipelineCounters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PipelineCounters")
    }
}
