//! What the writer is asked to do, and how it answers.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::store::NotKept;
use crate::store::books::Sums;
use crate::store::record::{Count, Filter, NewRecord, RecordId};

/// Something for the writer.
#[derive(Debug)]
pub(super) enum Message {
    /// To be done in the next transaction.
    Job(Job),
    /// Somebody found the file of this generation damaged.
    Damaged { generation: u64, why: String, done: Done<Result<(), NotKept>> },
    /// Nothing comes after this.
    Close { done: Done<()> },
}

/// A part of a transaction.
#[derive(Debug)]
pub(super) enum Job {
    Put { records: Vec<NewRecord>, done: Done<Result<Vec<RecordId>, NotKept>> },
    Finish { ids: Vec<RecordId> },
    Replace { id: RecordId, parts: Vec<NewRecord>, done: Done<Result<Vec<RecordId>, NotKept>> },
    Revive { filter: Filter, done: Done<Result<Sums, NotKept>> },
    Purge { filter: Filter, done: Done<Result<Sums, NotKept>> },
    Condemn { damaged: BTreeMap<RecordId, String>, done: Done<Result<Count, NotKept>> },
}

/// What came of a job.
#[derive(Debug)]
pub(super) enum Outcome {
    Ids(Vec<RecordId>),
    Sums(Sums),
    Count(Count),
    Refused(NotKept),
    Nothing,
}

impl Job {
    /// Bytes that it carries.
    pub(super) fn weight(&self) -> usize {
        match self {
            Job::Put { records, .. } | Job::Replace { parts: records, .. } => {
                records.iter().map(|record| record.body.len()).sum()
            }
            Job::Finish { .. } | Job::Revive { .. } | Job::Purge { .. } | Job::Condemn { .. } => 0,
        }
    }

    pub(super) fn answer(self, outcome: Outcome) {
        match (self, outcome) {
            (Job::Put { done, .. } | Job::Replace { done, .. }, Outcome::Ids(ids)) => done.call(Ok(ids)),
            (Job::Put { done, .. } | Job::Replace { done, .. }, Outcome::Refused(why)) => done.call(Err(why)),
            (Job::Revive { done, .. } | Job::Purge { done, .. }, Outcome::Sums(sums)) => done.call(Ok(sums)),
            (Job::Revive { done, .. } | Job::Purge { done, .. }, Outcome::Refused(why)) => done.call(Err(why)),
            (Job::Condemn { done, .. }, Outcome::Count(count)) => done.call(Ok(count)),
            (Job::Condemn { done, .. }, Outcome::Refused(why)) => done.call(Err(why)),
            // A `finish` has nobody who waits. No other pair is built, and whoever waits would be told that it is closed.
            (Job::Finish { .. }, _)
            | (_, Outcome::Ids(_) | Outcome::Sums(_) | Outcome::Count(_) | Outcome::Nothing) => {}
        }
    }
}

/// Whoever waits for an answer. Gets one in any case: when it is forgotten, then that the store is closed.
pub(super) struct Done<R> {
    call: Option<Box<dyn FnOnce(R) + Send>>,
    closed: fn() -> R,
}

impl<R> Done<R> {
    pub(super) fn new(call: impl FnOnce(R) + Send + 'static, closed: fn() -> R) -> Self {
        Done { call: Some(Box::new(call)), closed }
    }

    pub(super) fn call(mut self, answer: R) {
        self.tell(answer);
    }

    fn tell(&mut self, answer: R) {
        if let Some(call) = self.call.take() {
            // What waits elsewhere must not take the store down.
            if catch_unwind(AssertUnwindSafe(|| call(answer))).is_err() {
                tracing::error!("somebody who waited for the store panicked");
            }
        }
    }
}

impl<R> Drop for Done<R> {
    fn drop(&mut self) {
        if self.call.is_some() {
            let answer = (self.closed)();
            self.tell(answer);
        }
    }
}

impl<R> std::fmt::Debug for Done<R> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Done")
    }
}
