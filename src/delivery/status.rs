//! The state of a destination as others see it.

use std::time::Duration;

use crate::config::Role;
use crate::otlp::Signal;

/// Where every span handed to a destination is now. At every moment
/// `accepted = delivered + rejected + in_flight + spilled + dead + discarded`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Conservation {
    /// Taken in hand and not handed back to the client with an error.
    pub accepted: u64,
    /// Acknowledged by the destination.
    pub delivered: u64,
    /// Turned away by the destination's `partial_success`.
    pub rejected: u64,
    /// In memory: queued or being sent.
    pub in_flight: u64,
    /// On disk, waiting.
    pub spilled: u64,
    /// Among the dead letters.
    pub dead: u64,
    /// Given up: by an operator, or (debug destinations only) for want of room.
    pub discarded: u64,
}

/// The circuit breaker of a destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BreakerState {
    /// Requests go out.
    #[default]
    Closed,
    /// Nothing is dialled.
    Open,
    /// One request goes out to see whether the destination works again.
    HalfOpen,
}

impl BreakerState {
    /// `closed`, `open`, `half_open`: as in `/status`.
    pub fn label(self) -> &'static str {
        match self {
            BreakerState::Closed => "closed",
            BreakerState::Open => "open",
            BreakerState::HalfOpen => "half_open",
        }
    }
}

/// One destination at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct DestinationStatus {
    /// Component name, `otlp/datadog`.
    pub name: String,
    /// Whether acknowledgements wait for it.
    pub role: Role,
    /// Spans.
    pub spans: Conservation,
    /// Metrics and logs, in requests.
    pub requests: Conservation,
    /// Spans that the destination acknowledged after they had been handed back to the client, who may send them again.
    pub delivered_late: u64,
    /// Bytes queued or being sent.
    pub queue_bytes: u64,
    /// Age of the oldest parcel that still waits, in memory or on disk (approximately, for those on disk).
    pub backlog_age: Option<Duration>,
    /// Consecutive failed attempts that speak against the destination (not those that refuse data); 0 when the last one
    /// succeeded.
    pub failures: u32,
    /// Whether delivery is paused.
    pub breaker: BreakerState,
    /// The error of the last failed attempt, while `failures` is not 0.
    pub last_error: Option<String>,
    /// Signals that it does not take (`unimplemented` in `/status`), with its error: they wait while the others are delivered.
    pub unimplemented: Vec<(Signal, String)>,
}
