//! The memory budget that all open requests share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

/// Counts the bytes that open requests hold. Cloning shares the budget.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: usize,
    used: AtomicUsize,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Inner { limit, used: AtomicUsize::new(0) }))
    }

    /// Takes `bytes` out of the budget until the reservation is dropped; `None` when not enough is left. Never waits.
    pub fn try_reserve(&self, bytes: usize) -> Option<Reservation> {
        let mut reservation = Reservation { budget: self.clone(), bytes: 0 };
        reservation.try_grow(bytes).then_some(reservation)
    }

    /// Bytes that are taken now.
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Bytes that the budget has in all.
    pub fn limit(&self) -> usize {
        self.0.limit
    }
}

/// A share of the budget, given back on drop.
#[derive(Debug)]
pub struct Reservation {
    budget: Budget,
    bytes: usize,
}

impl Reservation {
    /// Takes `more` bytes as well; `false`, and nothing is taken, when not enough is left.
    #[must_use]
    pub fn try_grow(&mut self, more: usize) -> bool {
        let limit = self.budget.0.limit;
        let taken = self.budget.0.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(more).filter(|sum| *sum <= limit)
        });
        if taken.is_ok() {
            self.bytes += more;
        }
        taken.is_ok()
    }

    /// Gives back all but `bytes`.
    pub fn shrink_to(&mut self, bytes: usize) {
        if let Some(surplus) = self.bytes.checked_sub(bytes) {
            self.budget.0.used.fetch_sub(surplus, Ordering::Relaxed);
            self.bytes = bytes;
        }
    }

    /// Ties the reservation to `body`: the budget is given back when the last clone or slice of the result is dropped.
    pub fn attach(self, body: Bytes) -> Bytes {
        Bytes::from_owner(Held { body, _reservation: self })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.0.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

struct Held {
    body: Bytes,
    _reservation: Reservation,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reservation_of_a_body_ends_with_its_last_clone() {
        let budget = Budget::new(10);
        let body = budget.try_reserve(8).expect("8 of 10").attach(Bytes::from_static(b"12345678"));
        assert!(budget.try_reserve(3).is_none());
        let slice = body.slice(2..4);
        drop(body);
        assert_eq!(budget.used(), 8);
        drop(slice);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_refused_growth_takes_nothing() {
        let budget = Budget::new(10);
        let mut reservation = budget.try_reserve(4).expect("4 of 10");
        assert!(!reservation.try_grow(7));
        assert!(!reservation.try_grow(usize::MAX));
        assert_eq!(budget.used(), 4);
        reservation.shrink_to(1);
        assert_eq!(budget.used(), 1);
    }
}
