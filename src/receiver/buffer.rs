//! The memory of a message that arrives in several pieces.

use bytes::Bytes;

use super::status::RequestError;
use crate::pipeline::{Budget, Reservation};

/// First size of the buffer in bytes, unless the message is smaller.
const FIRST_BYTES: usize = 64 * 1024;

/// A message that arrives in several pieces. The buffer is never larger than the message, nor than twice what has
/// arrived (64 KiB at the least), and the reservation covers all of it.
pub(super) struct MessageBuffer {
    bytes: Vec<u8>,
    size: usize,
    reservation: Reservation,
    budget_limit: usize,
}

impl MessageBuffer {
    pub(super) fn new(reservation: Reservation, size: usize, budget: &Budget) -> Self {
        Self { bytes: Vec::new(), size, reservation, budget_limit: budget.limit() }
    }

    pub(super) fn add(&mut self, piece: &[u8]) -> Result<(), RequestError> {
        let needed = self.bytes.len() + piece.len();
        let capacity = self.bytes.capacity();
        if needed > capacity {
            let larger = needed.max(capacity * 2).max(FIRST_BYTES).min(self.size);
            if !self.reservation.try_grow(larger - capacity) {
                return Err(RequestError::BudgetFull { limit: self.budget_limit });
            }
            self.bytes.reserve_exact(larger - self.bytes.len());
        }
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    /// Bytes that have arrived.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn finish(self) -> Bytes {
        self.reservation.attach(Bytes::from(self.bytes))
    }
}
