//! What the walk means to a pipeline: classifies each span, resolves its chain, stages its observations, and notes what is
//! to be edited.
//! One pass over borrowed bytes; per span nothing is allocated and nothing is shared with other threads.

use std::ops::Range;

use super::budget::Reservation;
use super::counts::{Odd, RequestCounts};
use super::meaning;
use super::notes::NoteBudget;
use super::plan::{SpanChain, SpanPlan, TagEdit};
use super::refusal::Refusal;
use super::resource::Resource;
use super::rules::{Measuring, Rules, Tagging};
use super::scratch::RequestScratch;
use super::texts;
use crate::chain::{ChainCandidate, ChainId, OwnTag, Resolved, Spelling, TAG_KEY, TagPlan, valid_trace_id};
use crate::gateway::{FactKey, Facts, Hints, Operation, has_bad_figure, measure, operation_of};
use crate::otlp::{AttributePlace, KeyMeaning, SpanHead, Value, Visitor};
use crate::red::{Call, Observation, ObservedState, Reading, SpanKind, StatusCode, Subject};

/// Visits a request and fills a [`RequestScratch`].
pub(super) struct Inspector<'p, 'a> {
    rules: &'p Rules,
    tagging: Option<&'p Tagging>,
    measuring: Option<&'p Measuring>,
    scratch: &'p mut RequestScratch,
    notes: NoteBudget<'p>,
    resource: ChainCandidate,
    scope: ChainCandidate,
    span: ChainCandidate,
    own: OwnTag,
    facts: Facts<'a>,
    /// The resource, as far as it is measured by.
    measured_resource: Resource<'a>,
}

impl<'p, 'a> Inspector<'p, 'a> {
    pub(super) fn new(rules: &'p Rules, scratch: &'p mut RequestScratch, notes: NoteBudget<'p>) -> Self {
        let measuring = rules.measuring.as_ref();
        Self {
            rules,
            tagging: rules.tagging.as_ref(),
            measuring,
            scratch,
            notes,
            resource: ChainCandidate::NOTHING,
            scope: ChainCandidate::NOTHING,
            span: ChainCandidate::NOTHING,
            own: OwnTag::default(),
            facts: Facts::new(),
            measured_resource: Resource::new(measuring.map_or(0, |measuring| measuring.dimensions.len())),
        }
    }

    /// What the notes have taken out of the budget, if anything.
    ///
    /// # Errors
    ///
    /// There was not enough, so that the notes are not complete.
    pub(super) fn finish(self) -> Result<Option<Reservation>, Refusal> {
        self.notes.finish()
    }

    /// Stages the span if it is an operation. Returns which one, and the index of its observation if it is measured.
    fn measure(
        &mut self,
        head: &SpanHead<'a>,
        chain: Option<ChainId>,
        trace_id: [u8; 16],
    ) -> Option<(Operation, Option<u32>)> {
        if self.measuring.is_none() {
            return operation_of(&self.facts, head, &self.rules.names).map(|operation| (operation, None));
        }
        let Some(operation) = operation_of(&self.facts, head, &self.rules.names) else {
            self.scratch.counts.unclassified += 1;
            self.scratch.counts.unclassified_names.insert(self.rules.unclassified.index(head.name));
            return None;
        };
        let measured = measure(operation, &self.facts, head);
        self.scratch.counts.status_conflicts += u32::from(measured.status_conflict);
        if has_bad_figure(&self.facts, &measured) {
            self.scratch.counts.odd(Odd::BadFigure);
        }
        let dims = self.dims();
        let index = self.scratch.stage.observations.len() as u32;
        self.scratch.stage.observations.push(Observation {
            dims,
            chain,
            measured,
            end_unix_nano: head.end_unix_nano,
            duration_nano: duration(head),
            trace_id,
            span_id: head.span_id.try_into().unwrap_or_default(),
        });
        Some((operation, Some(index)))
    }

    /// The staged dimensions of the resource at hand.
    fn dims(&mut self) -> u32 {
        self.measured_resource.stage_dims(&mut self.scratch.stage.dims)
    }

    /// Stages the states that the span tells of, whether or not it is an operation. Returns the range of their readings.
    fn read(&mut self, head: &SpanHead<'a>, chain: Option<ChainId>, operation: Option<Operation>) -> Range<u32> {
        let start = self.scratch.stage.readings.len() as u32;
        if self.measuring.is_some() {
            if operation == Some(Operation::TxSubmission)
                && let Some(gap) = self.facts.nonce_gap()
            {
                self.stage_reading(head, chain, ObservedState::NonceGap(gap), self.facts.signer_alias());
            }
            if let Some(state) = self.facts.breaker_state() {
                self.stage_reading(head, chain, ObservedState::Breaker(state), self.facts.breaker_target());
            }
        }
        start..self.scratch.stage.readings.len() as u32
    }

    fn stage_reading(
        &mut self,
        head: &SpanHead<'a>,
        chain: Option<ChainId>,
        state: ObservedState,
        name: Option<&[u8]>,
    ) {
        let subject =
            Subject { name: texts::intern(name.unwrap_or_default()), instance: self.measured_resource.instance() };
        let dims = self.dims();
        let end_unix_nano = head.end_unix_nano;
        self.scratch.stage.readings.push(Reading { dims, chain, end_unix_nano, state, subject });
    }

    /// Stages the span as a call, whether or not it is an operation. Returns the index of the call.
    fn call(&mut self, head: &SpanHead<'a>, chain: Option<ChainId>) -> u32 {
        let index = self.scratch.stage.calls.len() as u32;
        self.scratch.stage.calls.push(Call {
            service: self.measured_resource.service(),
            name: texts::intern(head.name),
            kind: SpanKind::from_wire(head.kind),
            status: StatusCode::from_wire(head.status_code),
            chain,
            duration_nano: duration(head),
        });
        index
    }

    fn plan_tag(&mut self, chain: ChainId) -> TagEdit {
        match self.own.plan(Some(chain)) {
            TagPlan::Leave => TagEdit::Leave,
            TagPlan::Append => TagEdit::Append,
            TagPlan::Edit { keep, rewrite, remove } => {
                let start = self.scratch.removals.len() as u32;
                self.scratch.removals.extend_from_slice(remove);
                TagEdit::Edit { keep, rewrite, remove: start..self.scratch.removals.len() as u32 }
            }
        }
    }

    fn note_odd(&mut self, head: &SpanHead<'a>, trace_is_valid: bool) {
        let counts = &mut self.scratch.counts;
        if !trace_is_valid {
            counts.odd(Odd::TraceId);
        }
        if head.span_id.len() != 8 || head.span_id == [0; 8] {
            counts.odd(Odd::SpanId);
        }
        if head.duplicate_keys {
            counts.odd(Odd::DuplicateKeys);
        }
        if head.end_unix_nano < head.start_unix_nano {
            counts.odd(Odd::ClockSkew);
        }
        if head.start_unix_nano == 0 {
            counts.odd(Odd::NoStart);
        }
    }
}

impl<'a> Visitor<'a> for Inspector<'_, 'a> {
    /// Between spans, and what belongs to a resource or a scope is forgotten when the next one begins.
    fn restart(&mut self) {
        self.scratch.clear();
    }

    fn resource(&mut self) {
        self.resource = ChainCandidate::NOTHING;
        self.measured_resource.clear();
    }

    fn resource_attribute(&mut self, key: &'a [u8], value: Value<'a>) {
        if let Some(rank) = self.tagging.and_then(|tagging| tagging.keys.rank(key)) {
            offer(&mut self.resource, rank, value, &mut self.scratch.counts);
        }
        if let Some(measuring) = self.measuring {
            self.measured_resource.attribute(key, value, &measuring.dimensions);
        }
    }

    fn scope(&mut self) {
        self.scope = ChainCandidate::NOTHING;
    }

    fn scope_attribute(&mut self, key: &'a [u8], value: Value<'a>) {
        if let Some(rank) = self.tagging.and_then(|tagging| tagging.keys.rank(key)) {
            offer(&mut self.scope, rank, value, &mut self.scratch.counts);
        }
    }

    fn meaning(&mut self, key: &'a [u8]) -> KeyMeaning {
        let rank = self.tagging.and_then(|tagging| tagging.keys.rank(key));
        meaning::of(FactKey::of(key), rank, self.tagging.is_some() && key == TAG_KEY.as_bytes())
    }

    #[inline(always)]
    fn known_attribute(&mut self, meaning: KeyMeaning, _: &'a [u8], value: Value<'a>, place: AttributePlace) {
        if meaning == KeyMeaning::NONE {
            return;
        }
        if let Some(key) = meaning::fact(meaning) {
            self.facts.known_attribute(key, value);
        }
        let rank = meaning::rank(meaning);
        if rank.is_none() && !meaning::is_tag(meaning) {
            return;
        }
        let spelling = Spelling::of(value);
        if let Some(rank) = rank {
            self.scratch.counts.invalid_chain_values += u32::from(spelling.chain.is_none());
            self.span.offer_chain(rank, spelling.chain);
        }
        if meaning::is_tag(meaning) {
            self.own.attribute(spelling, place);
        }
    }

    #[inline]
    fn event_attribute(&mut self, key: &'a [u8], value: Value<'a>) {
        self.facts.event_attribute(key, value);
    }

    fn span(&mut self, head: &SpanHead<'a>) {
        if !self.notes.has(self.scratch.notes()) {
            // The request will be refused; what is left of it is only validated.
            (self.span, self.own) = (ChainCandidate::NOTHING, OwnTag::default());
            self.facts.clear();
            return;
        }
        let trace = valid_trace_id(head.trace_id);
        self.note_odd(head, trace.is_some());
        let resolved = Resolved::own(&self.span, &self.scope, &self.resource);
        let operation = self.measure(head, resolved.chain, trace.unwrap_or_default());
        let readings = self.read(head, resolved.chain, operation.map(|(operation, _)| operation));
        let calls = self.measuring.is_some_and(|measuring| measuring.span_metrics);
        let call = calls.then(|| self.call(head, resolved.chain));

        if let Some(tagging) = self.tagging {
            let (chain, tag) = match (resolved.chain, trace) {
                (Some(chain), trace) => {
                    if let Some(trace) = trace {
                        self.scratch.traces.note(&trace, chain);
                    }
                    self.scratch.counts.resolved[resolved.source.index()] += 1;
                    (SpanChain::Known(chain), self.plan_tag(chain))
                }
                // Whatever the trace says, it is not what the span says itself: that was read, and is no chain.
                (None, Some(trace)) => (SpanChain::OfTrace(trace), self.plan_tag(ChainId::LARGEST)),
                (None, None) => {
                    self.scratch.counts.resolved[resolved.source.index()] += 1;
                    (SpanChain::Unknown, TagEdit::Leave)
                }
            };
            let hints = match operation {
                Some((operation, _)) if tagging.datadog_hints => Hints::of(operation, head.kind, &self.facts),
                _ => Hints::default(),
            };
            let settled = matches!((&chain, &tag), (SpanChain::Known(_), TagEdit::Leave) | (SpanChain::Unknown, _));
            if !settled || !hints.is_empty() {
                let observation = operation.and_then(|(_, index)| index);
                self.scratch.plans.push(SpanPlan { place: head.place, tag, chain, observation, readings, call, hints });
            }
        }

        self.span = ChainCandidate::NOTHING;
        self.own.clear();
        self.facts.clear();
    }
}

/// How long a span took; 0 if it ends before it starts, or if its start is not set: half a century is no duration.
fn duration(head: &SpanHead<'_>) -> u64 {
    if head.start_unix_nano == 0 { 0 } else { head.end_unix_nano.saturating_sub(head.start_unix_nano) }
}

/// Takes a value under a chain key; one that is no chain id is counted.
#[inline]
fn offer(found: &mut ChainCandidate, rank: u8, value: Value<'_>, counts: &mut RequestCounts) {
    let before = found.invalid();
    found.offer(rank, value);
    counts.invalid_chain_values += found.invalid() - before;
}
