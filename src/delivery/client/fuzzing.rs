//! A way for the fuzz target in `fuzz/` into what reads foreign bytes here: a destination's answer.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};

use super::response::{MAX_MESSAGE, partial_success, status};
use crate::delivery::policy::LONGEST_RETRY_INFO;

/// What an answer says.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// The destination has the request, and has rejected so many of its items.
    Acknowledged(u64),
    /// The attempt failed; the destination says when to try again, or does not.
    Failed(Option<Duration>),
}

/// Reads an answer of these trailers (`grpc-status`, `grpc-message`, `grpc-status-details-bin`) and this body; `None` if
/// HTTP/2 would not let the trailers through.
///
/// # Panics
/// A text or a pause is longer than allowed: a bug.
pub fn read_answer([code, message, details]: [&[u8]; 3], body: &[u8]) -> Option<Answer> {
    let mut trailers = HeaderMap::new();
    for (name, value) in [("grpc-status", code), ("grpc-message", message), ("grpc-status-details-bin", details)] {
        trailers.insert(name, HeaderValue::from_bytes(value).ok()?);
    }
    let shortened = |text: &str| assert!(text.len() <= MAX_MESSAGE + '…'.len_utf8(), "{} bytes of text", text.len());
    Some(match status(&trailers) {
        Ok(()) => {
            let acknowledgement = partial_success(body);
            shortened(&acknowledgement.message);
            Answer::Acknowledged(acknowledgement.rejected)
        }
        Err(failure) => {
            shortened(&failure.message);
            assert!(failure.retry_after <= Some(LONGEST_RETRY_INFO), "{:?}", failure.retry_after);
            Answer::Failed(failure.retry_after)
        }
    })
}
