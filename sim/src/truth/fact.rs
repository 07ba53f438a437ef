//! What one batch means: plain data beside the encoded request, kept until the request has been answered.

use std::sync::Arc;

/// The resource attributes that become labels of every metric.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    /// `service.name`.
    pub service: String,
    /// `deployment.environment.name`.
    pub environment: String,
    /// `service.instance.id`: a label of gauges only.
    pub instance: String,
}

/// One simulated operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OperationFact {
    /// The span of the operation.
    pub span: SpanKey,
    /// The chain that the convention assigns to the span; `None`: it cannot be known.
    pub chain: Option<u64>,
    /// `task`, `task_broadcast`, …
    pub operation: &'static str,
    /// `success`, `failure` or `cancelled`.
    pub outcome: &'static str,
    /// The `error.type` label: empty unless it failed.
    pub reason: &'static str,
    /// Class of a quorum failure, else empty.
    pub class: &'static str,
    /// End of the span, nanoseconds since the Unix epoch: decides its window.
    pub end_unix_nano: u64,
    /// End minus start in nanoseconds, 0 where the end is before the start.
    pub duration_nano: u64,
    /// `avs.attempt.count`.
    pub attempts: Option<u32>,
    /// Share of the stake that signed, 0 to 1.
    pub ratio: Option<f64>,
    /// Signed share minus threshold, −1 to 1.
    pub margin: Option<f64>,
    /// Status class of a webhook delivery.
    pub webhook: Option<&'static str>,
    /// Values that only some operations record.
    pub measurements: Measurements,
}

/// Values that only some operations record.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measurements {
    /// `avs.quorum.time_to_threshold`, nanoseconds.
    pub time_to_threshold_nano: Option<u64>,
    /// Operators that signed, that rejected, and that did neither.
    pub responses: Option<[u64; 3]>,
    /// `evm.tx.confirmation.duration`, nanoseconds.
    pub confirmation_nano: Option<u64>,
    /// `evm.tx.queue.duration`, nanoseconds.
    pub queue_nano: Option<u64>,
    /// Items of a transaction that succeeded, and that failed.
    pub items: Option<[u64; 2]>,
    /// All attempts are used up (transactions and webhooks).
    pub exhausted: bool,
    /// Pending minus latest nonce, and the signer.
    pub nonce_gap: Option<(i64, &'static str)>,
    /// State of a breaker (0 closed, 1 half-open, 2 open), and what it guards.
    pub breaker: Option<(u8, &'static str)>,
}

/// What the forwarded span must carry under the key `chain_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectedTag {
    /// No attribute of that name.
    Absent,
    /// Exactly one, the canonical decimal string.
    Canonical(u64),
    /// One attribute that holds no valid chain id; it is forwarded unchanged.
    Invalid,
    /// More than one attribute of that name, or a valid id in another spelling: never right.
    Broken,
}

/// Identifies a span in a table: its id when that has eight bytes, a hash of it otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanKey(pub u64);

impl SpanKey {
    /// The key of a span id of any length.
    pub fn of(span_id: &[u8]) -> Self {
        match <[u8; 8]>::try_from(span_id) {
            Ok(bytes) => Self(u64::from_be_bytes(bytes)),
            // FNV-1a over the bytes and their number, so that 00 and 00 00 differ.
            Err(_) => Self(span_id.iter().chain([&(span_id.len() as u8)]).fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
            })),
        }
    }
}

/// Everything that one batch adds to the measurements once it is acknowledged.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchFacts {
    /// The gateway that sent it.
    pub identity: Arc<Identity>,
    /// Spans of every kind.
    pub spans: u64,
    /// Spans that are not operations.
    pub unclassified: u64,
    /// The operations.
    pub operations: Vec<OperationFact>,
    /// Every span and the tag it must arrive with.
    pub tags: Vec<(SpanKey, ExpectedTag)>,
}

impl BatchFacts {
    /// No spans yet.
    pub fn new(identity: Arc<Identity>) -> Self {
        Self { identity, spans: 0, unclassified: 0, operations: Vec::new(), tags: Vec::new() }
    }
}
