//! The one table of answers: every way in which a request can fail, with its gRPC code, its text, and whether the client is
//! told when to send it again (`docs/delivery.md` section 2, OTLP 1.11).
//!
//! How a code is chosen: what is wrong with gRPC's own framing is INTERNAL, as gRPC's `statuscodes.md` asks; what is wrong
//! with what the frame holds is INVALID_ARGUMENT, because an OTLP client must not send the same bytes again. gRPC calls a
//! second message in a unary call UNIMPLEMENTED; we do not, because OTLP clients read that as "this signal is not served
//! here" and stop sending. UNAVAILABLE always carries RetryInfo. RESOURCE_EXHAUSTED never does: with it, clients would
//! send the same oversized request for ever.

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::encoding::Encoding;
use crate::pipeline::Refusal;

/// Longest `grpc-message`, in bytes: it travels in a header, and clients refuse large ones.
const MAX_MESSAGE_BYTES: usize = 1024;

/// Why a request was not answered OK.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    #[error("no such method: {0}; chainspan serves the OTLP Export methods for traces, metrics and logs")]
    UnknownMethod(String),
    #[error("grpc-encoding {0:?} is not supported; use {accepted}", accepted = Encoding::ACCEPTED)]
    UnknownEncoding(String),
    #[error("chainspan is shutting down; send to another instance, or again later")]
    Draining,
    #[error("all memory for open requests is taken ({limit} bytes); send again later")]
    BudgetFull { limit: usize },
    #[error(
        "the message of {announced} bytes is larger than max_recv_msg_size_mib allows ({limit} bytes); send smaller batches"
    )]
    TooLarge { announced: u32, limit: usize },
    #[error("the message inflates to more than max_recv_msg_size_mib allows ({limit} bytes); send smaller batches")]
    InflatesTooLarge { limit: usize },
    #[error("the request holds no message")]
    NoMessage,
    #[error("the request holds more than one message")]
    SecondMessage,
    #[error("the request ended after {received} bytes of a message of {announced}")]
    Short { received: usize, announced: u32 },
    #[error("the request ended inside the 5-byte message prefix")]
    ShortPrefix,
    #[error("compressed flag {0}: only 0 and 1 exist")]
    BadFlag(u8),
    #[error("the message is flagged as compressed, but grpc-encoding does not say how")]
    NoEncoding,
    #[error("the message is not valid {encoding}: {cause}")]
    Corrupt { encoding: Encoding, cause: std::io::Error },
    #[error("no byte of the request arrived for {0:?}")]
    SlowBody(Duration),
    #[error("the request did not arrive within the time it may take")]
    LateBody,
    #[error("the client cancelled the request: {0}")]
    Cancelled(String),
    #[error("the request was not inflated before chainspan ended; send to another instance, or again later")]
    InflateAborted,
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl RequestError {
    /// The gRPC status code. The module's documentation says how it is chosen.
    pub(super) fn code(&self) -> Code {
        match self {
            RequestError::UnknownMethod(_) | RequestError::UnknownEncoding(_) => Code::Unimplemented,
            RequestError::Draining | RequestError::BudgetFull { .. } => Code::Unavailable,
            RequestError::TooLarge { .. } | RequestError::InflatesTooLarge { .. } => Code::ResourceExhausted,
            RequestError::NoMessage | RequestError::SecondMessage | RequestError::Corrupt { .. } => {
                Code::InvalidArgument
            }
            RequestError::Short { .. }
            | RequestError::ShortPrefix
            | RequestError::BadFlag(_)
            | RequestError::NoEncoding => Code::Internal,
            RequestError::SlowBody(_) | RequestError::LateBody => Code::DeadlineExceeded,
            RequestError::Cancelled(_) => Code::Cancelled,
            // The runtime gave the thread up, which happens when the process ends.
            RequestError::InflateAborted => Code::Unavailable,
            RequestError::Refused(Refusal::Malformed(_)) => Code::InvalidArgument,
            // OK would tell the client that the data is safe.
            RequestError::Refused(Refusal::Rejected { code: Code::Ok, .. }) => Code::Internal,
            RequestError::Refused(Refusal::Rejected { code, .. }) => *code,
            RequestError::Refused(Refusal::Unavailable { .. }) => Code::Unavailable,
        }
    }

    /// The answer: code, text, and RetryInfo where the client should send again.
    pub(super) fn status(&self) -> Status {
        let mut message = self.to_string();
        if message.len() > MAX_MESSAGE_BYTES {
            let cut = (0..=MAX_MESSAGE_BYTES).rev().find(|index| message.is_char_boundary(*index));
            message.truncate(cut.unwrap_or(0));
        }
        match (self.code(), self) {
            (code @ Code::Unavailable, RequestError::Refused(Refusal::Unavailable { retry_after, .. })) => {
                Status::with_error_details(code, message, ErrorDetails::with_retry_info(Some(*retry_after)))
            }
            (code @ Code::Unavailable, _) => {
                Status::with_error_details(code, message, ErrorDetails::with_retry_info(Some(retry_after())))
            }
            (code, _) => Status::new(code, message),
        }
    }
}

/// 1 to 5 s, so that clients refused in the same moment do not return in the same moment.
fn retry_after() -> Duration {
    Duration::from_millis(fastrand::u64(1_000..=5_000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::{WireError, WireFault};

    fn refused(refusal: Refusal) -> RequestError {
        RequestError::Refused(refusal)
    }

    /// UNAVAILABLE always says when to send again; nothing else does, because clients would send the same request again.
    #[test]
    fn only_unavailable_carries_retry_info() {
        let unavailable = Refusal::Unavailable { why: "down".into(), retry_after: Duration::from_secs(3) };
        for error in [
            RequestError::UnknownMethod("/x".into()),
            RequestError::UnknownEncoding("br".into()),
            RequestError::Draining,
            RequestError::BudgetFull { limit: 1 },
            RequestError::TooLarge { announced: 2, limit: 1 },
            RequestError::InflatesTooLarge { limit: 1 },
            RequestError::NoMessage,
            RequestError::SecondMessage,
            RequestError::Short { received: 1, announced: 2 },
            RequestError::ShortPrefix,
            RequestError::BadFlag(3),
            RequestError::NoEncoding,
            RequestError::SlowBody(Duration::from_secs(1)),
            RequestError::LateBody,
            RequestError::Cancelled("reset".into()),
            RequestError::InflateAborted,
            refused(Refusal::Malformed(WireError::new("resource_spans", 7, WireFault::Truncated))),
            refused(Refusal::Rejected { code: Code::PermissionDenied, message: "no".into() }),
            refused(unavailable),
        ] {
            let status = error.status();
            let retry = status.get_details_retry_info().and_then(|info| info.retry_delay);
            assert_eq!(status.code() == Code::Unavailable, retry.is_some(), "{error:?}");
            if let Some(delay) = retry {
                assert!((1..=5).contains(&delay.as_secs()), "{error:?}: {delay:?}");
            }
        }
    }

    #[test]
    fn a_malformed_request_is_told_field_and_offset() {
        let status = refused(Refusal::Malformed(WireError::new("resource_spans", 7, WireFault::Truncated))).status();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains("resource_spans at byte 7"), "{}", status.message());
    }

    /// A destination that "rejects" with OK must not make a client believe that its data is safe.
    #[test]
    fn a_refusal_is_never_answered_ok() {
        assert_eq!(refused(Refusal::Rejected { code: Code::Ok, message: String::new() }).code(), Code::Internal);
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let message = "é".repeat(MAX_MESSAGE_BYTES);
        let status = refused(Refusal::Rejected { code: Code::Internal, message: format!("x{message}") }).status();
        assert_eq!(status.message().len(), MAX_MESSAGE_BYTES - 1);
    }
}
