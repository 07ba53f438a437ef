//! What an entry knows of the disk: whether its parcel is being written, which parts of it the destination refuses for good,
//! which have been dropped from memory because the disk has them. Most entries never have one of these.

use bytes::Bytes;

use crate::delivery::command::EntryId;
use crate::delivery::parcel::Undelivered;
use crate::otlp::Signal;
use crate::store::{Death, DeathReason, RecordId};

/// A part of a parcel. A request of metrics or logs is there or not; it is not divided in the accounting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) spans: u64,
    pub(crate) exists: bool,
}

impl Part {
    /// No part at all.
    pub(crate) const NONE: Self = Self { spans: 0, exists: false };

    fn of(items: impl Iterator<Item = u32>) -> Self {
        items.fold(Self::NONE, |part, items| Self { spans: part.spans + u64::from(items), exists: true })
    }
}

/// A part that is a dead letter, or is about to be.
#[derive(Clone, Debug)]
pub(crate) struct Dead {
    pub(crate) body: Bytes,
    pub(crate) items: u32,
    pub(crate) death: Death,
    /// What to tell the client if it cannot be written.
    pub(crate) why: Undelivered,
}

/// What is left of a record that was delivered in part: parts that wait, with their spans, and dead letters.
#[derive(Debug)]
pub(crate) struct Remains {
    pub(crate) left: Vec<(Bytes, u32)>,
    pub(crate) dead: Vec<Dead>,
}

/// What is to be asked of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreTask {
    /// Delivered: delete it.
    Complete(Signal, RecordId),
    /// Nothing of it is in memory any more, and it still waits; `defer`: let others go first.
    Release { signal: Signal, record: RecordId, defer: bool },
    /// Write what is left of it and its dead letters in its place.
    Replace(EntryId),
    /// Write its dead letters; the rest was delivered.
    Bury(EntryId),
}

/// What had become of a parcel when it was begun to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) acknowledged: u64,
    pub(crate) rejected: u64,
    /// So many of the dead letters go with it.
    pub(crate) dead: usize,
    /// Whether anything besides them does.
    pub(crate) waits: bool,
}

/// The part of an entry that is only there when it is needed.
#[derive(Debug, Default)]
pub(crate) struct SpoolState {
    writing: Option<Written>,
    /// The store did not take it.
    turned_down: bool,
    attempts: u32,
    /// When it was tried first, nanoseconds since the Unix epoch.
    first_attempt: u64,
    dead: Vec<Dead>,
    /// Shares of a durable parcel that were dropped from memory.
    left: Vec<(Bytes, u32)>,
    defer: bool,
    /// When the parcel was received, nanoseconds since the Unix epoch; 0: nobody has told the disk yet.
    received: u64,
}

impl SpoolState {
    /// Of a record that was read back.
    pub(crate) fn of_record(received: u64) -> Self {
        Self { received, ..Self::default() }
    }

    /// An attempt at `now` has failed or was refused.
    pub(crate) fn attempted(&mut self, now: u64) {
        self.attempts = self.attempts.saturating_add(1);
        self.first_attempt = if self.attempts == 1 { now } else { self.first_attempt };
    }

    /// How many attempts there were since it was taken in hand, and when the first was; `None`: there was none.
    pub(crate) fn attempts(&self) -> Option<(u32, u64)> {
        (self.attempts > 0).then_some((self.attempts, self.first_attempt))
    }

    /// A part is a dead letter.
    pub(crate) fn bury(&mut self, dead: Dead) {
        self.dead.push(dead);
    }

    /// A part that the disk has is dropped from memory; with `defer`, others go first when it is its turn again.
    pub(crate) fn evict(&mut self, body: Bytes, items: u32, defer: bool) {
        self.left.push((body, items));
        self.defer |= defer;
    }

    /// It is being written, `acknowledged` and `rejected` so far, with the dead letters that come back; `waits`: also what has
    /// not been sent yet.
    pub(crate) fn begin_write(&mut self, acknowledged: u64, rejected: u64, waits: bool) -> Vec<Dead> {
        self.writing = Some(Written { acknowledged, rejected, dead: self.dead.len(), waits });
        self.dead.clone()
    }

    /// The store has answered: what was being written.
    pub(crate) fn end_write(&mut self) -> Option<Written> {
        self.writing.take()
    }

    /// The store did not take it.
    pub(crate) fn turn_down(&mut self) {
        self.turned_down = true;
    }

    pub(crate) fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// Whether it will wait on the disk when what is being written is there.
    pub(crate) fn will_wait(&self) -> bool {
        self.writing.is_some_and(|written| written.waits)
    }

    pub(crate) fn was_turned_down(&self) -> bool {
        self.turned_down
    }

    pub(crate) fn received(&self) -> Option<u64> {
        (self.received > 0).then_some(self.received)
    }

    pub(crate) fn is_deferred(&self) -> bool {
        self.defer
    }

    /// The parts that were dropped from memory.
    pub(crate) fn left(&self) -> Part {
        Part::of(self.left.iter().map(|(_, items)| *items))
    }

    /// The first `count` dead letters.
    pub(crate) fn dead(&self, count: usize) -> Part {
        Part::of(self.dead.iter().take(count).map(|dead| dead.items))
    }

    /// What to tell a client of which the first part died.
    pub(crate) fn first_cause(&self) -> Option<Undelivered> {
        self.dead.first().map(|dead| dead.why.clone())
    }

    /// The first `count` dead letters are on the disk: the reasons of their deaths.
    pub(crate) fn buried(&mut self, count: usize) -> impl Iterator<Item = DeathReason> {
        let count = count.min(self.dead.len());
        self.dead.drain(..count).map(|dead| dead.death.reason)
    }

    /// What is to take the place of its record.
    pub(crate) fn remains(&self) -> Remains {
        Remains { left: self.left.clone(), dead: self.dead.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dead(items: u32) -> Dead {
        let death = Death {
            reason: DeathReason::Rejected,
            code: String::new(),
            message: String::new(),
            attempts: 1,
            first: 1,
            last: 1,
            chains: Vec::new(),
            operations: Vec::new(),
        };
        Dead { body: Bytes::new(), items, death, why: Undelivered::Closed }
    }

    /// What dies while the disk writes is not among what the disk then has.
    #[test]
    fn a_write_covers_the_dead_letters_of_its_beginning() {
        let mut state = SpoolState::default();
        state.bury(dead(3));
        assert_eq!(state.begin_write(7, 1, true).len(), 1);
        assert!(state.is_writing() && state.will_wait());
        state.bury(dead(4));
        let written = state.end_write().expect("it was being written");
        assert_eq!(written, Written { acknowledged: 7, rejected: 1, dead: 1, waits: true });
        assert_eq!(state.dead(written.dead), Part { spans: 3, exists: true });
        assert_eq!(state.buried(written.dead).count(), 1);
        assert_eq!(state.dead(usize::MAX), Part { spans: 4, exists: true });
        assert!(!state.is_writing() && state.end_write().is_none());
    }

    #[test]
    fn the_first_attempt_is_remembered_and_all_are_counted() {
        let mut state = SpoolState::default();
        assert_eq!(state.attempts(), None);
        [5, 6, 9].into_iter().for_each(|now| state.attempted(now));
        assert_eq!(state.attempts(), Some((3, 5)));
    }

    /// One part that others should go before defers the whole record, and an empty part is a part.
    #[test]
    fn evicted_parts_are_what_is_left() {
        let mut state = SpoolState::of_record(17);
        assert_eq!((state.left(), state.received()), (Part::NONE, Some(17)));
        state.evict(Bytes::from_static(b"a"), 2, true);
        state.evict(Bytes::from_static(b"b"), 0, false);
        assert_eq!((state.left(), state.is_deferred()), (Part { spans: 2, exists: true }, true));
        assert_eq!((state.remains().left.len(), state.remains().dead.len()), (2, 0));
        assert_eq!(SpoolState::default().received(), None);
    }
}
