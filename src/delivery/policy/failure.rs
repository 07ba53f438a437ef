//! What a failed attempt means for the data: one table from gRPC code to verdict (`docs/delivery.md` section 3, OTLP 1.11
//! "Failures"), and the judgement of a failure by it.

use std::time::Duration;

use tonic::Code;

/// The longest RetryInfo that is honoured.
pub(crate) const LONGEST_RETRY_INFO: Duration = Duration::from_secs(300);

/// What a code says when nothing else is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Send again.
    Retry,
    /// Send again if RetryInfo says when; else it is too large.
    RetryOnlyWithRetryInfo,
    /// This data will never be taken.
    Permanent,
    /// The destination is set up wrongly: the data is sound and is kept.
    Misconfigured,
    /// The destination does not serve this signal. It says nothing about the others.
    Unimplemented,
}

const TABLE: [(Code, Verdict); 16] = [
    (Code::Cancelled, Verdict::Retry),
    (Code::Unknown, Verdict::Permanent),
    (Code::InvalidArgument, Verdict::Permanent),
    (Code::DeadlineExceeded, Verdict::Retry),
    (Code::NotFound, Verdict::Permanent),
    (Code::AlreadyExists, Verdict::Permanent),
    (Code::PermissionDenied, Verdict::Misconfigured),
    (Code::ResourceExhausted, Verdict::RetryOnlyWithRetryInfo),
    (Code::FailedPrecondition, Verdict::Permanent),
    (Code::Aborted, Verdict::Retry),
    (Code::OutOfRange, Verdict::Retry),
    (Code::Unimplemented, Verdict::Unimplemented),
    (Code::Internal, Verdict::Permanent),
    (Code::Unavailable, Verdict::Retry),
    (Code::DataLoss, Verdict::Retry),
    (Code::Unauthenticated, Verdict::Misconfigured),
];

/// The verdict on `code`. OK is no failure and has none; asked all the same, the answer is to send again.
pub(crate) fn verdict(code: Code) -> Verdict {
    TABLE.iter().find(|(entry, _)| *entry == code).map_or(Verdict::Retry, |(_, verdict)| *verdict)
}

/// How an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The destination's code; `None` when the connection failed and nothing was answered.
    pub(crate) code: Option<Code>,
    /// The destination's words, or what the connection ended with.
    pub(crate) message: String,
    /// RetryInfo, clamped to [`LONGEST_RETRY_INFO`].
    pub(crate) retry_after: Option<Duration>,
    /// Whether the request had begun to go out.
    pub(crate) sent: bool,
}

/// What is to be done with the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// Send again, not before RetryInfo allows.
    Retry,
    /// Keep the data, and log an error: the operator has to act.
    Misconfigured,
    /// Keep the data of this signal, and go on with the others.
    Unimplemented,
    /// Send again in smaller pieces.
    TooLarge,
    /// Divide the batch until the refused spans stand alone.
    Permanent,
}

impl Failure {
    /// A failure before the destination could see the request.
    pub(crate) fn transport(message: impl Into<String>) -> Self {
        Self { code: None, message: message.into(), retry_after: None, sent: false }
    }

    /// A connection that broke, or a violation of the protocol, after the request had begun to go out.
    pub(crate) fn broken(message: impl Into<String>) -> Self {
        Self { sent: true, ..Self::transport(message) }
    }

    /// A failure that was answered with `code`.
    pub(crate) fn status(code: Code, message: impl Into<String>) -> Self {
        Self { code: Some(code), message: message.into(), retry_after: None, sent: true }
    }

    /// Whether the destination may have taken the data all the same: nobody answered, or a proxy gave up waiting for the
    /// server behind it.
    pub(crate) fn is_ambiguous(&self) -> bool {
        self.sent && matches!(self.code, None | Some(Code::DeadlineExceeded | Code::Cancelled))
    }

    /// What is to be done with the batch.
    pub(crate) fn judgement(&self) -> Judgement {
        match (self.code.map_or(Verdict::Retry, verdict), self.retry_after) {
            (Verdict::Retry, _) | (Verdict::RetryOnlyWithRetryInfo, Some(_)) => Judgement::Retry,
            (Verdict::RetryOnlyWithRetryInfo, None) => Judgement::TooLarge,
            (Verdict::Permanent, _) => Judgement::Permanent,
            (Verdict::Misconfigured, _) => Judgement::Misconfigured,
            (Verdict::Unimplemented, _) => Judgement::Unimplemented,
        }
    }

    /// The label `code` of `chainspan_exporter_send_failed_requests_total`.
    pub(crate) fn label(&self) -> &'static str {
        self.code.map_or("TRANSPORT", code_name)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.code {
            Some(code) => write!(f, "{}: {}", code_name(code), self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// A code as gRPC's documents write it.
pub(crate) fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds_every_code_once_except_ok() {
        for number in 1..17 {
            let code = Code::from_i32(number);
            assert_eq!(TABLE.iter().filter(|(entry, _)| *entry == code).count(), 1, "{code:?}");
        }
    }

    /// The specification's list, code by code: what is retried, what is not, what is a matter for the operator.
    #[test]
    fn codes_are_judged_as_the_specification_says() {
        let names = |wanted: Verdict| -> Vec<&str> {
            TABLE.iter().filter(|(_, verdict)| *verdict == wanted).map(|(code, _)| code_name(*code)).collect()
        };
        assert_eq!(
            names(Verdict::Retry),
            ["CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"]
        );
        assert_eq!(names(Verdict::RetryOnlyWithRetryInfo), ["RESOURCE_EXHAUSTED"]);
        assert_eq!(names(Verdict::Misconfigured), ["PERMISSION_DENIED", "UNAUTHENTICATED"]);
        assert_eq!(names(Verdict::Unimplemented), ["UNIMPLEMENTED"]);
    }

    #[test]
    fn retry_info_decides_whether_resource_exhausted_means_later_or_smaller() {
        let mut failure = Failure::status(Code::ResourceExhausted, "no");
        assert_eq!(failure.judgement(), Judgement::TooLarge);
        failure.retry_after = Some(Duration::from_secs(1));
        assert_eq!(failure.judgement(), Judgement::Retry);
        assert_eq!(Failure::transport("reset").judgement(), Judgement::Retry);
    }

    /// An answer that says "not now" leaves no doubt, and neither does a connection that never came about.
    #[test]
    fn only_silence_and_deadlines_are_ambiguous() {
        let by_code = |code| Failure::status(code, "").is_ambiguous();
        let ambiguous: Vec<Code> = TABLE.iter().map(|(code, _)| *code).filter(|code| by_code(*code)).collect();
        assert_eq!(ambiguous, [Code::Cancelled, Code::DeadlineExceeded]);
        assert!(Failure::broken("reset").is_ambiguous());
        assert!(!Failure::transport("refused").is_ambiguous());
    }
}
