//! The memory budget's share of what is noted during a walk: a request of legal size may hold millions of tiny spans.

use super::budget::{Budget, Reservation};
use super::plan::SpanPlan;
use super::refusal::Refusal;
use crate::red::Observation;

/// Notes that a request may hold before the budget is asked: those of any usual request.
const FREE_NOTES: usize = 4096;

/// The most bytes that one note takes; a span makes up to five.
const NOTE_BYTES: usize =
    if size_of::<SpanPlan>() > size_of::<Observation>() { size_of::<SpanPlan>() } else { size_of::<Observation>() };

/// Asks the budget for more as the notes of one request grow.
#[derive(Debug)]
pub(super) struct NoteBudget<'b> {
    budget: &'b Budget,
    notes: usize,
    reserved: Option<Reservation>,
    full: bool,
}

impl<'b> NoteBudget<'b> {
    pub(super) fn new(budget: &'b Budget) -> Self {
        Self { budget, notes: FREE_NOTES, reserved: None, full: false }
    }

    /// Whether another span may be noted after `notes` notes. Once the answer was no, it stays no.
    #[inline]
    pub(super) fn has(&mut self, notes: usize) -> bool {
        notes < self.notes || self.grow()
    }

    /// What has been taken out of the budget, if anything.
    ///
    /// # Errors
    /// The budget was too small, so that the notes are not complete.
    pub(super) fn finish(self) -> Result<Option<Reservation>, Refusal> {
        if self.full { Err(Refusal::out_of_memory()) } else { Ok(self.reserved) }
    }

    /// Doubles, as the lists do when they grow.
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
