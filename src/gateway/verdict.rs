//! What the attributes and texts of an error mean for an operation: which tables are asked, and in which order.
//!
//! `task` and `task_broadcast` have no table of their own: theirs are the quorum's, then the transactions'.

use super::key::AttributeKey;
use super::{Facts, FailureReason, Operation, Outcome, OutcomeClass, QuorumReason, TxReason, WebhookStatus};
use crate::otlp::SpanHead;

/// What a value or a text means for an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    /// It failed because of this.
    Failure(FailureReason),
    /// It had been done already: a success.
    Duplicate,
    /// No table knows it.
    Unknown,
}

impl Match {
    fn or_else(self, other: impl FnOnce() -> Self) -> Self {
        if self == Self::Unknown { other() } else { self }
    }
}

fn quorum(reason: Option<QuorumReason>) -> Match {
    reason.map_or(Match::Unknown, |reason| Match::Failure(FailureReason::Quorum(reason)))
}

fn tx(reason: Option<TxReason>) -> Match {
    match reason {
        None => Match::Unknown,
        Some(reason) if reason.is_success() => Match::Duplicate,
        Some(reason) => Match::Failure(FailureReason::Tx(reason)),
    }
}

fn webhook(status: Option<WebhookStatus>) -> Match {
    status.map_or(Match::Unknown, |status| Match::Failure(FailureReason::Webhook(status)))
}

/// Whether `operation` can be a success because its work was done already.
fn can_be_duplicate(operation: Operation) -> bool {
    Outcome::Duplicate.class(operation) == Some(OutcomeClass::Success)
}

/// The meaning of a typed value: a label of the operation's tables, or a text of theirs (the name of an error type).
pub(super) fn recognise(operation: Operation, value: &[u8]) -> Match {
    if value.is_empty() {
        return Match::Unknown;
    }
    let label = match operation {
        Operation::BlsAggregation => quorum(QuorumReason::from_label(value)),
        Operation::TxSubmission => tx(TxReason::from_label(value)),
        Operation::WebhookDelivery => webhook(WebhookStatus::from_label(value)),
        Operation::Task | Operation::TaskBroadcast if value.eq_ignore_ascii_case(b"timeout") => {
            Match::Failure(FailureReason::Timeout)
        }
        Operation::Task | Operation::TaskBroadcast => {
            quorum(QuorumReason::from_label(value)).or_else(|| tx(TxReason::from_label(value)))
        }
    };
    let found = label.or_else(|| by_text(operation, value));
    if found == Match::Duplicate && !can_be_duplicate(operation) { Match::Unknown } else { found }
}

/// The meaning of an error's text.
fn by_text(operation: Operation, text: &[u8]) -> Match {
    let tx_text = || {
        let with_successes = can_be_duplicate(operation);
        tx(TxReason::from_text(text, |reason| with_successes || !reason.is_success()))
    };
    match operation {
        Operation::BlsAggregation => quorum(QuorumReason::from_text(text, |_| true)),
        Operation::TxSubmission => tx_text(),
        Operation::WebhookDelivery => webhook(WebhookStatus::from_text(text, |_| true)),
        Operation::Task | Operation::TaskBroadcast => quorum(QuorumReason::from_text(text, |_| true)).or_else(tx_text),
    }
}

/// What the failure reason attributes and `error.type` say; `None` if the span has none of them. The attribute of the
/// operation's own family comes first, and the first that a table knows wins.
pub(super) fn typed(operation: Operation, facts: &Facts<'_>) -> Option<Match> {
    let keys = match operation {
        Operation::TxSubmission => {
            [AttributeKey::TxFailureReason, AttributeKey::QuorumFailureReason, AttributeKey::ErrorType]
        }
        _ => [AttributeKey::QuorumFailureReason, AttributeKey::TxFailureReason, AttributeKey::ErrorType],
    };
    let mut found = None;
    for key in keys {
        // A value that is no string is no reason, but it is there: the operation failed.
        if facts.is_set(key) {
            found = Some(facts.text(key).map_or(Match::Unknown, |value| recognise(operation, value)));
            if found != Some(Match::Unknown) {
                break;
            }
        }
    }
    found
}

/// What a JSON-RPC error code, the status description or an exception's message says, and whether it was an attribute.
/// `None` if the span has none of them.
pub(super) fn by_error(operation: Operation, facts: &Facts<'_>, head: &SpanHead<'_>) -> Option<(Match, bool)> {
    for key in [AttributeKey::RpcResponseStatusCode, AttributeKey::RpcJsonrpcErrorCode] {
        if let Some(code) = facts.int(key) {
            let found = by_code(operation, code);
            if found != Match::Unknown {
                return Some((found, true));
            }
        }
    }
    if head.status_message.is_empty() && !facts.has_messages() {
        return None;
    }
    let found = by_text(operation, head.status_message);
    let found = facts.messages().fold(found, |found, message| found.or_else(|| by_text(operation, message)));
    Some((found, false))
}

fn by_code(operation: Operation, code: i64) -> Match {
    match operation {
        Operation::BlsAggregation => quorum(QuorumReason::from_code(code)),
        Operation::TxSubmission => tx(TxReason::from_code(code)),
        Operation::WebhookDelivery => webhook(WebhookStatus::from_code(code)),
        Operation::Task | Operation::TaskBroadcast => {
            quorum(QuorumReason::from_code(code)).or_else(|| tx(TxReason::from_code(code)))
        }
    }
}
