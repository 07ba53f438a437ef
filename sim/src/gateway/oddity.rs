//! Spans at the edges of the convention: malformed ids, a key twice, keys that disagree.

use super::attribute;
use super::chain_id;
use super::fault_profile::Chain;
use super::operation::TraceBuilder;
use super::span_builder::SpanBuilder;
use crate::spec;
use crate::truth::ExpectedTag;

impl TraceBuilder<'_> {
    /// A trace id that is missing, zero, too short or too long.
    pub(super) fn odd_trace_id(&mut self, chain: &Chain) -> SpanBuilder {
        let knows = self.rng.bool();
        let mut span = self.lone_broadcast(knows.then_some(chain.id));
        if knows {
            span.put(chain_id::valid(self.rng, self.flavour, chain.id));
        }
        span.message.trace_id = match self.rng.u8(..4) {
            0 => Vec::new(),
            1 => vec![0; 16],
            2 => span.message.trace_id[..15].to_vec(),
            _ => [span.message.trace_id.as_slice(), &[7]].concat(),
        };
        span
    }

    /// A span id of nine or of sixteen bytes.
    pub(super) fn odd_span_id(&mut self, chain: &Chain) -> SpanBuilder {
        let mut span = self.lone_broadcast(Some(chain.id));
        span.put(chain_id::valid(self.rng, self.flavour, chain.id));
        let id = self.ids.span().to_be_bytes();
        span.message.span_id = if self.rng.bool() { [&id[..], &[9]].concat() } else { [&id[..], &id[..]].concat() };
        span
    }

    /// `chain_id` twice, first with an invalid value: one canonical tag remains.
    pub(super) fn duplicate_keys(&mut self, chain: &Chain) -> SpanBuilder {
        let mut span = self.lone_broadcast(Some(chain.id));
        span.put(chain_id::invalid_under(self.rng, spec::CHAIN_KEYS[0]));
        span.put(chain_id::valid_under(self.rng, self.flavour, spec::CHAIN_KEYS[0], chain.id));
        span
    }

    /// Two keys that disagree: the rank of the keys decides, not the order of the attributes.
    pub(super) fn two_keys(&mut self, chain: &Chain) -> SpanBuilder {
        let mut span = self.lone_broadcast(Some(chain.id));
        let winner = self.rng.usize(..7);
        let loser = self.rng.usize(winner + 1..8);
        span.put(chain_id::valid_under(self.rng, self.flavour, spec::CHAIN_KEYS[loser], chain.id ^ 2));
        span.put(chain_id::valid_under(self.rng, self.flavour, spec::CHAIN_KEYS[winner], chain.id));
        span
    }

    /// A successful broadcast in a trace of its own.
    fn lone_broadcast(&mut self, chain: Option<u64>) -> SpanBuilder {
        let trace = self.ids.trace();
        let mut span = self.operation("task_broadcast", &trace, 0, self.now, 12_000_000);
        span.put(attribute::text("avs.outcome", "sent"));
        span.tag = chain.map_or(ExpectedTag::Absent, ExpectedTag::Canonical);
        if let Some(fact) = &mut span.fact {
            fact.chain = chain;
        }
        span
    }
}
