//! What is left to do for a span once the walk has passed it.

use std::ops::Range;

use crate::chain::ChainId;
use crate::gateway::Hints;
use crate::otlp::{AttributePlace, SpanPlace};

/// A span that is not finished when its last byte has been read: it needs an edit, or the chain of its trace.
#[derive(Debug)]
pub(super) struct SpanPlan {
    pub(super) place: SpanPlace,
    /// What to do with its `chain_id`, once the chain is known.
    pub(super) tag: TagEdit,
    pub(super) chain: SpanChain,
    /// Index of its observation, if it is measured.
    pub(super) observation: Option<u32>,
    /// Its readings: range of the stage's.
    pub(super) readings: Range<u32>,
    /// Index of its call, if calls are counted.
    pub(super) call: Option<u32>,
    /// What the Datadog agent would like to see as well.
    pub(super) hints: Hints,
}

/// The chain of a planned span.
#[derive(Clone, Copy, Debug)]
pub(super) enum SpanChain {
    /// Span, scope or resource gave it.
    Known(ChainId),
    /// The trace may give it.
    OfTrace([u8; 16]),
    /// Nothing can give it.
    Unknown,
}

/// What to do with a span's own `chain_id` attributes.
#[derive(Clone, Debug)]
pub(super) enum TagEdit {
    Leave,
    Append,
    Edit {
        keep: AttributePlace,
        rewrite: bool,
        /// Range of the scratch's `removals`.
        remove: Range<u32>,
    },
}
