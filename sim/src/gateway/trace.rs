//! Builds whole traces: a task from its arrival to its webhook, a transaction that batches several tasks, or an oddity.
//!
//! The chain of every span is always well defined. The first span of a trace carries the chain id (in an ambiguous trace
//! the first two carry two), and a trace that is split over two batches is continued only after its beginning was
//! acknowledged.

use opentelemetry_proto::tonic::trace::v1::span::{Link, SpanKind};

use super::attribute::{self, Flavour};
use super::chain_id;
use super::fault_profile::Chain;
use super::operation::TraceBuilder;
use super::span_builder::{Placement, SpanBuilder};
use crate::spec;
use crate::truth::ExpectedTag;

/// Where the chain id of a trace is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChainPlacement {
    /// On every operation span, under any key, in any spelling.
    Spans,
    /// On the scope.
    Scope,
    /// On the resource.
    Resource,
    /// On the root span only: the others inherit.
    Root,
    /// On two spans that disagree: the others get nothing.
    Ambiguous(u64),
    /// Nowhere.
    Nowhere,
}

impl TraceBuilder<'_> {
    /// The spans of one trace about `chain`, those with a chain id first; `second` is another chain of this gateway.
    pub(super) fn trace(&mut self, chain: &Chain, second: Option<u64>, task: u64) -> Vec<SpanBuilder> {
        match self.rng.u16(..1000) {
            0..=4 => vec![self.odd_trace_id(chain)],
            5..=9 => vec![self.odd_span_id(chain)],
            10..=14 => vec![self.duplicate_keys(chain)],
            15..=19 => vec![self.two_keys(chain)],
            20..=119 => self.batched_transaction(chain, task),
            _ => self.task(chain, second, task),
        }
    }

    fn task(&mut self, chain: &Chain, second: Option<u64>, task: u64) -> Vec<SpanBuilder> {
        let chain_placement = match (self.rng.u8(..100), second) {
            (0..=3, _) => ChainPlacement::Nowhere,
            (4..=6, Some(second)) => ChainPlacement::Ambiguous(second),
            (7..=16, _) => ChainPlacement::Scope,
            (17..=26, _) => ChainPlacement::Resource,
            (27..=49, _) => ChainPlacement::Root,
            _ => ChainPlacement::Spans,
        };
        let trace = self.ids.trace();
        let rates = chain.fault_profile.rates(task);
        let task_id = format!("0x{:064x}", u128::from_be_bytes(trace));
        let end = self.now.saturating_sub(self.rng.u64(..200_000_000));
        let root = self.ids.span();

        let mut aggregation = self.operation("bls_aggregation", &trace, root, end, 180_000_000);
        let reached = self.outcome(rates, |outcome, span, fact| outcome.aggregation(span, fact), &mut aggregation);
        let mut steps = vec![aggregation];
        for round in ["prepare", "evaluate"] {
            let mut broadcast = self.operation("task_broadcast", &trace, root, end, 12_000_000);
            broadcast.message.kind = SpanKind::Producer as i32;
            broadcast.put(attribute::text("avs.broadcast.round", round));
            self.outcome(rates, |outcome, span, fact| outcome.broadcast(span, fact), &mut broadcast);
            steps.push(broadcast);
        }
        let mut worked = reached;
        if reached {
            let mut transaction = self.transaction_span(&trace, root, end, chain);
            worked = self.outcome(rates, |outcome, span, fact| outcome.transaction(span, fact), &mut transaction);
            steps.push(transaction);
        }
        if !worked || self.rng.u8(..3) == 0 {
            let mut webhook = self.operation("webhook_delivery", &trace, root, end, 90_000_000);
            webhook.message.kind = SpanKind::Client as i32;
            self.outcome(rates, |outcome, span, fact| outcome.webhook(span, fact), &mut webhook);
            steps.push(webhook);
        }
        let base = 200_000_000 + chain.block_time.as_nanos() as u64 / 4;
        let mut first = self.operation("task", &trace, 0, end, base);
        first.message.span_id = root.to_be_bytes().to_vec();
        first.message.kind = SpanKind::Server as i32;
        self.outcome(rates, |outcome, span, fact| outcome.task(span, fact, worked), &mut first);
        steps.insert(0, first);

        for step in &mut steps {
            step.put(attribute::text("avs.task.id", task_id.as_str()));
        }
        if let ChainPlacement::Ambiguous(_) = chain_placement {
            // The second chain is the destination: its transaction, or whatever comes last.
            let last = steps.len() - 1;
            steps.swap(1, last);
        }
        let flood = match self.flavour {
            Flavour::RustSdk => self.rng.usize(2..9),
            Flavour::Collector => self.rng.usize(..2),
        };
        for _ in 0..flood {
            let library = self.library(&trace, root, end);
            steps.push(library);
        }
        self.write_chain(&mut steps, chain_placement, chain.id);
        steps
    }

    /// One transaction for several tasks: a trace of its own with links to theirs.
    fn batched_transaction(&mut self, chain: &Chain, task: u64) -> Vec<SpanBuilder> {
        let trace = self.ids.trace();
        let mut span = self.transaction_span(&trace, 0, self.now, chain);
        self.outcome(chain.fault_profile.rates(task), |outcome, span, fact| outcome.transaction(span, fact), &mut span);
        for _ in 0..3 {
            span.message.links.push(Link {
                trace_id: self.ids.trace().to_vec(),
                span_id: self.ids.span().to_be_bytes().to_vec(),
                ..Link::default()
            });
        }
        let mut steps = vec![span];
        self.write_chain(&mut steps, ChainPlacement::Spans, chain.id);
        steps
    }

    /// Writes the chain id where `chain_placement` says, and records the tag and the chain that follow for every span.
    fn write_chain(&mut self, steps: &mut [SpanBuilder], chain_placement: ChainPlacement, chain: u64) {
        for (index, step) in steps.iter_mut().enumerate() {
            let operation = step.fact.is_some();
            let (found, own) = match chain_placement {
                ChainPlacement::Spans => (Some(chain), operation),
                ChainPlacement::Scope => {
                    step.placement = Placement::Scope(chain);
                    (Some(chain), false)
                }
                ChainPlacement::Resource => {
                    step.placement = Placement::Resource(chain);
                    (Some(chain), false)
                }
                ChainPlacement::Root => (Some(chain), index == 0),
                ChainPlacement::Ambiguous(_) if index == 0 => (Some(chain), true),
                ChainPlacement::Ambiguous(second) if index == 1 => (Some(second), true),
                ChainPlacement::Ambiguous(_) | ChainPlacement::Nowhere => (None, false),
            };
            if let (Some(id), true) = (found, own) {
                step.put(chain_id::valid(self.rng, self.flavour, id));
            }
            step.tag = found.map_or(ExpectedTag::Absent, ExpectedTag::Canonical);
            if !own && self.rng.u8(..25) == 0 {
                // An invalid chain id: the next source must decide.
                let plain = self.rng.bool();
                let key = if plain { spec::CHAIN_KEYS[0] } else { spec::CHAIN_KEYS[self.rng.usize(1..8)] };
                step.put(chain_id::invalid_under(self.rng, key));
                if plain && found.is_none() {
                    step.tag = ExpectedTag::Invalid;
                }
            }
            if let Some(fact) = &mut step.fact {
                fact.chain = found;
            }
        }
    }
}
