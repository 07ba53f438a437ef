//! Gauges: what the span that ended last says of a state, nonce gaps by signer and circuit breakers by target.

use std::sync::Arc;

use hashbrown::HashMap;

use super::key::{OTHER_CHAIN, OVERFLOW_DIMS, UNKNOWN_CHAIN};
use super::labels::{Attributes, ChainLabel, Subject};
use super::metric::Metric;
use super::stage::{Dims, ObservedState, Reading};
use crate::chain::ChainId;
use crate::gateway::GatewayBreaker;

/// Subjects (signers, breaker targets) that one chain may have in one metric; more of them share one series. No gateway has
/// that many, and a client that invents them must not use up the series of other chains.
pub(super) const MAX_SUBJECTS: usize = 64;

/// One attribute set of a gauge, dimensions and chain interned.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct GaugeKey {
    pub(super) metric: Metric,
    pub(super) dims: u32,
    pub(super) chain: u32,
    pub(super) subject: Subject,
}

impl GaugeKey {
    /// The gauge that all share that are beyond the limit.
    pub(super) fn overflow(&self) -> Self {
        Self { dims: OVERFLOW_DIMS, subject: Subject::default(), ..*self }
    }

    pub(super) fn is_overflow(&self) -> bool {
        self.dims == OVERFLOW_DIMS
    }
}

/// What was last seen.
#[derive(Clone, Debug)]
pub(super) struct Gauge {
    pub(super) dims: Arc<Dims>,
    pub(super) chain: ChainLabel,
    pub(super) end_unix_nano: u64,
    pub(super) value: i64,
}

pub(super) type Gauges = HashMap<GaugeKey, Gauge>;

impl Gauge {
    pub(super) fn new(reading: &Reading, dims: Arc<Dims>, chain: ChainLabel) -> Self {
        let (_, value) = value(reading.state);
        Self { dims, chain, end_unix_nano: reading.end_unix_nano, value }
    }

    /// Takes the later of the two; of two that ended at the same time the worse, so that their order does not matter.
    pub(super) fn see(&mut self, other: &Self) {
        if (other.end_unix_nano, other.value) > (self.end_unix_nano, self.value) {
            (self.end_unix_nano, self.value) = (other.end_unix_nano, other.value);
        }
    }

    /// The attributes of its series.
    pub(super) fn attributes(&self, overflow: bool) -> Attributes {
        Attributes { overflow, ..Attributes::of_chain(self.chain) }
    }
}

/// The metric of a state and its value there.
pub(super) fn value(state: ObservedState) -> (Metric, i64) {
    match state {
        ObservedState::NonceGap(gap) => (Metric::TxNonceGap, gap),
        ObservedState::Breaker(GatewayBreaker::Closed) => (Metric::BreakerState, 0),
        ObservedState::Breaker(GatewayBreaker::HalfOpen) => (Metric::BreakerState, 1),
        ObservedState::Breaker(GatewayBreaker::Open) => (Metric::BreakerState, 2),
    }
}

/// The label of an interned chain.
pub(super) fn chain_label(interned: u32, chain: Option<ChainId>) -> ChainLabel {
    match (interned, chain) {
        (UNKNOWN_CHAIN, _) | (_, None) => ChainLabel::Unknown,
        (OTHER_CHAIN, _) => ChainLabel::Other,
        (_, Some(id)) => ChainLabel::Id(id),
    }
}
