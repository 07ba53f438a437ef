//! The records of the store: requests that wait to be sent, and dead letters, which their destination refused for good.

use std::sync::Arc;

use bytes::Bytes;

use crate::otlp::Signal;

/// The number of a row. Rows are numbered in the order in which they were put; no number is used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordId(pub i64);

/// A request, or a part of one, to be stored for one destination.
#[derive(Clone, Debug)]
pub struct NewRecord {
    /// Component name, such as `otlp/datadog`.
    pub destination: Arc<str>,
    /// What kind of request it is.
    pub signal: Signal,
    /// The export request as it would be sent, uncompressed.
    pub body: Bytes,
    /// Spans in it; 0 for metrics and logs.
    pub spans: u32,
    /// When it was received, nanoseconds since the Unix epoch.
    pub received: u64,
    /// `None`: it waits to be sent. `Some`: it is a dead letter already.
    pub death: Option<Death>,
}

/// Why a record is a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// The kind of failure.
    pub reason: DeathReason,
    /// The destination's gRPC status code, such as `INVALID_ARGUMENT`; empty when there was none.
    pub code: String,
    /// The destination's message, or our own.
    pub message: String,
    /// Attempts to send it.
    pub attempts: u32,
    /// Time of the first attempt, nanoseconds since the Unix epoch.
    pub first: u64,
    /// Time of the last attempt.
    pub last: u64,
    /// The chains of its spans, sorted.
    pub chains: Vec<String>,
    /// The operations of its spans, sorted.
    pub operations: Vec<String>,
}

/// The kinds of failures that make a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeathReason {
    /// The destination answered with a permanent code.
    Rejected,
    /// A single span is larger than the destination accepts.
    TooLarge,
    /// `max_elapsed_time` passed.
    Expired,
    /// The disk did not return what was written.
    CorruptRecord,
}

impl DeathReason {
    /// Every reason.
    pub const ALL: [DeathReason; 4] =
        [DeathReason::Rejected, DeathReason::TooLarge, DeathReason::Expired, DeathReason::CorruptRecord];

    /// The name under which it is printed and filtered by.
    pub fn name(self) -> &'static str {
        match self {
            DeathReason::Rejected => "rejected",
            DeathReason::TooLarge => "too_large",
            DeathReason::Expired => "expired",
            DeathReason::CorruptRecord => "corrupt_record",
        }
    }

    /// The reason called `name`.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }
}

/// A waiting record, as it was read back.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Its number.
    pub id: RecordId,
    /// What kind of request it is.
    pub signal: Signal,
    /// The export request.
    pub body: Bytes,
    /// Spans in it; 0 for metrics and logs.
    pub spans: u32,
    /// When it was received, nanoseconds since the Unix epoch.
    pub received: u64,
}

/// Which waiting records to read: those of one signal for one destination, oldest first.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Component name.
    pub destination: Arc<str>,
    /// What kind of requests they are.
    pub signal: Signal,
    /// Only rows after this one.
    pub after: Option<RecordId>,
    /// Only rows up to this one.
    pub until: Option<RecordId>,
    /// No more bytes of bodies than this, but at least one record.
    pub max_bytes: usize,
}

/// The next part of the waiting records.
#[derive(Clone, Debug, Default)]
pub struct Portion {
    /// Oldest first.
    pub waiting: Vec<Waiting>,
    /// Records that were found damaged, and are dead letters now.
    pub damaged: Count,
    /// The last row that was read, whatever it was: up to it there is nothing more to find.
    pub seen: Option<RecordId>,
}

/// A dead letter without its body, as it was read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Its number.
    pub id: RecordId,
    /// Component name.
    pub destination: String,
    /// What kind of request it is.
    pub signal: Signal,
    /// Spans in it; 0 for metrics and logs.
    pub spans: u32,
    /// Bytes of its body.
    pub bytes: u64,
    /// When it was received, nanoseconds since the Unix epoch.
    pub received: u64,
    /// Why it is a dead letter.
    pub death: Death,
}

/// A sum over records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Rows.
    pub records: u64,
    /// Spans in them (traces only).
    pub spans: u64,
    /// Rows that are requests of metrics or logs.
    pub requests: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
}

impl Count {
    /// Of one record with `spans` (traces only) and a body of `bytes`.
    pub(crate) fn of_one(signal: Signal, spans: u32, bytes: u64) -> Self {
        let traces = signal == Signal::Traces;
        Count { records: 1, spans: if traces { spans.into() } else { 0 }, requests: u64::from(!traces), bytes }
    }

    pub(crate) fn add(&mut self, other: Count) {
        self.records += other.records;
        self.spans += other.spans;
        self.requests += other.requests;
        self.bytes += other.bytes;
    }

    pub(super) fn subtract(&mut self, other: Count) {
        self.records = self.records.saturating_sub(other.records);
        self.spans = self.spans.saturating_sub(other.spans);
        self.requests = self.requests.saturating_sub(other.requests);
        self.bytes = self.bytes.saturating_sub(other.bytes);
    }
}

/// What is stored for one destination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// What waits to be sent.
    pub waiting: Count,
    /// Dead letters.
    pub dead: Count,
    /// Dead letters that operators purged since the store was created; `bytes` is 0.
    pub discarded: Count,
    /// When the oldest waiting record was received, nanoseconds since the Unix epoch.
    pub oldest: Option<u64>,
}

/// Selects dead letters: those to which everything given here applies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// One of these rows; empty: any.
    pub ids: Vec<RecordId>,
    /// A row after this one, to continue after a part of the answer.
    pub after: Option<RecordId>,
    /// One of its chains.
    pub chain: Option<String>,
    /// Its reason.
    pub reason: Option<DeathReason>,
    /// Its destination.
    pub destination: Option<String>,
    /// Its last attempt was at this time or later, nanoseconds since the Unix epoch.
    pub since: Option<u64>,
    /// Its last attempt was before this time.
    pub until: Option<u64>,
    /// No more than this many, the oldest first.
    pub limit: Option<u64>,
}
