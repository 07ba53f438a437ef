//! The memory that one request needs between its walk and its answer, reused from request to request.

use std::cell::RefCell;
use std::ops::Range;

use super::budget::{Budget, Reservation};
use super::refusal::Refusal;
use super::tally::Tally;
use crate::chain::{ChainId, RequestTraces};
use crate::gateway::Hints;
use crate::otlp::{AttributePlace, Edits, SpanPlace};
use crate::red::{Call, Observation, Reading, Stage};

/// Idle works kept per thread.
const KEPT: usize = 16;

/// Above this many spans a work is not kept: one huge request must not hold its memory for ever.
const KEPT_SPANS: usize = 8192;

/// So much may be noted of a request before the budget is asked: that of any usual request.
const FREE_NOTES: usize = 4096;

/// The most that one note takes; a span makes up to five.
const NOTE_BYTES: usize =
    if size_of::<Plan>() > size_of::<Observation>() { size_of::<Plan>() } else { size_of::<Observation>() };

/// What the edits of one span take, all but the least likely ones: patches of three lengths and two texts, and the texts.
const EDIT_BYTES: usize = 256;

/// What the walk found out about a request.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// What is counted when the request is accepted.
    pub(super) stage: Stage,
    /// The same for our own counters.
    pub(super) tally: Tally,
    /// Which chains each trace of the request has shown.
    pub(super) traces: RequestTraces,
    /// Spans that may need an edit or a chain, in the order of the body.
    pub(super) plans: Vec<Plan>,
    /// `chain_id` attributes that go, for [`Tag::Edit`].
    pub(super) removals: Vec<AttributePlace>,
    /// The edits of the body.
    pub(super) edits: Edits,
}

/// A span that is not finished when its last byte has been read.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) place: SpanPlace,
    /// What to do with its `chain_id`, once the chain is known.
    pub(super) tag: Tag,
    pub(super) chain: PlanChain,
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
pub(super) enum PlanChain {
    /// Span, scope or resource gave it.
    Known(ChainId),
    /// The trace may give it.
    OfTrace([u8; 16]),
    /// Nothing can give it.
    Unknown,
}

/// What to do with a span's own `chain_id` attributes.
#[derive(Clone, Debug)]
pub(super) enum Tag {
    Leave,
    Append,
    Edit {
        keep: AttributePlace,
        rewrite: bool,
        /// Range of [`Work::removals`].
        remove: Range<u32>,
    },
}

impl Work {
    /// Forgets the request, keeps the memory.
    pub(super) fn clear(&mut self) {
        self.stage.clear();
        self.tally = Tally::default();
        self.traces.clear();
        self.plans.clear();
        self.removals.clear();
        self.edits.clear();
    }

    /// How much has been noted.
    #[inline]
    pub(super) fn notes(&self) -> usize {
        self.stage.observations.len()
            + self.stage.readings.len()
            + self.stage.dims.len()
            + self.stage.calls.len()
            + self.plans.len()
            + self.traces.len()
    }

    /// Bytes that settling the plans will take.
    pub(super) fn edit_bytes(&self) -> usize {
        self.plans.len() * EDIT_BYTES
    }

    /// Forgets what was only needed to make the new body, and gives its memory back where that is much.
    pub(super) fn edited(&mut self) {
        let large = self.plans.capacity() > KEPT_SPANS;
        self.plans.clear();
        self.removals.clear();
        self.edits.clear();
        if large {
            (self.plans, self.removals, self.edits) = Default::default();
        }
    }

    /// Bytes that stay in hand until the answer, beside the body.
    pub(super) fn held_bytes(&self) -> usize {
        self.stage.observations.len() * size_of::<Observation>()
            + self.stage.readings.len() * size_of::<Reading>()
            + self.stage.calls.len() * size_of::<Call>()
            + self.traces.len() * size_of::<(u128, u64)>()
    }
}

/// The budget's share of what is noted during a walk: a request of legal size may hold millions of tiny spans.
#[derive(Debug)]
pub(super) struct Room<'b> {
    budget: &'b Budget,
    notes: usize,
    reserved: Option<Reservation>,
    full: bool,
}

impl<'b> Room<'b> {
    pub(super) fn new(budget: &'b Budget) -> Self {
        Self { budget, notes: FREE_NOTES, reserved: None, full: false }
    }

    /// Whether another span's notes have room after `notes`. Once there was none, there is none any more.
    #[inline]
    pub(super) fn has(&mut self, notes: usize) -> bool {
        notes < self.notes || self.grow()
    }

    /// What has been taken, if anything.
    pub(super) fn finish(self) -> Result<Option<Reservation>, Refusal> {
        if self.full { Err(Refusal::out_of_memory()) } else { Ok(self.reserved) }
    }

    /// Twice as much room, as the lists grow.
    #[cold]
    fn grow(&mut self) -> bool {
        let more = self.notes * NOTE_BYTES;
        let grown = !self.full
            && match &mut self.reserved {
                Some(reserved) => reserved.try_grow(more),
                None => {
                    self.reserved = self.budget.try_reserve(more);
                    self.reserved.is_some()
                }
            };
        self.full = !grown;
        self.notes = if grown { self.notes * 2 } else { 0 };
        grown
    }
}

/// Boxed, so that a loan moves a pointer and not a kilobyte.
type Idle = Vec<Box<Work>>;

thread_local! {
    static IDLE: RefCell<Idle> = const { RefCell::new(Vec::new()) };
}

/// A work on loan; goes back to the idle ones of whichever thread drops it.
#[derive(Debug)]
pub(super) struct Loan(Option<Box<Work>>);

impl Loan {
    pub(super) fn take() -> Self {
        Self(Some(IDLE.with_borrow_mut(Vec::pop).unwrap_or_default()))
    }
}

impl std::ops::Deref for Loan {
    type Target = Work;

    fn deref(&self) -> &Work {
        self.0.as_ref().expect("a loan is only empty while it is dropped")
    }
}

impl std::ops::DerefMut for Loan {
    fn deref_mut(&mut self) -> &mut Work {
        self.0.as_mut().expect("a loan is only empty while it is dropped")
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let Some(mut work) = self.0.take() else { return };
        let largest = work.stage.observations.capacity().max(work.plans.capacity());
        if largest > KEPT_SPANS {
            return;
        }
        work.clear();
        // A thread that is ending has no idle list any more; then the work is simply freed.
        let _ = IDLE.try_with(|idle| {
            let mut idle = idle.borrow_mut();
            if idle.len() < KEPT {
                idle.push(work);
            }
        });
    }
}
