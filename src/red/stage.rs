//! The observations of one request, before it is known whether the request is accepted.

use std::sync::Arc;

use super::calls::Call;
use super::labels::Subject;
use crate::chain::ChainId;
use crate::gateway::{GatewayBreaker, Measured};

/// The values of the configured dimensions (`service.name`, `deployment.environment.name`, …) of one resource, in the
/// order of the configuration; an absent attribute is the empty string.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Dims(pub Box<[Box<str>]>);

/// One operation span, ready to be counted.
#[derive(Clone, Copy, Debug)]
pub struct Observation {
    /// Index into [`Stage::dims`].
    pub dims: u32,
    /// The span's chain; `None` is counted under `unknown`.
    pub chain: Option<ChainId>,
    /// What the span says.
    pub measured: Measured,
    /// End of the span, nanoseconds since the Unix epoch.
    pub end_unix_nano: u64,
    /// End minus start in nanoseconds; 0 when the end is before the start.
    pub duration_nano: u64,
    /// The trace, all zero when the span had none that is valid.
    pub trace_id: [u8; 16],
    /// The span, all zero when it had none that is valid.
    pub span_id: [u8; 8],
}

/// What one span says of something that has a state: the value of a gauge. The span need not be an operation.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Index into [`Stage::dims`].
    pub dims: u32,
    /// The span's chain; `None` is shown under `unknown`.
    pub chain: Option<ChainId>,
    /// End of the span, nanoseconds since the Unix epoch: the reading that ended last counts, not the one that came last.
    pub end_unix_nano: u64,
    /// What is read.
    pub state: ObservedState,
    /// What it is a state of. The pipeline has bounded the length of the texts.
    pub subject: Subject,
}

/// A state that a span reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObservedState {
    /// Pending minus latest nonce of a signer.
    NonceGap(i64),
    /// The circuit breaker that guards a target.
    Breaker(GatewayBreaker),
}

/// All observations of one request: filled by the walk, committed or dropped as a whole, reused for the next request.
#[derive(Debug, Default)]
pub struct Stage {
    /// The dimension values of the request's resources.
    pub dims: Vec<Arc<Dims>>,
    /// The operation spans.
    pub observations: Vec<Observation>,
    /// States that its spans report.
    pub readings: Vec<Reading>,
    /// All spans, if calls are counted.
    pub calls: Vec<Call>,
}

impl Stage {
    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.dims.clear();
        self.observations.clear();
        self.readings.clear();
        self.calls.clear();
    }

    /// Whether there is nothing to count.
    pub fn is_empty(&self) -> bool {
        self.observations.is_empty() && self.readings.is_empty() && self.calls.is_empty()
    }
}
