//! What waits on the disk, as far as its destination must know: where reading has come to, which records are in memory,
//! which ones behind that place wait again. Plain data; the ids in here are few, the records themselves stay where they are.
//! Each signal has one, so that one that is not taken stands in nobody's way, however much of it there is.
//!
//! A record is in memory at most once. Reading may show records that are in memory already, or that have been delivered and
//! not been deleted yet; neither may be sent (again).

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::store::{Portion, RecordId, Waiting};

/// For so long a record that was delivered may still be found on the disk.
const DELETED: Duration = Duration::from_secs(60);

/// What a read is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    /// The records that come next.
    Ahead,
    /// Those that wait again, from the first of these to the second.
    Behind(RecordId, RecordId),
}

impl Aim {
    /// Up to which record; `None`: to the end.
    pub(crate) fn until(self) -> Option<RecordId> {
        match self {
            Aim::Ahead => None,
            Aim::Behind(_, last) => Some(last),
        }
    }
}

/// The backlog of one signal of one destination.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    /// Everything up to here has been read.
    cursor: Option<RecordId>,
    /// Whether there may be something after it.
    more: bool,
    /// Something was added, or everything is to be read anew, since the read that is under way was asked for: what it says of
    /// the end is out of date.
    changed: bool,
    rewound: bool,
    /// Up to the cursor, and waiting again.
    behind: BTreeSet<RecordId>,
    /// The same, but others go first: they were refused when nothing else was taken either.
    deferred: BTreeSet<RecordId>,
    /// In memory.
    out: HashSet<RecordId>,
    /// Delivered or replaced.
    gone: HashSet<RecordId>,
    /// The same by time, the latest last.
    going: VecDeque<(Instant, RecordId)>,
}

impl Backlog {
    /// A backlog of which nothing is known but whether there is one.
    pub(crate) fn new(more: bool) -> Self {
        Self { more, ..Self::default() }
    }

    /// Whether there may be something to read that has not been sent in vain.
    pub(crate) fn waits(&self) -> bool {
        self.more || !self.behind.is_empty()
    }

    /// Whether something waits that others go before.
    pub(crate) fn stands_back(&self) -> bool {
        !self.deferred.is_empty()
    }

    /// Whether nothing is on the disk, as far as we know.
    pub(crate) fn is_over(&self) -> bool {
        !self.waits() && !self.stands_back() && self.out.is_empty()
    }

    /// What to read next, and after which record; `None`: nothing waits.
    pub(crate) fn next(&mut self) -> Option<(Aim, Option<RecordId>)> {
        if self.behind.is_empty() && !self.more {
            self.behind = std::mem::take(&mut self.deferred);
        }
        (self.changed, self.rewound) = (false, false);
        match (self.behind.first(), self.behind.last()) {
            (Some(first), Some(last)) => Some((Aim::Behind(*first, *last), Some(RecordId(first.0 - 1)))),
            _ => self.more.then_some((Aim::Ahead, self.cursor)),
        }
    }

    /// Of what was read, what is to be taken up. It is in memory from now on.
    pub(crate) fn choose(&mut self, aim: Aim, read: Portion, now: Instant) -> Vec<Waiting> {
        let last = read.waiting.last().map(|record| record.id);
        let mut chosen = Vec::new();
        for record in read.waiting {
            let wanted = aim == Aim::Ahead || self.behind.contains(&record.id);
            if wanted && !self.gone.contains(&record.id) && self.out.insert(record.id) {
                chosen.push(record);
            }
        }
        match (aim, last) {
            (Aim::Ahead, _) if self.rewound => {}
            (Aim::Ahead, last) => {
                // Also past what is not ours: it is not to be looked at again and again.
                self.cursor = self.cursor.max(read.seen);
                self.more = last.is_some() || self.changed;
            }
            // What was not found in between is not there any more. Others may have come back before it since.
            (Aim::Behind(first, until), last) => {
                self.behind.retain(|id| *id < first || *id > last.unwrap_or(until));
            }
        }
        self.forget(now);
        chosen
    }

    /// `id` has come to the disk and is still in memory.
    pub(crate) fn kept(&mut self, id: RecordId) {
        self.out.insert(id);
    }

    /// `id` is in memory no longer, and waits.
    pub(crate) fn back(&mut self, id: RecordId, defer: bool) {
        self.out.remove(&id);
        if defer {
            self.deferred.insert(id);
        } else if Some(id) <= self.cursor {
            self.behind.insert(id);
        } else {
            self.added();
        }
    }

    /// `id` is gone.
    pub(crate) fn finished(&mut self, id: RecordId, now: Instant) {
        self.out.remove(&id);
        self.gone.insert(id);
        self.going.push_back((now, id));
        self.forget(now);
    }

    /// New records wait, after all others.
    pub(crate) fn added(&mut self) {
        (self.more, self.changed) = (true, true);
    }

    /// Old records wait again, nobody knows which.
    pub(crate) fn rewind(&mut self) {
        (self.cursor, self.more, self.rewound) = (None, true, true);
        self.behind.clear();
        self.deferred.clear();
    }

    /// The destination takes data: those that had stood back are next.
    pub(crate) fn hopeful(&mut self) {
        if !self.deferred.is_empty() {
            let (now, later): (BTreeSet<_>, _) =
                std::mem::take(&mut self.deferred).into_iter().partition(|id| Some(*id) <= self.cursor);
            self.behind.extend(now);
            if !later.is_empty() {
                self.added();
            }
        }
    }

    fn forget(&mut self, now: Instant) {
        while let Some((when, id)) = self.going.front() {
            if now.saturating_duration_since(*when) <= DELETED {
                return;
            }
            self.gone.remove(id);
            self.going.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::otlp::Signal;

    fn records(ids: impl IntoIterator<Item = i64>) -> Portion {
        let record =
            |id| Waiting { id: RecordId(id), signal: Signal::Traces, body: Bytes::new(), spans: 1, received: 0 };
        let waiting: Vec<Waiting> = ids.into_iter().map(record).collect();
        Portion { seen: waiting.last().map(|record| record.id), waiting, ..Portion::default() }
    }

    fn behind(first: i64, last: i64) -> Aim {
        Aim::Behind(RecordId(first), RecordId(last))
    }

    fn ids(records: &[Waiting]) -> Vec<i64> {
        records.iter().map(|record| record.id.0).collect()
    }

    /// Parcels that were written while they were on their way: those that arrived are not read, the one that failed is.
    #[test]
    fn what_is_in_memory_or_delivered_is_not_taken_up_and_what_failed_is() {
        let (mut backlog, now) = (Backlog::new(true), Instant::now());
        [3, 4, 5].into_iter().for_each(|id| backlog.kept(RecordId(id)));
        backlog.finished(RecordId(3), now);
        assert_eq!(backlog.next(), Some((Aim::Ahead, None)));
        assert_eq!(ids(&backlog.choose(Aim::Ahead, records(1..=6), now)), [1, 2, 6]);
        backlog.back(RecordId(4), false);
        assert_eq!(backlog.next(), Some((behind(4, 4), Some(RecordId(3)))));
        assert_eq!(ids(&backlog.choose(behind(4, 4), records([4]), now)), [4]);
        assert_eq!(backlog.next(), Some((Aim::Ahead, Some(RecordId(6)))));
        assert_eq!(ids(&backlog.choose(Aim::Ahead, records([]), now)), [0; 0]);
        assert_eq!(backlog.next(), None);
        backlog.back(RecordId(7), false);
        assert_eq!(backlog.next(), Some((Aim::Ahead, Some(RecordId(6)))));
    }

    /// A record that is refused when nothing is taken does not stand in the way of the others, and is not forgotten.
    #[test]
    fn what_stands_back_is_next_when_there_is_hope_or_nothing_else() {
        let (mut backlog, now) = (Backlog::new(true), Instant::now());
        backlog.choose(Aim::Ahead, records(1..=2), now);
        backlog.back(RecordId(1), true);
        assert_eq!(backlog.next(), Some((Aim::Ahead, Some(RecordId(2)))));
        backlog.choose(Aim::Ahead, records([]), now);
        assert_eq!(backlog.next(), Some((behind(1, 1), Some(RecordId(0)))));
        assert_eq!(ids(&backlog.choose(behind(1, 1), records(1..=2), now)), [1]);
        backlog.back(RecordId(1), true);
        backlog.added();
        backlog.hopeful();
        assert_eq!(backlog.next(), Some((behind(1, 1), Some(RecordId(0)))));
    }

    /// A read that was asked for before something came to the disk does not know of it.
    #[test]
    fn what_comes_while_a_read_is_under_way_is_found_by_the_next_one() {
        let (mut backlog, now) = (Backlog::new(true), Instant::now());
        backlog.next();
        backlog.back(RecordId(1), false);
        backlog.choose(Aim::Ahead, records([]), now);
        assert_eq!(backlog.next(), Some((Aim::Ahead, None)));
        backlog.choose(Aim::Ahead, records([1, 2, 3]), now);
        backlog.back(RecordId(3), false);
        assert_eq!(backlog.next(), Some((behind(3, 3), Some(RecordId(2)))));
        backlog.back(RecordId(1), false);
        backlog.choose(behind(3, 3), records([3]), now);
        assert_eq!(backlog.next(), Some((behind(1, 1), Some(RecordId(0)))));
        backlog.choose(behind(1, 1), records([1, 2, 3]), now);
        assert_eq!(backlog.next(), Some((Aim::Ahead, Some(RecordId(3)))));
        [1, 2].into_iter().for_each(|id| backlog.back(RecordId(id), false));
        assert_eq!(backlog.next(), Some((behind(1, 2), Some(RecordId(0)))));
        backlog.back(RecordId(3), false);
        backlog.choose(behind(1, 2), records([]), now);
        assert_eq!(backlog.next(), Some((behind(3, 3), Some(RecordId(2)))), "that read did not look so far");
        backlog.choose(behind(3, 3), records([3]), now);
        backlog.rewind();
        backlog.choose(Aim::Ahead, records([7]), now);
        assert_eq!(backlog.next(), Some((Aim::Ahead, None)), "from the start");
    }

    /// Many records of another signal lie between ours, and after them: each is looked at once.
    #[test]
    fn what_is_not_ours_is_passed_over_once() {
        let (mut backlog, now) = (Backlog::new(true), Instant::now());
        backlog.choose(Aim::Ahead, Portion { seen: Some(RecordId(500)), ..records([7]) }, now);
        assert_eq!(backlog.next(), Some((Aim::Ahead, Some(RecordId(500)))));
        backlog.choose(Aim::Ahead, Portion { seen: Some(RecordId(900)), ..records([]) }, now);
        assert!(!backlog.waits() && !backlog.is_over(), "7 is in memory");
        // It had come to the disk while it was on its way, and must be sent again.
        backlog.back(RecordId(7), false);
        assert_eq!(backlog.next(), Some((behind(7, 7), Some(RecordId(6)))));
        backlog.choose(behind(7, 7), records([7]), now);
        backlog.finished(RecordId(7), now);
        assert!(backlog.is_over());
        backlog.back(RecordId(901), false);
        assert_eq!(backlog.next(), Some((Aim::Ahead, Some(RecordId(900)))));
    }

    #[test]
    fn revived_records_are_found_without_sending_anything_twice() {
        let (mut backlog, now) = (Backlog::new(true), Instant::now());
        backlog.choose(Aim::Ahead, records([1, 2, 4]), now);
        backlog.finished(RecordId(1), now);
        backlog.rewind();
        assert_eq!(backlog.next(), Some((Aim::Ahead, None)));
        // 1 has not been deleted yet.
        assert_eq!(ids(&backlog.choose(Aim::Ahead, records([1, 2, 3, 4]), now)), [3]);
    }
}
