//! Reads what a destination answers: status, RetryInfo, partial success. None of it is trusted: every size is capped before
//! anything is parsed.

use http::HeaderMap;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use tonic::Code;
use tonic::metadata::MetadataMap;
use tonic_types::StatusExt;

use crate::delivery::policy::{Failure, LONGEST_RETRY_INFO};

/// Bytes of an answer that are read; the rest is skipped.
const MAX_BODY: usize = 64 << 10;
/// Bytes of status details above which they, and RetryInfo in them, are ignored.
const MAX_DETAILS: usize = 8 << 10;
/// Bytes of an error message that are kept.
pub(super) const MAX_MESSAGE: usize = 1 << 10;

/// The destination has taken the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Acknowledgement {
    /// `partial_success.rejected_*`: how many items it turned away.
    pub(crate) rejected: u64,
    /// `partial_success.error_message`.
    pub(crate) message: String,
}

/// Reads an answer to its end.
pub(crate) async fn read(response: http::Response<h2::RecvStream>) -> Result<Acknowledgement, Failure> {
    let (head, mut stream) = response.into_parts();
    if head.headers.contains_key("grpc-status") {
        status(&head.headers)?;
    }
    if head.status != http::StatusCode::OK {
        return Err(Failure::status(from_http(head.status), format!("HTTP status {}", head.status)));
    }
    let lost = |error: h2::Error| Failure::broken(format!("the answer broke off: {error}"));
    let mut body = Vec::new();
    while let Some(chunk) = stream.data().await {
        let chunk = chunk.map_err(lost)?;
        stream.flow_control().release_capacity(chunk.len()).map_err(lost)?;
        let room = MAX_BODY.saturating_sub(body.len());
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
    match stream.trailers().await.map_err(lost)? {
        Some(trailers) => status(&trailers)?,
        None if head.headers.contains_key("grpc-status") => {}
        None => return Err(Failure::broken("the answer ended without a gRPC status")),
    }
    Ok(partial_success(&body))
}

/// The three `ExportXServiceResponse` have one shape: `partial_success` (1) with the number rejected (1) and a message
/// (2). An answer that cannot be decoded is still an acknowledgement: its status says OK.
pub(super) fn partial_success(body: &[u8]) -> Acknowledgement {
    let message = match body.split_at_checked(5) {
        Some(([0, ..], message)) => message,
        _ => return Acknowledgement::default(),
    };
    let partial = ExportTraceServiceResponse::decode(message).ok().and_then(|response| response.partial_success);
    partial.map_or_else(Acknowledgement::default, |partial| Acknowledgement {
        rejected: u64::try_from(partial.rejected_spans).unwrap_or(0),
        message: shorten(partial.error_message),
    })
}

pub(super) fn status(headers: &HeaderMap) -> Result<(), Failure> {
    let Some(value) = headers.get("grpc-status") else {
        return Err(Failure::broken("the answer ended without a gRPC status"));
    };
    let code = Code::from_bytes(value.as_bytes());
    if code == Code::Ok {
        return Ok(());
    }
    let raw = headers.get("grpc-message").map_or(&b""[..], |value| value.as_bytes());
    let message = percent_encoding::percent_decode(raw).decode_utf8_lossy().into_owned();
    let mut failure = Failure::status(code, shorten(message));
    failure.retry_after = retry_info(headers, code);
    Err(failure)
}

fn retry_info(headers: &HeaderMap, code: Code) -> Option<std::time::Duration> {
    const DETAILS: &str = "grpc-status-details-bin";
    let encoded = headers.get(DETAILS).filter(|value| value.len() <= MAX_DETAILS)?;
    let mut only = HeaderMap::with_capacity(1);
    only.insert(DETAILS, encoded.clone());
    let details = MetadataMap::from_headers(only).get_bin(DETAILS)?.to_bytes().ok()?;
    let status = tonic::Status::with_details(code, "", details);
    let delay = status.get_details_retry_info()?.retry_delay?;
    Some(delay.min(LONGEST_RETRY_INFO))
}

fn shorten(mut message: String) -> String {
    if message.len() > MAX_MESSAGE {
        let cut = (0..=MAX_MESSAGE).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0);
        message.truncate(cut);
        message.push('…');
    }
    message
}

/// gRPC's own mapping for answers that do not come from a gRPC server (`http-grpc-status-mapping.md`).
fn from_http(status: http::StatusCode) -> Code {
    match status.as_u16() {
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 502 | 503 | 504 => Code::Unavailable,
        _ => Code::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tonic_types::ErrorDetails;

    use super::*;

    fn headers(status: &tonic::Status) -> HeaderMap {
        let mut headers = HeaderMap::new();
        status.add_header(&mut headers).expect("valid");
        headers
    }

    #[test]
    fn retry_info_is_read_and_clamped_to_five_minutes() {
        for (asked, given) in [(2, 2), (300, 300), (86_400, 300)] {
            let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(asked)));
            let sent = tonic::Status::with_error_details(Code::Unavailable, "später 100%", details);
            let failure = status(&headers(&sent)).expect_err("not OK");
            assert_eq!(failure.retry_after, Some(Duration::from_secs(given)));
            assert_eq!(failure.message, "später 100%");
        }
    }

    /// Hostile details: not base64, not protobuf, or huge. The status still counts, without RetryInfo.
    #[test]
    fn details_that_cannot_be_trusted_are_ignored() {
        let huge = "A".repeat(MAX_DETAILS + 4);
        for details in ["%%%", "////", huge.as_str()] {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-status", http::HeaderValue::from_static("14"));
            headers.insert("grpc-status-details-bin", details.parse().expect("ascii"));
            let failure = status(&headers).expect_err("not OK");
            assert_eq!((failure.code, failure.retry_after), (Some(Code::Unavailable), None));
        }
    }

    #[test]
    fn an_unreadable_or_negative_partial_success_rejects_nothing() {
        for body in [&b""[..], b"\x00\x00\x00\x00\x02\xff\xff", b"\x01\x00\x00\x00\x00", b"\x00\x00"] {
            assert_eq!(partial_success(body), Acknowledgement::default());
        }
    }

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        let cut = shorten("ä".repeat(5_000));
        assert!(cut.len() <= MAX_MESSAGE + '…'.len_utf8());
    }
}
