//! What is kept: one row per request and destination that waits, or that its destination refuses for good.

use std::sync::Arc;

use bytes::Bytes;

use crate::otlp::Signal;

/// Names a row. Rows are numbered in the order in which they were put; a number is never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordId(pub i64);

/// A request, or a part of one, that is to be kept for one destination.
#[derive(Clone, Debug)]
pub struct NewRecord {
    /// Component name, `otlp/datadog`.
    pub destination: Arc<str>,
    /// Which service it is for.
    pub signal: Signal,
    /// The request message as it would be sent, uncompressed.
    pub body: Bytes,
    /// How many spans it holds; 0 for metrics and logs.
    pub spans: u32,
    /// When it was received, nanoseconds since the Unix epoch.
    pub received: u64,
    /// `None`: it waits to be sent. `Some`: it is a dead letter from the beginning.
    pub death: Option<Death>,
}

/// Why something is a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// The kind of reason.
    pub reason: Reason,
    /// The destination's gRPC code in capitals, `INVALID_ARGUMENT`; empty when there was none.
    pub code: String,
    /// The destination's own words, or ours.
    pub message: String,
    /// How many attempts were made.
    pub attempts: u32,
    /// When it was tried first, nanoseconds since the Unix epoch.
    pub first: u64,
    /// When it was tried last.
    pub last: u64,
    /// The chains of its spans, sorted.
    pub chains: Vec<String>,
    /// The operations of its spans, sorted.
    pub operations: Vec<String>,
}

/// The kinds of reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// The destination answered with a permanent code.
    Rejected,
    /// A single span that is larger than the destination takes.
    TooLarge,
    /// `max_elapsed_time` was over.
    Expired,
    /// What was read back from the disk is not what was written.
    CorruptRecord,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Reason; 4] = [Reason::Rejected, Reason::TooLarge, Reason::Expired, Reason::CorruptRecord];

    /// As it is stored, filtered by and printed.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Rejected => "rejected",
            Reason::TooLarge => "too_large",
            Reason::Expired => "expired",
            Reason::CorruptRecord => "corrupt_record",
        }
    }

    /// The reason called `name`.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }
}

/// A record that waits, as it was read back.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Its row.
    pub id: RecordId,
    /// Which service it is for.
    pub signal: Signal,
    /// The request message.
    pub body: Bytes,
    /// How many spans it holds.
    pub spans: u32,
    /// When it was received, nanoseconds since the Unix epoch.
    pub received: u64,
}

/// What is to be read of what waits: the records of one signal for one destination, oldest first.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Component name.
    pub destination: Arc<str>,
    /// Which service they are for.
    pub signal: Signal,
    /// Rows after this one.
    pub after: Option<RecordId>,
    /// Rows up to this one.
    pub until: Option<RecordId>,
    /// So many bytes of bodies, but at least one record.
    pub max_bytes: usize,
}

/// The next part of what waits, as it was read back.
#[derive(Clone, Debug, Default)]
pub struct Portion {
    /// Oldest first.
    pub waiting: Vec<Waiting>,
    /// What was found damaged on the way, and is a dead letter now.
    pub damaged: Count,
    /// The last row that was looked at, whatever it was: up to it there is nothing else to be found.
    pub seen: Option<RecordId>,
}

/// A dead letter without its body, as it was read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Its row.
    pub id: RecordId,
    /// Component name.
    pub destination: String,
    /// Which service it was for.
    pub signal: Signal,
    /// How many spans it holds.
    pub spans: u32,
    /// Bytes of its body.
    pub bytes: u64,
    /// When it was received, nanoseconds since the Unix epoch.
    pub received: u64,
    /// Why it is here.
    pub death: Death,
}

/// A sum over records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Rows.
    pub records: u64,
    /// Spans in them (traces only).
    pub spans: u64,
    /// How many of the rows are requests of metrics or logs.
    pub requests: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
}

/// What is kept for one destination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// What waits to be sent.
    pub waiting: Count,
    /// Dead letters.
    pub dead: Count,
    /// Dead letters that an operator purged, since the store was made; `bytes` is 0.
    pub discarded: Count,
    /// When the oldest waiting record was received, nanoseconds since the Unix epoch.
    pub oldest: Option<u64>,
}

/// Which dead letters are meant. Everything that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// These rows.
    pub ids: Vec<RecordId>,
    /// Rows after this one, to go on where a part of the answer ended.
    pub after: Option<RecordId>,
    /// One of their chains.
    pub chain: Option<String>,
    /// Their reason.
    pub reason: Option<Reason>,
    /// Their destination.
    pub destination: Option<String>,
    /// Died (`Death::last`) at or after, nanoseconds since the Unix epoch.
    pub since: Option<u64>,
    /// Died before.
    pub until: Option<u64>,
    /// No more than so many, the oldest first.
    pub limit: Option<u64>,
}
