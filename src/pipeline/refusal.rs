//! Why a request was not accepted.

use std::time::Duration;

use crate::otlp::WireError;

/// Why a request was not accepted. Nothing of it was counted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The bytes are not a valid request: the client must not send them again. gRPC INVALID_ARGUMENT.
    #[error("malformed request: {0}")]
    Malformed(#[from] WireError),
    /// A destination refuses the data and always will. Answered with the destination's own code.
    #[error("{message}")]
    Rejected {
        /// The destination's code.
        code: tonic::Code,
        /// What to tell the client.
        message: String,
    },
    /// Not now: the client should come again. gRPC UNAVAILABLE with RetryInfo.
    #[error("{why}")]
    Unavailable {
        /// What stands in the way.
        why: String,
        /// When to come again.
        retry_after: Duration,
    },
}
