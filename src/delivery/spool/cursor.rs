//! How far the records of one signal have been replayed from the disk: the cursor, which records are claimed (in memory),
//! which ones before the cursor wait again. It holds few ids and no records. Each signal has a cursor of its own, so that one
//! that is not taken is in nobody's way, however much of it there is.
//!
//! A record is in memory at most once. A read may return records that are claimed already, or that have been delivered and
//! not deleted yet; neither may be sent again.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::delivery::command::Aim;
use crate::store::{Portion, RecordId, Waiting};

/// How long a record that was delivered may still be found on the disk: until then it is remembered, and passed over.
const DELETE_GRACE: Duration = Duration::from_secs(60);

/// How far one signal of one destination has been read.
#[derive(Debug, Default)]
pub(crate) struct ReplayCursor {
    /// Everything up to here has been read.
    cursor: Option<RecordId>,
    /// Whether there may be something after it.
    more: bool,
    /// Something was added since the read that is under way was asked for: what it says about the end is out of date.
    changed: bool,
    /// Everything is to be read anew since then.
    rewound: bool,
    /// Records before the cursor that wait again.
    behind: BTreeSet<RecordId>,
    /// The same, but others go first: they were refused while nothing else was taken either.
    deferred: BTreeSet<RecordId>,
    /// Claimed: in memory.
    out: HashSet<RecordId>,
    /// Completed: delivered or replaced, and perhaps still on the disk.
    gone: HashSet<RecordId>,
    /// The same by time, the latest last.
    going: VecDeque<(Instant, RecordId)>,
}

impl ReplayCursor {
    /// Nothing is known but whether there may be records.
    pub(crate) fn new(more: bool) -> Self {
        Self { more, ..Self::default() }
    }

    /// Whether there may be something to read that is not deferred.
    pub(crate) fn waits(&self) -> bool {
        self.more || !self.behind.is_empty()
    }

    /// Whether something waits that others are to go before.
    pub(crate) fn has_deferred(&self) -> bool {
        !self.deferred.is_empty()
    }

    /// Whether nothing is on the disk, as far as we know.
    pub(crate) fn is_over(&self) -> bool {
        !self.waits() && !self.has_deferred() && self.out.is_empty()
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

    /// Claims what is to be sent of what was read.
    pub(crate) fn claim_read(&mut self, aim: Aim, read: Portion, now: Instant) -> Vec<Waiting> {
        let last = read.waiting.last().map(|record| record.id);
        let mut claimed = Vec::new();
        for record in read.waiting {
            let wanted = aim == Aim::Ahead || self.behind.contains(&record.id);
            if wanted && !self.gone.contains(&record.id) && self.out.insert(record.id) {
                claimed.push(record);
            }
        }
        match (aim, last) {
            (Aim::Ahead, _) if self.rewound => {}
            (Aim::Ahead, last) => {
                // Also past records of other signals: they need not be looked at again.
                self.cursor = self.cursor.max(read.seen);
                self.more = last.is_some() || self.changed;
            }
            // What was not found in this range is gone. Others may have been released before it since.
            (Aim::Behind(first, until), last) => {
                self.behind.retain(|id| *id < first || *id > last.unwrap_or(until));
            }
        }
        self.forget(now);
        claimed
    }

    /// `id` has come to the disk while it is in memory: it is claimed.
    pub(crate) fn claim(&mut self, id: RecordId) {
        self.out.insert(id);
    }

    /// `id` is no longer in memory, and waits on the disk; with `defer`, others go first.
    pub(crate) fn release(&mut self, id: RecordId, defer: bool) {
        self.out.remove(&id);
        if defer {
            self.deferred.insert(id);
        } else if Some(id) <= self.cursor {
            self.behind.insert(id);
        } else {
            self.added();
        }
    }

    /// `id` was delivered or replaced.
    pub(crate) fn complete(&mut self, id: RecordId, now: Instant) {
        self.out.remove(&id);
        self.gone.insert(id);
        self.going.push_back((now, id));
        self.forget(now);
    }

    /// New records wait, after all the others.
    pub(crate) fn added(&mut self) {
        (self.more, self.changed) = (true, true);
    }

    /// Old records wait again, and it is not known which.
    pub(crate) fn rewind(&mut self) {
        (self.cursor, self.more, self.rewound) = (None, true, true);
        self.behind.clear();
        self.deferred.clear();
    }

    /// The destination takes data: deferred records are next.
    pub(crate) fn promote_deferred(&mut self) {
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
            if now.saturating_duration_since(*when) <= DELETE_GRACE {
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
        let (mut cursor, now) = (ReplayCursor::new(true), Instant::now());
        [3, 4, 5].into_iter().for_each(|id| cursor.claim(RecordId(id)));
        cursor.complete(RecordId(3), now);
        assert_eq!(cursor.next(), Some((Aim::Ahead, None)));
        assert_eq!(ids(&cursor.claim_read(Aim::Ahead, records(1..=6), now)), [1, 2, 6]);
        cursor.release(RecordId(4), false);
        assert_eq!(cursor.next(), Some((behind(4, 4), Some(RecordId(3)))));
        assert_eq!(ids(&cursor.claim_read(behind(4, 4), records([4]), now)), [4]);
        assert_eq!(cursor.next(), Some((Aim::Ahead, Some(RecordId(6)))));
        assert_eq!(ids(&cursor.claim_read(Aim::Ahead, records([]), now)), [0; 0]);
        assert_eq!(cursor.next(), None);
        cursor.release(RecordId(7), false);
        assert_eq!(cursor.next(), Some((Aim::Ahead, Some(RecordId(6)))));
    }

    /// A record that is refused when nothing is taken does not stand in the way of the others, and is not forgotten.
    #[test]
    fn what_stands_back_is_next_when_there_is_hope_or_nothing_else() {
        let (mut cursor, now) = (ReplayCursor::new(true), Instant::now());
        cursor.claim_read(Aim::Ahead, records(1..=2), now);
        cursor.release(RecordId(1), true);
        assert_eq!(cursor.next(), Some((Aim::Ahead, Some(RecordId(2)))));
        cursor.claim_read(Aim::Ahead, records([]), now);
        assert_eq!(cursor.next(), Some((behind(1, 1), Some(RecordId(0)))));
        assert_eq!(ids(&cursor.claim_read(behind(1, 1), records(1..=2), now)), [1]);
        cursor.release(RecordId(1), true);
        cursor.added();
        cursor.promote_deferred();
        assert_eq!(cursor.next(), Some((behind(1, 1), Some(RecordId(0)))));
    }

    /// A read that was asked for before something came to the disk does not know of it.
    #[test]
    fn what_comes_while_a_read_is_under_way_is_found_by_the_next_one() {
        let (mut cursor, now) = (ReplayCursor::new(true), Instant::now());
        cursor.next();
        cursor.release(RecordId(1), false);
        cursor.claim_read(Aim::Ahead, records([]), now);
        assert_eq!(cursor.next(), Some((Aim::Ahead, None)));
        cursor.claim_read(Aim::Ahead, records([1, 2, 3]), now);
        cursor.release(RecordId(3), false);
        assert_eq!(cursor.next(), Some((behind(3, 3), Some(RecordId(2)))));
        cursor.release(RecordId(1), false);
        cursor.claim_read(behind(3, 3), records([3]), now);
        assert_eq!(cursor.next(), Some((behind(1, 1), Some(RecordId(0)))));
        cursor.claim_read(behind(1, 1), records([1, 2, 3]), now);
        assert_eq!(cursor.next(), Some((Aim::Ahead, Some(RecordId(3)))));
        [1, 2].into_iter().for_each(|id| cursor.release(RecordId(id), false));
        assert_eq!(cursor.next(), Some((behind(1, 2), Some(RecordId(0)))));
        cursor.release(RecordId(3), false);
        cursor.claim_read(behind(1, 2), records([]), now);
        assert_eq!(cursor.next(), Some((behind(3, 3), Some(RecordId(2)))), "that read did not look so far");
        cursor.claim_read(behind(3, 3), records([3]), now);
        cursor.rewind();
        cursor.claim_read(Aim::Ahead, records([7]), now);
        assert_eq!(cursor.next(), Some((Aim::Ahead, None)), "from the start");
    }

    /// Many records of another signal lie between ours, and after them: each is looked at once.
    #[test]
    fn what_is_not_ours_is_passed_over_once() {
        let (mut cursor, now) = (ReplayCursor::new(true), Instant::now());
        cursor.claim_read(Aim::Ahead, Portion { seen: Some(RecordId(500)), ..records([7]) }, now);
        assert_eq!(cursor.next(), Some((Aim::Ahead, Some(RecordId(500)))));
        cursor.claim_read(Aim::Ahead, Portion { seen: Some(RecordId(900)), ..records([]) }, now);
        assert!(!cursor.waits() && !cursor.is_over(), "7 is in memory");
        // It had come to the disk while it was on its way, and must be sent again.
        cursor.release(RecordId(7), false);
        assert_eq!(cursor.next(), Some((behind(7, 7), Some(RecordId(6)))));
        cursor.claim_read(behind(7, 7), records([7]), now);
        cursor.complete(RecordId(7), now);
        assert!(cursor.is_over());
        cursor.release(RecordId(901), false);
        assert_eq!(cursor.next(), Some((Aim::Ahead, Some(RecordId(900)))));
    }

    #[test]
    fn revived_records_are_found_without_sending_anything_twice() {
        let (mut cursor, now) = (ReplayCursor::new(true), Instant::now());
        cursor.claim_read(Aim::Ahead, records([1, 2, 4]), now);
        cursor.complete(RecordId(1), now);
        cursor.rewind();
        assert_eq!(cursor.next(), Some((Aim::Ahead, None)));
        // 1 has not been deleted yet.
        assert_eq!(ids(&cursor.claim_read(Aim::Ahead, records([1, 2, 3, 4]), now)), [3]);
    }
}
