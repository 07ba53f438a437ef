//! The walk with meaning: classifies each span, resolves its chain, stages what it says, and notes what is to be edited.
//! One pass over borrowed bytes; per span nothing is allocated and nothing is shared with other threads.

use std::cell::RefCell;
use std::hash::BuildHasher;
use std::ops::Range;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::budget::Reservation;
use super::meaning;
use super::refusal::Refusal;
use super::rules::{Measuring, Rules, Tagging};
use super::tally::{Odd, Tally};
use super::texts;
use super::unclassified::{NAMES, Unclassified};
use super::work::{Plan, PlanChain, Room, Tag, Work};
use crate::chain::{ChainId, Found, OwnTag, Resolved, Spelling, TAG_KEY, TagPlan, valid_trace_id};
use crate::gateway::{FactKey, Facts, Hints, Operation, has_bad_figure, measure, operation};
use crate::otlp::{AttributePlace, Meaning, SpanHead, Value, Visitor};
use crate::red::{Call, Dims, Observation, ObservedState, Reading, SpanKind, StatusCode, Subject};

/// The longest dimension value that is kept, in bytes; what is longer is cut.
const DIMENSION_BYTES: usize = 200;

/// Sets of dimension values that a thread remembers: gateways of one host have few.
const KEPT_DIMS: usize = 32;

/// Is shown a request and fills a [`Work`].
pub(super) struct Inspector<'p, 'a> {
    rules: &'p Rules,
    tagging: Option<&'p Tagging>,
    measuring: Option<&'p Measuring>,
    work: &'p mut Work,
    room: Room<'p>,
    resource: Found,
    scope: Found,
    span: Found,
    own: OwnTag,
    facts: Facts<'a>,
    /// The resource's value of each configured dimension.
    dimensions: Vec<Value<'a>>,
    /// The resource's `service.instance.id`.
    instance: Value<'a>,
    /// The resource's `service.name`, for calls.
    service: texts::Lazy<'a>,
    /// Index into the stage, once a span of the resource has been measured.
    dims: Option<u32>,
}

impl<'p, 'a> Inspector<'p, 'a> {
    pub(super) fn new(rules: &'p Rules, work: &'p mut Work, room: Room<'p>) -> Self {
        let measuring = rules.measuring.as_ref();
        Self {
            rules,
            tagging: rules.tagging.as_ref(),
            measuring,
            work,
            room,
            resource: Found::NOTHING,
            scope: Found::NOTHING,
            span: Found::NOTHING,
            own: OwnTag::default(),
            facts: Facts::new(),
            dimensions: vec![Value::Empty; measuring.map_or(0, |measuring| measuring.dimensions.len())],
            instance: Value::Empty,
            service: texts::Lazy::default(),
            dims: None,
        }
    }

    /// What the notes have taken of the budget, if anything.
    ///
    /// # Errors
    ///
    /// When there was not enough, and so the request was not understood.
    pub(super) fn finish(self) -> Result<Option<Reservation>, Refusal> {
        self.room.finish()
    }

    /// Stages the span if it is an operation. Which operation, and the index of its observation if it is measured.
    fn measure(
        &mut self,
        head: &SpanHead<'a>,
        chain: Option<ChainId>,
        trace_id: [u8; 16],
    ) -> Option<(Operation, Option<u32>)> {
        if self.measuring.is_none() {
            return operation(&self.facts, head, &self.rules.names).map(|operation| (operation, None));
        }
        let Some(operation) = operation(&self.facts, head, &self.rules.names) else {
            self.work.tally.unclassified += 1;
            let place = unclassified_place(head.name, &self.rules.unclassified);
            self.work.tally.unclassified_by_place[usize::from(place)] += 1;
            return None;
        };
        let measured = measure(operation, &self.facts, head);
        self.work.tally.status_conflicts += u32::from(measured.status_conflict);
        if has_bad_figure(&self.facts, &measured) {
            self.work.tally.odd(Odd::BadFigure);
        }
        let dims = self.dims();
        let index = self.work.stage.observations.len() as u32;
        self.work.stage.observations.push(Observation {
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

    /// The dimensions of the resource at hand, staged when they are first needed.
    fn dims(&mut self) -> u32 {
        match self.dims {
            Some(dims) => dims,
            None => {
                let dims = self.work.stage.dims.len() as u32;
                self.work.stage.dims.push(intern_dims(&self.dimensions));
                self.dims = Some(dims);
                dims
            }
        }
    }

    /// Stages the states that the span tells of, whatever it is. Which readings they are.
    fn read(&mut self, head: &SpanHead<'a>, chain: Option<ChainId>, operation: Option<Operation>) -> Range<u32> {
        let start = self.work.stage.readings.len() as u32;
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
        start..self.work.stage.readings.len() as u32
    }

    fn stage_reading(
        &mut self,
        head: &SpanHead<'a>,
        chain: Option<ChainId>,
        state: ObservedState,
        name: Option<&[u8]>,
    ) {
        let instance = match self.instance {
            Value::Str(text) => texts::intern(text),
            _ => texts::intern(b""),
        };
        let subject = Subject { name: texts::intern(name.unwrap_or_default()), instance };
        let dims = self.dims();
        let end_unix_nano = head.end_unix_nano;
        self.work.stage.readings.push(Reading { dims, chain, end_unix_nano, state, subject });
    }

    /// Stages the span as a call, whatever it is. Which call it is.
    fn call(&mut self, head: &SpanHead<'a>, chain: Option<ChainId>) -> u32 {
        let index = self.work.stage.calls.len() as u32;
        self.work.stage.calls.push(Call {
            service: self.service.interned(),
            name: texts::intern(head.name),
            kind: SpanKind::from_wire(head.kind),
            status: StatusCode::from_wire(head.status_code),
            chain,
            duration_nano: duration(head),
        });
        index
    }

    fn plan_tag(&mut self, chain: ChainId) -> Tag {
        match self.own.plan(Some(chain)) {
            TagPlan::Leave => Tag::Leave,
            TagPlan::Append => Tag::Append,
            TagPlan::Edit { keep, rewrite, remove } => {
                let start = self.work.removals.len() as u32;
                self.work.removals.extend_from_slice(remove);
                Tag::Edit { keep, rewrite, remove: start..self.work.removals.len() as u32 }
            }
        }
    }

    fn note_odd(&mut self, head: &SpanHead<'a>, trace_is_valid: bool) {
        let tally = &mut self.work.tally;
        if !trace_is_valid {
            tally.odd(Odd::TraceId);
        }
        if head.span_id.len() != 8 || head.span_id == [0; 8] {
            tally.odd(Odd::SpanId);
        }
        if head.duplicate_keys {
            tally.odd(Odd::DuplicateKeys);
        }
        if head.end_unix_nano < head.start_unix_nano {
            tally.odd(Odd::ClockSkew);
        }
        if head.start_unix_nano == 0 {
            tally.odd(Odd::NoStart);
        }
    }
}

impl<'a> Visitor<'a> for Inspector<'_, 'a> {
    /// Between spans, and what belongs to a resource or a scope is forgotten when the next one begins.
    fn restart(&mut self) {
        self.work.clear();
    }

    fn resource(&mut self) {
        self.resource = Found::NOTHING;
        self.dims = None;
        self.dimensions.fill(Value::Empty);
        self.instance = Value::Empty;
        self.service = texts::Lazy::default();
    }

    fn resource_attribute(&mut self, key: &'a [u8], value: Value<'a>) {
        if let Some(rank) = self.tagging.and_then(|tagging| tagging.keys.rank(key)) {
            offer(&mut self.resource, rank, value, &mut self.work.tally);
        }
        if let Some(measuring) = self.measuring
            && let Some(at) = measuring.dimensions.iter().position(|dimension| dimension.as_bytes() == key)
        {
            self.dimensions[at] = value;
        }
        if key == b"service.instance.id" {
            self.instance = value;
        }
        if key == b"service.name" {
            self.service = texts::Lazy::Of(value);
        }
    }

    fn scope(&mut self) {
        self.scope = Found::NOTHING;
    }

    fn scope_attribute(&mut self, key: &'a [u8], value: Value<'a>) {
        if let Some(rank) = self.tagging.and_then(|tagging| tagging.keys.rank(key)) {
            offer(&mut self.scope, rank, value, &mut self.work.tally);
        }
    }

    fn meaning(&mut self, key: &'a [u8]) -> Meaning {
        let rank = self.tagging.and_then(|tagging| tagging.keys.rank(key));
        meaning::of(FactKey::of(key), rank, self.tagging.is_some() && key == TAG_KEY)
    }

    #[inline(always)]
    fn known_attribute(&mut self, meaning: Meaning, _: &'a [u8], value: Value<'a>, place: AttributePlace) {
        if meaning == Meaning::NONE {
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
            self.work.tally.invalid_chain_values += u32::from(spelling.chain.is_none());
            self.span.offer_chain(rank, spelling.chain);
        }
        if meaning::is_tag(meaning) {
            self.own.attribute_read(spelling, place);
        }
    }

    #[inline]
    fn event_attribute(&mut self, key: &'a [u8], value: Value<'a>) {
        self.facts.event_attribute(key, value);
    }

    fn span(&mut self, head: &SpanHead<'a>) {
        if !self.room.has(self.work.notes()) {
            // The request will be refused; what is left of it is only validated.
            (self.span, self.own) = (Found::NOTHING, OwnTag::default());
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
                        self.work.traces.note(&trace, chain);
                    }
                    self.work.tally.resolved[resolved.source.index()] += 1;
                    (PlanChain::Known(chain), self.plan_tag(chain))
                }
                // Whatever the trace says, it is not what stands there: that was read, and is no chain.
                (None, Some(trace)) => (PlanChain::OfTrace(trace), self.plan_tag(ChainId::LARGEST)),
                (None, None) => {
                    self.work.tally.resolved[resolved.source.index()] += 1;
                    (PlanChain::Unknown, Tag::Leave)
                }
            };
            let hints = match operation {
                Some((operation, _)) if tagging.datadog_hints => Hints::of(operation, head.kind, &self.facts),
                _ => Hints::default(),
            };
            let settled = matches!((&chain, &tag), (PlanChain::Known(_), Tag::Leave) | (PlanChain::Unknown, _));
            if !settled || !hints.is_empty() {
                let observation = operation.and_then(|(_, index)| index);
                self.work.plans.push(Plan { place: head.place, tag, chain, observation, readings, call, hints });
            }
        }

        self.span = Found::NOTHING;
        self.own.clear();
        self.facts.clear();
    }
}

/// How long a span took; 0 when its end is before its start, or when it has no start: half a century is no duration.
fn duration(head: &SpanHead<'_>) -> u64 {
    if head.start_unix_nano == 0 { 0 } else { head.end_unix_nano.saturating_sub(head.start_unix_nano) }
}

/// Takes a value under a chain key; one that is no chain id is counted.
#[inline]
fn offer(found: &mut Found, rank: u8, value: Value<'_>, tally: &mut Tally) {
    let before = found.invalid();
    found.offer(rank, value);
    tally.invalid_chain_values += found.invalid() - before;
}

/// Span names and their places, by a hash of the name.
type Places = (DefaultHashBuilder, HashTable<(Box<[u8]>, u8)>);

thread_local! {
    static DIMS: RefCell<Vec<Arc<Dims>>> = const { RefCell::new(Vec::new()) };
    static PLACES: RefCell<Places> = RefCell::default();
}

/// The values as labels. Equal values give the same `Arc` on the same thread, so that comparing them later is cheap.
fn intern_dims(values: &[Value<'_>]) -> Arc<Dims> {
    DIMS.with_borrow_mut(|kept| {
        let same = |dims: &Arc<Dims>| {
            dims.0.len() == values.len()
                && dims.0.iter().zip(values).all(|(kept, value)| match value {
                    Value::Empty => kept.is_empty(),
                    Value::Str(text) => kept.as_bytes() == *text,
                    _ => false,
                })
        };
        if let Some(dims) = kept.iter().find(|dims| same(dims)) {
            return dims.clone();
        }
        let dims = Arc::new(Dims(values.iter().map(|value| label(*value)).collect()));
        if kept.len() == KEPT_DIMS {
            kept.clear();
        }
        kept.push(dims.clone());
        dims
    })
}

/// An attribute value as label text, at most [`DIMENSION_BYTES`] long.
fn label(value: Value<'_>) -> Box<str> {
    match value {
        Value::Str(text) => {
            let cut = &text[..text.len().min(DIMENSION_BYTES)];
            String::from_utf8_lossy(cut).into()
        }
        Value::Int(number) => number.to_string().into(),
        Value::Double(number) => number.to_string().into(),
        Value::Bool(truth) => truth.to_string().into(),
        Value::Empty | Value::Array(_) | Value::KvList(_) | Value::Bytes(_) => "".into(),
    }
}

/// The place of a span name among the unclassified, remembered by each thread for the first names.
fn unclassified_place(name: &[u8], names: &Unclassified) -> u8 {
    PLACES.with_borrow_mut(|(hasher, places)| {
        let hash = hasher.hash_one(name);
        if let Some((_, place)) = places.find(hash, |(known, _)| **known == *name) {
            return *place;
        }
        let place = names.place(name);
        if places.len() < NAMES {
            places.insert_unique(hash, (name.into(), place), |(known, _)| hasher.hash_one(&**known));
        }
        place
    })
}
