//! The memory that one request needs between its walk and its answer, reused from request to request.

use std::cell::RefCell;

use super::counts::RequestCounts;
use super::plan::SpanPlan;
use crate::chain::RequestTraces;
use crate::otlp::{AttributePlace, Edits};
use crate::red::{Call, Observation, Reading, Stage};

/// Idle scratches kept by each thread; more are freed.
const MAX_IDLE: usize = 16;

/// Capacity in spans above which memory is freed after the request: one huge request must not hold its memory for ever.
const MAX_IDLE_SPANS: usize = 8192;

/// Bytes reserved for the edits of one span: patches of three lengths and two texts, and the texts. Only the least likely
/// edits take more.
const EDIT_BYTES: usize = 256;

/// What the walk notes of one request.
#[derive(Debug, Default)]
pub(super) struct RequestScratch {
    /// What is counted when the request is accepted.
    pub(super) stage: Stage,
    /// The same for our own counters.
    pub(super) counts: RequestCounts,
    /// Which chains each trace of the request has shown.
    pub(super) traces: RequestTraces,
    /// Spans that may need an edit or a chain, in the order of the body.
    pub(super) plans: Vec<SpanPlan>,
    /// `chain_id` attributes that go, for [`TagEdit::Edit`](super::plan::TagEdit::Edit).
    pub(super) removals: Vec<AttributePlace>,
    /// The edits of the body.
    pub(super) edits: Edits,
}

impl RequestScratch {
    /// Forgets the request, keeps the memory.
    pub(super) fn clear(&mut self) {
        self.stage.clear();
        self.counts = RequestCounts::default();
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
            + self.traces.count()
    }

    /// Bytes that settling the plans will take.
    pub(super) fn edit_bytes(&self) -> usize {
        self.plans.len() * EDIT_BYTES
    }

    /// Forgets what was only needed to make the new body, and gives its memory back where that is much.
    pub(super) fn edited(&mut self) {
        let large = self.plans.capacity() > MAX_IDLE_SPANS;
        self.plans.clear();
        self.removals.clear();
        self.edits.clear();
        if large {
            (self.plans, self.removals, self.edits) = Default::default();
        }
    }

    /// Bytes that are held until the answer, beside the body.
    pub(super) fn held_bytes(&self) -> usize {
        self.stage.observations.len() * size_of::<Observation>()
            + self.stage.readings.len() * size_of::<Reading>()
            + self.stage.calls.len() * size_of::<Call>()
            + self.traces.count() * size_of::<(u128, u64)>()
    }
}

/// Boxed, so that taking one moves a pointer and not a kilobyte.
type Idle = Vec<Box<RequestScratch>>;

thread_local! {
    static IDLE: RefCell<Idle> = const { RefCell::new(Vec::new()) };
}

/// A scratch in use; goes back to the idle ones of whichever thread drops it.
#[derive(Debug)]
pub(super) struct PooledScratch(Option<Box<RequestScratch>>);

impl PooledScratch {
    /// An idle one of this thread, or a new one.
    pub(super) fn take() -> Self {
        Self(Some(IDLE.with_borrow_mut(Vec::pop).unwrap_or_default()))
    }
}

impl std::ops::Deref for PooledScratch {
    type Target = RequestScratch;

    fn deref(&self) -> &RequestScratch {
        self.0.as_ref().expect("only empty while it is dropped")
    }
}

impl std::ops::DerefMut for PooledScratch {
    fn deref_mut(&mut self) -> &mut RequestScratch {
        self.0.as_mut().expect("only empty while it is dropped")
    }
}

impl Drop for PooledScratch {
    fn drop(&mut self) {
        let Some(mut scratch) = self.0.take() else { return };
        let largest = scratch.stage.observations.capacity().max(scratch.plans.capacity());
        if largest > MAX_IDLE_SPANS {
            return;
        }
        scratch.clear();
        // A thread that is ending has no idle list any more; then the memory is simply freed.
        let _ = IDLE.try_with(|idle| {
            let mut idle = idle.borrow_mut();
            if idle.len() < MAX_IDLE {
                idle.push(scratch);
            }
        });
    }
}
