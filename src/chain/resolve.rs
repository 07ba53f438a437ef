//! Where a span's chain comes from: the first valid value in the order span, scope, resource, trace.

use super::ChainId;
use crate::otlp::Value;

/// Where a chain was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChainSource {
    /// An attribute of the span.
    Span,
    /// An attribute of its instrumentation scope.
    Scope,
    /// An attribute of its resource.
    Resource,
    /// Inherited from other spans of its trace.
    Trace,
    /// Nowhere.
    None,
}

impl ChainSource {
    /// All of them, in the order of the search; the position is [`ChainSource::index`].
    pub const ALL: [Self; 5] = [Self::Span, Self::Scope, Self::Resource, Self::Trace, Self::None];

    /// The metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Span => "span",
            Self::Scope => "scope",
            Self::Resource => "resource",
            Self::Trace => "trace",
            Self::None => "none",
        }
    }

    /// Position in [`ChainSource::ALL`], for an array of counters.
    pub fn index(self) -> usize {
        self as usize
    }
}

/// What the attributes of one source (a span, a scope or a resource) say about the chain, fed in the order of the wire.
///
/// The key with the best rank that has a valid value wins, whatever the order of the attributes; of several valid values
/// under one key the first. Invalid values are counted, all of them: the count must not depend on their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainCandidate {
    chain: Option<ChainId>,
    rank: u8,
    invalid: u32,
}

impl ChainCandidate {
    /// Nothing seen yet.
    pub const NOTHING: Self = Self { chain: None, rank: u8::MAX, invalid: 0 };

    /// Takes the value of a key that [`super::ChainKeys::rank`] knows.
    #[inline]
    pub fn offer(&mut self, rank: u8, value: Value<'_>) {
        self.offer_chain(rank, ChainId::from_value(value));
    }

    /// The same with what [`ChainId::from_value`] makes of the value.
    #[inline]
    pub fn offer_chain(&mut self, rank: u8, chain: Option<ChainId>) {
        match chain {
            None => self.invalid = self.invalid.saturating_add(1),
            Some(chain) if self.chain.is_none() || rank < self.rank => {
                self.chain = Some(chain);
                self.rank = rank;
            }
            Some(_) => {}
        }
    }

    /// Values under the known keys that were not chain ids.
    #[inline]
    pub fn invalid(&self) -> u32 {
        self.invalid
    }
}

impl Default for ChainCandidate {
    fn default() -> Self {
        Self::NOTHING
    }
}

/// A span's chain and where it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The chain; `None` if and only if `source` is [`ChainSource::None`].
    pub chain: Option<ChainId>,
    /// Where it was found.
    pub source: ChainSource,
}

impl Resolved {
    /// What the span, its scope and its resource say themselves. Such a chain is passed on to the rest of the trace.
    #[inline]
    pub fn own(span: &ChainCandidate, scope: &ChainCandidate, resource: &ChainCandidate) -> Self {
        for (found, source) in
            [(span, ChainSource::Span), (scope, ChainSource::Scope), (resource, ChainSource::Resource)]
        {
            if found.chain.is_some() {
                return Self { chain: found.chain, source };
            }
        }
        Self { chain: None, source: ChainSource::None }
    }
}
