//! Messages to the writer, and its answers.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::store::error::NotKept;
use crate::store::record::{Count, Filter, NewRecord, RecordId};
use crate::store::usage::DestinationSums;

/// A message to the writer.
#[derive(Debug)]
pub(super) enum Message {
    /// A part of the next transaction.
    Job(Job),
    /// Somebody found damage in the file of this generation.
    Damaged { generation: u64, why: String, done: Done<Result<(), NotKept>> },
    /// The last message.
    Close { done: Done<()> },
}

/// A part of a transaction.
#[derive(Debug)]
pub(super) enum Job {
    Put { records: Vec<NewRecord>, done: Done<Result<Vec<RecordId>, NotKept>> },
    Finish { ids: Vec<RecordId> },
    Replace { id: RecordId, parts: Vec<NewRecord>, done: Done<Result<Vec<RecordId>, NotKept>> },
    Revive { filter: Filter, done: Done<Result<DestinationSums, NotKept>> },
    Purge { filter: Filter, done: Done<Result<DestinationSums, NotKept>> },
    MarkCorrupt { damaged: BTreeMap<RecordId, String>, done: Done<Result<Count, NotKept>> },
}

/// The outcome of a job.
#[derive(Debug)]
pub(super) enum JobResult {
    Ids(Vec<RecordId>),
    Sums(DestinationSums),
    Count(Count),
    Refused(NotKept),
    Nothing,
}

impl Job {
    /// Bytes of bodies in it.
    pub(super) fn weight(&self) -> usize {
        match self {
            Job::Put { records, .. } | Job::Replace { parts: records, .. } => {
                records.iter().map(|record| record.body.len()).sum()
            }
            Job::Finish { .. } | Job::Revive { .. } | Job::Purge { .. } | Job::MarkCorrupt { .. } => 0,
        }
    }

    pub(super) fn answer(self, result: JobResult) {
        match (self, result) {
            (Job::Put { done, .. } | Job::Replace { done, .. }, JobResult::Ids(ids)) => done.call(Ok(ids)),
            (Job::Put { done, .. } | Job::Replace { done, .. }, JobResult::Refused(why)) => done.call(Err(why)),
            (Job::Revive { done, .. } | Job::Purge { done, .. }, JobResult::Sums(sums)) => done.call(Ok(sums)),
            (Job::Revive { done, .. } | Job::Purge { done, .. }, JobResult::Refused(why)) => done.call(Err(why)),
            (Job::MarkCorrupt { done, .. }, JobResult::Count(count)) => done.call(Ok(count)),
            (Job::MarkCorrupt { done, .. }, JobResult::Refused(why)) => done.call(Err(why)),
            // Nobody waits for a `finish`. No other pair is built; if one were, whoever waits would hear that the store is closed.
            (Job::Finish { .. }, _)
            | (_, JobResult::Ids(_) | JobResult::Sums(_) | JobResult::Count(_) | JobResult::Nothing) => {}
        }
    }
}

/// Whoever waits for an answer. If this is dropped without one, the answer is that the store is closed.
pub(super) struct Done<R> {
    call: Option<Box<dyn FnOnce(R) + Send>>,
    when_dropped: fn() -> R,
}

impl<R> Done<R> {
    pub(super) fn new(call: impl FnOnce(R) + Send + 'static, when_dropped: fn() -> R) -> Self {
        Done { call: Some(Box::new(call)), when_dropped }
    }

    pub(super) fn call(mut self, answer: R) {
        self.tell(answer);
    }

    fn tell(&mut self, answer: R) {
        if let Some(call) = self.call.take() {
            // A bug of the caller must not take the store down.
            if catch_unwind(AssertUnwindSafe(|| call(answer))).is_err() {
                tracing::error!("a callback panicked that waited for the store; this is a bug, please report it");
            }
        }
    }
}

impl<R> Drop for Done<R> {
    fn drop(&mut self) {
        if self.call.is_some() {
            let answer = (self.when_dropped)();
            self.tell(answer);
        }
    }
}

impl<R> std::fmt::Debug for Done<R> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Done")
    }
}
