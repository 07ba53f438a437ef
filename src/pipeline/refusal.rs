//! Why a request was not accepted.

use std::time::Duration;

use crate::delivery::Undelivered;
use crate::otlp::{EditError, WireError};

/// Why a request was not accepted. Nothing of it was counted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The bytes are not a valid request: the client must not send them again. gRPC INVALID_ARGUMENT.
    #[error("malformed request: {0}")]
    Malformed(#[from] WireError),
    /// A destination refuses the data for good. Answered with the destination's own code.
    #[error("{message}")]
    Rejected {
        /// The destination's code.
        code: tonic::Code,
        /// What to tell the client.
        message: String,
    },
    /// Not now: the client should send the request again later. gRPC UNAVAILABLE with RetryInfo.
    #[error("{why}")]
    Unavailable {
        /// What is in the way.
        why: String,
        /// How long the client should wait before it sends again.
        retry_after: Duration,
    },
}

impl Refusal {
    /// chainspan is shutting down; another instance, or the next process, will take the request.
    pub(super) fn shutting_down() -> Self {
        Self::unavailable("chainspan is shutting down")
    }

    /// The memory budget is used up.
    pub(super) fn out_of_memory() -> Self {
        Self::unavailable("the memory budget for open requests is used up (receivers.otlp.memory_limit_mib)")
    }

    /// UNAVAILABLE with a random pause of 1 to 5 s, so that clients do not return all at once.
    fn unavailable(why: impl Into<String>) -> Self {
        Self::Unavailable { why: why.into(), retry_after: Duration::from_millis(fastrand::u64(1_000..=5_000)) }
    }
}

impl From<Undelivered> for Refusal {
    fn from(undelivered: Undelivered) -> Self {
        match undelivered {
            Undelivered::Rejected { code, .. } => Self::Rejected { code, message: undelivered.to_string() },
            Undelivered::Full { retry_after, .. } => Self::Unavailable { why: undelivered.to_string(), retry_after },
            Undelivered::Timeout { .. } | Undelivered::Ambiguous { .. } => Self::unavailable(undelivered.to_string()),
            Undelivered::Closed => Self::shutting_down(),
        }
    }
}

impl From<EditError> for Refusal {
    /// The one way in which edits of a walked body can fail: the request would grow beyond what protobuf can address.
    fn from(error: EditError) -> Self {
        Self::Rejected { code: tonic::Code::ResourceExhausted, message: error.to_string() }
    }
}
