//! The books of one destination: where every span is, at every moment. Changed only through the moves below, each of
//! which keeps `accepted = delivered + rejected + in_flight + spilled + dead + discarded`.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Conservation, Signal};

/// Everything that a status report needs, published as one piece.
#[derive(Clone, Debug, Default)]
pub(crate) struct Books {
    pub(crate) spans: Conservation,
    pub(crate) requests: Conservation,
    pub(crate) delivered_late: u64,
    pub(crate) queue_bytes: u64,
    pub(crate) oldest: Option<Instant>,
    pub(crate) failures: u32,
    pub(crate) last_error: Option<Arc<str>>,
}

impl Books {
    fn of(&mut self, signal: Signal) -> &mut Conservation {
        match signal {
            Signal::Traces => &mut self.spans,
            Signal::Metrics | Signal::Logs => &mut self.requests,
        }
    }

    /// Taken in hand.
    pub(crate) fn accept(&mut self, signal: Signal, weight: u64) {
        let side = self.of(signal);
        side.accepted += weight;
        side.in_flight += weight;
    }

    /// Acknowledged, `rejected` of it turned away by `partial_success`.
    pub(crate) fn deliver(&mut self, signal: Signal, weight: u64, rejected: u64) {
        let side = self.of(signal);
        let rejected = rejected.min(weight);
        side.in_flight -= weight;
        side.rejected += rejected;
        side.delivered += weight - rejected;
    }

    /// Given back to the client with an error: as if it had never been accepted.
    pub(crate) fn hand_back(&mut self, signal: Signal, weight: u64) {
        let side = self.of(signal);
        side.in_flight -= weight;
        side.accepted -= weight;
    }

    /// Given up, `delivered` of it after it had been acknowledged.
    pub(crate) fn discard(&mut self, signal: Signal, weight: u64, delivered: u64) {
        let side = self.of(signal);
        let delivered = delivered.min(weight);
        side.in_flight -= weight;
        side.delivered += delivered;
        side.discarded += weight - delivered;
    }
}

impl Conservation {
    /// Whether nothing has vanished: the equation of `spec/delivery.md` section 4.
    pub fn holds(&self) -> bool {
        let Self { accepted, delivered, rejected, in_flight, spilled, dead, discarded } = *self;
        accepted == delivered + rejected + in_flight + spilled + dead + discarded
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Any sequence of accepting parcels and settling them in any way conserves spans, and ends with none in flight.
        #[test]
        fn every_sequence_of_moves_conserves(parcels in proptest::collection::vec((0_u64..1_000, 0_u64..1_000, 0_u8..3), 0..50)) {
            let mut books = Books::default();
            for (weight, _, _) in &parcels {
                books.accept(Signal::Traces, *weight);
                prop_assert!(books.spans.holds());
            }
            for (weight, part, fate) in parcels {
                match fate {
                    0 => books.deliver(Signal::Traces, weight, part),
                    1 => books.hand_back(Signal::Traces, weight),
                    _ => books.discard(Signal::Traces, weight, part),
                }
                prop_assert!(books.spans.holds());
            }
            prop_assert_eq!(books.spans.in_flight, 0);
        }
    }
}
