//! One parcel that is in flight: who waits for it, until when, how many pieces of it are still out, and what became of the
//! others. It is settled once, as a whole.
//!
//! ```text
//! Waiting ── all delivered ──► Over          Waiting ── on the disk ──► Durable ── all delivered ──► (completed)
//!    │  └─── handed back ────► Over                                        └─── evicted, divided, dead ──► (on the disk)
//! ```

use tokio::time::Instant;

use super::accounting::Shares;
use super::spool_state::{Part, SpoolState};
use crate::delivery::command::Reply;
use crate::otlp::Signal;
use crate::store::{RecordId, Waiting};

/// How far a parcel has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// In memory only; somebody waits, or (debug destinations) nobody.
    Waiting,
    /// Settled: pieces that are still out do not matter.
    Over,
    /// On the disk, where it waits whatever becomes of the pieces in memory.
    Durable(RecordId),
}

/// Why a parcel is no longer worth sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lapse {
    /// The client went away.
    Withdrawn,
    /// Its time is over.
    Expired,
    /// It has been settled already.
    Settled,
}

#[derive(Debug)]
pub(crate) struct Entry {
    /// `None`: nobody waits (debug destinations), or it has been answered.
    pub(super) reply: Option<Reply>,
    pub(super) phase: Phase,
    pub(super) signal: Signal,
    /// Spans, or 1 for a request of metrics or logs: what the accounting says of it at the moment.
    pub(super) weight: u64,
    pub(super) since: Instant,
    pub(super) deadline: Option<Instant>,
    pub(super) pieces: u32,
    /// Spans (pieces, for other signals) that the destination has and the accounting does not know of yet.
    pub(super) acknowledged: u64,
    pub(super) rejected: u64,
    pub(super) at_most_once: bool,
    /// What only matters when something has gone wrong.
    pub(super) spool_state: Option<Box<SpoolState>>,
}

impl Entry {
    /// A parcel that was just handed over, in so many `pieces`.
    pub(super) fn accepted(
        reply: Option<Reply>,
        (signal, spans, at_most_once): (Signal, u32, bool),
        deadline: Option<Instant>,
        pieces: u32,
    ) -> Self {
        Self {
            reply,
            phase: Phase::Waiting,
            signal,
            weight: weight(signal, spans),
            since: Instant::now(),
            deadline,
            pieces,
            acknowledged: 0,
            rejected: 0,
            at_most_once,
            spool_state: None,
        }
    }

    /// A record that was read from the disk.
    pub(super) fn replayed(record: &Waiting, deadline: Option<Instant>, pieces: u32) -> Self {
        Self {
            phase: Phase::Durable(record.id),
            spool_state: Some(Box::new(SpoolState::of_record(record.received))),
            ..Self::accepted(None, (record.signal, record.spans, false), deadline, pieces)
        }
    }

    /// Which service it is for.
    pub(crate) fn signal(&self) -> Signal {
        self.signal
    }

    /// When it was taken in hand.
    pub(crate) fn since(&self) -> Instant {
        self.since
    }

    /// Whether it must not be sent again once it may have arrived.
    pub(crate) fn at_most_once(&self) -> bool {
        self.at_most_once
    }

    /// When its time is over, while that matters.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        if self.phase == Phase::Over { None } else { self.deadline }
    }

    /// Whether its client has gone.
    pub(super) fn is_withdrawn(&self) -> bool {
        self.reply.as_ref().is_some_and(|reply| reply.is_closed())
    }

    /// Whether it need not be sent any more. What is on the disk never lapses; see [`outlived`](Self::outlived).
    pub(crate) fn lapse(&self, now: Instant) -> Option<Lapse> {
        if self.phase != Phase::Waiting {
            (self.phase == Phase::Over).then_some(Lapse::Settled)
        } else if self.is_withdrawn() {
            Some(Lapse::Withdrawn)
        } else if self.deadline.is_some_and(|deadline| deadline <= now) {
            Some(Lapse::Expired)
        } else {
            None
        }
    }

    /// Whether it is on the disk and has been there for too long.
    pub(crate) fn outlived(&self, now: Instant) -> bool {
        self.is_durable() && self.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// Whether the disk has it.
    pub(crate) fn is_durable(&self) -> bool {
        matches!(self.phase, Phase::Durable(_))
    }

    /// Whether it is in memory only.
    pub(crate) fn is_waiting(&self) -> bool {
        self.phase == Phase::Waiting
    }

    /// Since when it has waited in memory, if it is to be written at all.
    pub(crate) fn not_durable_since(&self) -> Option<Instant> {
        let state = self.spool_state.as_ref();
        let untouched = state.is_none_or(|state| !state.is_writing() && !state.was_turned_down());
        (self.is_waiting() && !self.at_most_once && untouched).then_some(self.since)
    }

    /// Whether it has only the memory, since the store did not take it.
    pub(crate) fn was_turned_down(&self) -> bool {
        self.is_waiting() && self.spool_state.as_ref().is_some_and(|state| state.was_turned_down())
    }

    /// Whether it will wait on the disk when what is being written is there.
    pub(crate) fn will_wait_on_disk(&self) -> bool {
        self.is_waiting() && self.spool_state.as_ref().is_some_and(|state| state.will_wait())
    }

    /// When the parcel was received, nanoseconds since the Unix epoch, if it is `now`.
    pub(crate) fn received(&self, now: u64) -> u64 {
        let known = self.spool_state.as_ref().and_then(|state| state.received());
        known.unwrap_or_else(|| now.saturating_sub(self.since.elapsed().as_nanos() as u64))
    }

    /// How many attempts there were since it was taken in hand, and when the first was; `now`, if there was none.
    pub(crate) fn attempts(&self, now: u64) -> (u32, u64) {
        self.spool_state.as_ref().and_then(|state| state.attempts()).unwrap_or((0, now))
    }

    pub(super) fn spool_state(&mut self) -> &mut SpoolState {
        self.spool_state.get_or_insert_default()
    }

    /// The first `count` of its dead letters.
    pub(super) fn dead(&self, count: usize) -> Part {
        self.spool_state.as_ref().map_or(Part::NONE, |state| state.dead(count))
    }

    /// The parts of it that were dropped from memory.
    pub(super) fn left(&self) -> Part {
        self.spool_state.as_ref().map_or(Part::NONE, |state| state.left())
    }

    /// Where its weight goes when `left` of it waits on the disk and `dead` are dead letters.
    pub(super) fn shares(&self, left: Part, dead: Part) -> Shares {
        let mut shares = Shares::default();
        if self.signal == Signal::Traces {
            shares.spilled = left.spans.min(self.weight);
            shares.dead = dead.spans.min(self.weight - shares.spilled);
            let rest = self.weight - shares.spilled - shares.dead;
            shares.rejected = self.rejected.min(rest);
            shares.delivered = rest - shares.rejected;
        } else {
            (shares.spilled, shares.dead) = (u64::from(left.exists), u64::from(dead.exists));
            shares.delivered = if left.exists || dead.exists { 0 } else { self.weight };
        }
        shares
    }
}

/// What a request of `signal` with so many `spans` counts for.
pub(super) fn weight(signal: Signal, spans: u32) -> u64 {
    if signal == Signal::Traces { u64::from(spans) } else { 1 }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::*;

    fn entry(signal: Signal, at_most_once: bool, deadline: Option<Instant>) -> Entry {
        Entry::accepted(None, (signal, 10, at_most_once), deadline, 1)
    }

    /// Withdrawn before expired, and settled before both; what the disk has does not lapse, but may outlive its time.
    #[test]
    fn an_entry_lapses_once_and_not_on_the_disk() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let (reply, answer) = oneshot::channel();
        let mut entry = Entry { reply: Some(reply), ..entry(Signal::Traces, false, Some(later)) };
        assert_eq!(entry.lapse(now), None);
        assert_eq!(entry.lapse(later), Some(Lapse::Expired));
        drop(answer);
        assert_eq!(entry.lapse(later), Some(Lapse::Withdrawn));
        entry.phase = Phase::Durable(RecordId(1));
        assert_eq!((entry.lapse(later), entry.outlived(now), entry.outlived(later)), (None, false, true));
        entry.phase = Phase::Over;
        assert_eq!((entry.lapse(now), entry.deadline()), (Some(Lapse::Settled), None));
    }

    /// What is being written, was turned down by the store or may be sent once only is not written (again).
    #[test]
    fn only_what_the_disk_may_still_take_is_not_durable_yet() {
        assert_eq!(entry(Signal::Logs, true, None).not_durable_since(), None);
        let mut entry = entry(Signal::Logs, false, None);
        assert_eq!(entry.not_durable_since(), Some(entry.since()));
        entry.spool_state().begin_write(0, 0, true);
        assert!(entry.not_durable_since().is_none() && entry.will_wait_on_disk());
        entry.spool_state().end_write();
        assert!(entry.not_durable_since().is_some());
        entry.spool_state().turn_down();
        assert!(entry.not_durable_since().is_none() && entry.was_turned_down());
    }

    /// Spans are divided and never more than there are; a request of metrics lies whole wherever a part of it lies.
    #[test]
    fn weight_is_divided_by_span_and_by_request() {
        let part = |spans| Part { spans, exists: true };
        let traces = Entry { rejected: 20, ..entry(Signal::Traces, false, None) };
        assert_eq!(traces.shares(part(4), part(3)), Shares { spilled: 4, dead: 3, rejected: 3, delivered: 0 });
        assert_eq!(traces.shares(part(99), part(3)), Shares { spilled: 10, ..Shares::default() });
        let metrics = entry(Signal::Metrics, false, None);
        assert_eq!(metrics.shares(Part::NONE, Part::NONE), Shares { delivered: 1, ..Shares::default() });
        assert_eq!(metrics.shares(part(0), part(0)), Shares { spilled: 1, dead: 1, ..Shares::default() });
    }
}
