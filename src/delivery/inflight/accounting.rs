//! The accounting of one destination: where every span is, at every moment. Changed only through the moves below, each of
//! which keeps `accepted = delivered + rejected + in_flight + spilled + dead + discarded`.

use std::sync::Arc;

use tokio::time::Instant;

use crate::delivery::command::Moved;
use crate::delivery::status::{BreakerState, Conservation};
use crate::otlp::{PerSignal, Signal};
use crate::store::{Count, Kept};

/// Everything that a status report needs, published as one piece.
#[derive(Clone, Debug, Default)]
pub(crate) struct Accounting {
    pub(crate) spans: Conservation,
    pub(crate) requests: Conservation,
    pub(crate) delivered_late: u64,
    queue_bytes: u64,
    /// Since when the oldest parcel has waited in memory.
    pub(crate) oldest: Option<Instant>,
    /// About when the oldest record on disk was received, of each signal; nanoseconds since the Unix epoch.
    pub(crate) oldest_spilled: PerSignal<Option<u64>>,
    pub(crate) failures: u32,
    pub(crate) breaker: BreakerState,
    pub(crate) last_error: Option<Arc<str>>,
    /// The error of each signal that the destination does not take.
    pub(crate) unimplemented: PerSignal<Option<Arc<str>>>,
    /// Spans from the disk that the destination has acknowledged or turned away since the start.
    pub(crate) replayed: u64,
    /// Spans and requests that were read as waiting before we were told that they had been revived.
    ahead: [u64; 2],
}

/// Where the parts of a parcel go when it ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shares {
    pub(crate) delivered: u64,
    pub(crate) rejected: u64,
    pub(crate) spilled: u64,
    pub(crate) dead: u64,
}

impl Shares {
    fn sum(self) -> u64 {
        self.delivered + self.rejected + self.spilled + self.dead
    }
}

impl Accounting {
    /// The balance that counts `signal`.
    pub(crate) fn of(&mut self, signal: Signal) -> &mut Conservation {
        match signal {
            Signal::Traces => &mut self.spans,
            Signal::Metrics | Signal::Logs => &mut self.requests,
        }
    }

    /// The opening balance: what an earlier process has left on disk.
    pub(crate) fn recover(&mut self, kept: &Kept) {
        let Kept { waiting, dead, discarded, .. } = kept;
        let balance = |side: &mut Conservation, of: fn(&Count) -> u64| {
            side.spilled += of(waiting);
            side.dead += of(dead);
            side.discarded += of(discarded);
            side.accepted += of(waiting) + of(dead) + of(discarded);
        };
        balance(&mut self.spans, |count| count.spans);
        balance(&mut self.requests, |count| count.requests);
    }

    /// `bytes` more are queued or being sent.
    pub(crate) fn hold(&mut self, bytes: u64) {
        self.queue_bytes += bytes;
    }

    /// `bytes` are no longer in memory.
    pub(crate) fn free(&mut self, bytes: u64) {
        self.queue_bytes -= bytes;
    }

    /// Bytes queued or being sent.
    pub(crate) fn queue_bytes(&self) -> u64 {
        self.queue_bytes
    }

    /// The error that keeps `signal` from being delivered, if there is one.
    pub(crate) fn last_error_of(&self, signal: Signal) -> Option<&str> {
        self.unimplemented[signal].as_deref().or(self.last_error.as_deref())
    }

    /// A parcel was handed over.
    pub(crate) fn accept(&mut self, signal: Signal, weight: u64) {
        let side = self.of(signal);
        side.accepted += weight;
        side.in_flight += weight;
    }

    /// A parcel in memory has come to its end, or to the disk.
    pub(crate) fn settle(&mut self, signal: Signal, weight: u64, shares: Shares) {
        let side = self.of(signal);
        side.in_flight -= weight;
        side.put(weight, shares);
    }

    /// A record on disk has come to its end, or was replaced by others.
    pub(crate) fn settle_durable(&mut self, signal: Signal, weight: u64, shares: Shares) {
        let place = usize::from(signal != Signal::Traces);
        let side = self.of(signal);
        let early = weight.saturating_sub(side.spilled).min(side.dead);
        side.dead -= early;
        side.spilled += early;
        // A record that we have not counted is one that has just been found.
        let found = weight.saturating_sub(side.spilled);
        side.accepted += found;
        side.spilled = side.spilled + found - weight;
        side.put(weight, shares);
        self.ahead[place] += early;
        if signal == Signal::Traces {
            self.replayed += shares.delivered + shares.rejected;
        }
    }

    /// A parcel was handed back to its client with an error: as if it had never been accepted.
    pub(crate) fn hand_back(&mut self, signal: Signal, weight: u64) {
        let side = self.of(signal);
        side.in_flight -= weight;
        side.accepted -= weight;
    }

    /// A parcel was given up, after `delivered` of it had been acknowledged.
    pub(crate) fn discard(&mut self, signal: Signal, weight: u64, delivered: u64) {
        let side = self.of(signal);
        let delivered = delivered.min(weight);
        side.in_flight -= weight;
        side.delivered += delivered;
        side.discarded += weight - delivered;
    }

    /// Records were found damaged on disk: they are dead letters now.
    pub(crate) fn damaged(&mut self, count: &Count) {
        for (signal, weight) in [(Signal::Traces, count.spans), (Signal::Logs, count.requests)] {
            self.settle_durable(signal, weight, Shares { dead: weight, ..Shares::default() });
        }
    }

    /// An operator has moved dead letters.
    pub(crate) fn moved(&mut self, moved: Moved) {
        let (count, revived) = match moved {
            Moved::Revived(count) => (count, true),
            Moved::Purged(count) => (count, false),
        };
        for (place, weight) in [count.spans, count.requests].into_iter().enumerate() {
            let side = if place == 0 { &mut self.spans } else { &mut self.requests };
            let early = if revived { self.ahead[place].min(weight) } else { 0 };
            self.ahead[place] -= early;
            let weight = (weight - early).min(side.dead);
            side.dead -= weight;
            *(if revived { &mut side.spilled } else { &mut side.discarded }) += weight;
        }
    }
}

impl Conservation {
    /// Whether nothing has vanished or appeared.
    pub fn holds(&self) -> bool {
        let Self { accepted, delivered, rejected, in_flight, spilled, dead, discarded } = *self;
        accepted == delivered + rejected + in_flight + spilled + dead + discarded
    }

    /// `weight` in parts. A request of metrics or logs that comes to lie in two places counts in both.
    fn put(&mut self, weight: u64, shares: Shares) {
        self.accepted = self.accepted + shares.sum() - weight;
        self.delivered += shares.delivered;
        self.rejected += shares.rejected;
        self.spilled += shares.spilled;
        self.dead += shares.dead;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Move {
        Accept(u64),
        Settle([u64; 4]),
        SettleDurable([u64; 4]),
        HandBack,
        Discard(u64),
        Damaged,
        Revived(u64),
        Purged(u64),
    }

    fn any_move() -> impl Strategy<Value = Move> {
        let shares = || proptest::array::uniform4(0_u64..100);
        prop_oneof![
            4 => (0_u64..1_000).prop_map(Move::Accept),
            3 => shares().prop_map(Move::Settle),
            3 => shares().prop_map(Move::SettleDurable),
            1 => Just(Move::HandBack),
            1 => (0_u64..1_000).prop_map(Move::Discard),
            1 => Just(Move::Damaged),
            2 => (0_u64..300).prop_map(Move::Revived),
            1 => (0_u64..300).prop_map(Move::Purged),
        ]
    }

    /// `weight` divided as `shares` are.
    fn divide(weight: u64, [delivered, rejected, spilled, dead]: [u64; 4]) -> Shares {
        let sum = (delivered + rejected + spilled + dead).max(1);
        let part = |share: u64| weight * share / sum;
        let (rejected, spilled, dead) = (part(rejected), part(spilled), part(dead));
        Shares { delivered: weight - rejected - spilled - dead, rejected, spilled, dead }
    }

    proptest! {
        /// Any sequence of moves, of parcels in memory, on the disk and among the dead, conserves spans; and what is in
        /// memory and on the disk is what the parcels there hold.
        #[test]
        fn every_sequence_of_moves_conserves(moves in proptest::collection::vec(any_move(), 0..200)) {
            let count = |spans| Count { spans, ..Count::default() };
            let mut accounting = Accounting::default();
            accounting.recover(&Kept { waiting: count(70), dead: count(20), discarded: count(5), oldest: None });
            let (mut memory, mut disk) = (Vec::new(), vec![70]);
            let mut dead = 20;
            for step in moves {
                match step {
                    Move::Accept(weight) => {
                        accounting.accept(Signal::Traces, weight);
                        memory.push(weight);
                    }
                    Move::Settle(shares) => if let Some(weight) = memory.pop() {
                        let shares = divide(weight, shares);
                        accounting.settle(Signal::Traces, weight, shares);
                        disk.push(shares.spilled);
                        dead += shares.dead;
                    },
                    Move::SettleDurable(shares) => if let Some(weight) = disk.pop() {
                        let shares = divide(weight, shares);
                        accounting.settle_durable(Signal::Traces, weight, shares);
                        disk.push(shares.spilled);
                        dead += shares.dead;
                    },
                    Move::HandBack => if let Some(weight) = memory.pop() {
                        accounting.hand_back(Signal::Traces, weight);
                    },
                    Move::Discard(delivered) => if let Some(weight) = memory.pop() {
                        accounting.discard(Signal::Traces, weight, delivered);
                    },
                    Move::Damaged => if let Some(weight) = disk.pop() {
                        accounting.damaged(&count(weight));
                        dead += weight;
                    },
                    Move::Revived(weight) => {
                        let weight = weight.min(dead);
                        accounting.moved(Moved::Revived(count(weight)));
                        dead -= weight;
                        disk.push(weight);
                    }
                    Move::Purged(weight) => {
                        let weight = weight.min(dead);
                        accounting.moved(Moved::Purged(count(weight)));
                        dead -= weight;
                    }
                }
                prop_assert!(accounting.spans.holds(), "{:?}", accounting.spans);
                prop_assert_eq!(accounting.spans.in_flight, memory.iter().sum::<u64>());
                prop_assert_eq!(accounting.spans.spilled, disk.iter().sum::<u64>());
                prop_assert_eq!(accounting.spans.dead, dead);
            }
        }
    }

    /// A revived record may be read, and delivered, before we are told of it.
    #[test]
    fn what_is_delivered_before_we_hear_of_its_revival_is_counted_once() {
        let count = Count { spans: 7, records: 1, ..Count::default() };
        let mut accounting = Accounting::default();
        accounting.recover(&Kept { dead: count, ..Kept::default() });
        accounting.settle_durable(Signal::Traces, 7, Shares { delivered: 7, ..Shares::default() });
        accounting.moved(Moved::Revived(count));
        assert_eq!(accounting.spans, Conservation { accepted: 7, delivered: 7, ..Conservation::default() });
    }

    /// A request of metrics of which one part waits and another is dead is two requests.
    #[test]
    fn a_request_in_two_places_counts_in_both() {
        let mut accounting = Accounting::default();
        accounting.accept(Signal::Metrics, 1);
        accounting.settle(Signal::Metrics, 1, Shares { spilled: 1, dead: 1, ..Shares::default() });
        assert!(accounting.requests.holds() && accounting.requests.accepted == 2, "{:?}", accounting.requests);
    }
}
