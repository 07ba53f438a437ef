//! What a request adds to our own counters, known after the walk and counted when it is accepted.

use metrics::Counter;

use super::unclassified::{NAMES, Unclassified};
use crate::chain::Source;
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
    /// The start is not set: how long it took is not known, and measured as 0.
    NoStart,
    /// A figure of an operation is no number, out of its range, or contradicts another: it is not measured.
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

/// One request's share of the counters. Plain numbers; forgotten when the request is refused.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) resolved: [u32; Source::ALL.len()],
    pub(super) invalid_chain_values: u32,
    pub(super) status_conflicts: u32,
    pub(super) odd: [u32; Odd::ALL.len()],
    pub(super) unclassified: u32,
    pub(super) unclassified_by_place: [u32; NAMES + 1],
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            resolved: [0; Source::ALL.len()],
            invalid_chain_values: 0,
            status_conflicts: 0,
            odd: [0; Odd::ALL.len()],
            unclassified: 0,
            unclassified_by_place: [0; NAMES + 1],
        }
    }
}

impl Tally {
    pub(super) fn odd(&mut self, kind: Odd) {
        self.odd[kind as usize] += 1;
    }
}

/// The counters that tallies are added to; handles are made once.
pub(super) struct Counters {
    resolved: [Counter; Source::ALL.len()],
    invalid_chain_values: Counter,
    ambiguous_traces: Counter,
    status_conflicts: Counter,
    odd: [Counter; Odd::ALL.len()],
    unclassified: Counter,
}

impl Counters {
    pub(super) fn new(telemetry: &Telemetry) -> Self {
        Self {
            resolved: Source::ALL.map(|source| telemetry.counter(RESOLVED_SPANS, &[("source", source.label())])),
            invalid_chain_values: telemetry.counter(INVALID_CHAIN_VALUES, &[]),
            ambiguous_traces: telemetry.counter(AMBIGUOUS_TRACES, &[]),
            status_conflicts: telemetry.counter(STATUS_CONFLICTS, &[]),
            odd: Odd::ALL.map(|kind| telemetry.counter(ODD_SPANS, &[("kind", kind.label())])),
            unclassified: telemetry.counter(UNCLASSIFIED_SPANS, &[]),
        }
    }

    /// Counts an accepted request. `newly_ambiguous`: traces that showed their second chain with it.
    pub(super) fn add(&self, tally: &Tally, newly_ambiguous: u32, names: &Unclassified) {
        for (counter, spans) in self.resolved.iter().zip(tally.resolved) {
            increment(counter, spans);
        }
        for (counter, spans) in self.odd.iter().zip(tally.odd) {
            increment(counter, spans);
        }
        increment(&self.invalid_chain_values, tally.invalid_chain_values);
        increment(&self.ambiguous_traces, newly_ambiguous);
        increment(&self.status_conflicts, tally.status_conflicts);
        increment(&self.unclassified, tally.unclassified);
        if tally.unclassified > 0 {
            for (place, spans) in (0..).zip(tally.unclassified_by_place) {
                if spans > 0 {
                    names.add(place, spans);
                }
            }
            names.log(std::time::Instant::now());
        }
    }
}

/// Most are 0 for most requests: no shared cache line is touched for them.
fn increment(counter: &Counter, by: u32) {
    if by > 0 {
        counter.increment(u64::from(by));
    }
}

impl std::fmt::Debug for Counters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Counters")
    }
}
