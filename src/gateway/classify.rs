//! From the facts of a span to what is measured of it.
//!
//! The outcome comes from the first of these that is present and known: a valid `avs.outcome`; a failure reason attribute or
//! `error.type`; a text that a reason table knows; the span status. A span of a Rust gateway may be marked as an error by
//! any log line on the way to success, so the status comes last. Texts are searched only when everything before them
//! was silent, or when a failure still lacks its reason.

use super::key::AttributeKey;
use super::verdict::{Match, by_error, recognise, typed};
use super::{
    Detail, Facts, FailureReason, Measured, Names, Operation, OptionalCount, Outcome, OutcomeClass, Seconds,
    WebhookStatus,
};
use crate::otlp::SpanHead;

/// OTLP's `STATUS_CODE_OK`.
const STATUS_OK: i32 = 1;
/// OTLP's `STATUS_CODE_ERROR`.
const STATUS_ERROR: i32 = 2;

/// How an operation ended, and how that is known.
struct Conclusion {
    class: OutcomeClass,
    reason: Option<FailureReason>,
    /// An attribute says so: a span status that says something else is a conflict.
    by_attribute: bool,
}

impl Conclusion {
    fn failure(reason: FailureReason, by_attribute: bool) -> Self {
        Self { class: OutcomeClass::Failure, reason: Some(reason), by_attribute }
    }

    fn success(by_attribute: bool) -> Self {
        Self { class: OutcomeClass::Success, reason: None, by_attribute }
    }
}

/// The operation of a span: `avs.operation`, else its name. An `avs.operation` with an unknown value makes the span no
/// operation, whatever its name.
#[inline]
pub fn operation_of(facts: &Facts<'_>, head: &SpanHead<'_>, names: &Names) -> Option<Operation> {
    match facts.text(AttributeKey::Operation) {
        Some(label) => Operation::from_label(label),
        None => names.get(head.name),
    }
}

/// What is measured of a span of `operation`.
#[inline]
pub fn measure(operation: Operation, facts: &Facts<'_>, head: &SpanHead<'_>) -> Measured {
    let is_quorum = operation == Operation::BlsAggregation;
    let webhook = if operation == Operation::WebhookDelivery { webhook_status(facts) } else { None };
    let verdict = verdict(operation, facts, head, webhook);
    let status_conflict = verdict.by_attribute
        && match verdict.class {
            OutcomeClass::Success => head.status_code == STATUS_ERROR,
            OutcomeClass::Failure => head.status_code == STATUS_OK,
            OutcomeClass::Cancelled => false,
        };
    Measured {
        operation,
        outcome: verdict.class,
        reason: verdict.reason,
        status_conflict,
        attempts: facts
            .int(AttributeKey::AttemptCount)
            .filter(|&count| count >= 1)
            .and_then(|count| u32::try_from(count).ok()),
        signed_stake_ratio: if is_quorum { facts.signed_stake_ratio() } else { None },
        threshold: if is_quorum { facts.threshold() } else { None },
        webhook: webhook.or(match verdict.reason {
            Some(FailureReason::Webhook(status)) => Some(status),
            _ => None,
        }),
        detail: detail(operation, facts),
    }
}

fn verdict(operation: Operation, facts: &Facts<'_>, head: &SpanHead<'_>, webhook: Option<WebhookStatus>) -> Conclusion {
    let stated = facts.text(AttributeKey::Outcome).and_then(Outcome::from_label);
    if let Some(outcome) = stated
        && let Some(class) = outcome.class(operation)
    {
        let reason = (class == OutcomeClass::Failure).then(|| reason(operation, outcome, facts, head, webhook));
        return Conclusion { class, reason, by_attribute: true };
    }
    if let Some(found) = typed(operation, facts) {
        return match found {
            Match::Duplicate => Conclusion::success(true),
            Match::Failure(_) | Match::Unknown => {
                Conclusion::failure(reason(operation, Outcome::Failed, facts, head, webhook), true)
            }
        };
    }
    if let Some(status) = webhook.filter(|status| status.is_failure()) {
        return Conclusion::failure(FailureReason::Webhook(status), true);
    }
    if let Some((found, by_attribute)) = by_error(operation, facts, head) {
        match found {
            Match::Duplicate => return Conclusion::success(by_attribute),
            Match::Failure(reason) => return Conclusion::failure(refine(reason, facts), by_attribute),
            Match::Unknown => {}
        }
    }
    if head.status_code != STATUS_ERROR {
        return Conclusion::success(false);
    }
    // Every text has been searched already; what is left is the status class of a webhook (a redirect that was not followed).
    let reason = match operation {
        Operation::WebhookDelivery => webhook_reason(facts, head, webhook),
        _ => FailureReason::Other,
    };
    Conclusion::failure(reason, false)
}

/// The reason of an operation that is known to have failed.
fn reason(
    operation: Operation,
    outcome: Outcome,
    facts: &Facts<'_>,
    head: &SpanHead<'_>,
    webhook: Option<WebhookStatus>,
) -> FailureReason {
    if operation == Operation::WebhookDelivery {
        return webhook_reason(facts, head, webhook);
    }
    let found = match typed(operation, facts) {
        Some(Match::Failure(reason)) => Some(reason),
        // The family's own attribute has a value that no table knows: it is shown as that, not as what a text says.
        Some(_) if has_own_attribute(operation, facts) => Some(FailureReason::Other),
        _ => match by_error(operation, facts, head) {
            Some((Match::Failure(reason), _)) => Some(reason),
            _ => None,
        },
    };
    match found {
        Some(reason) => refine(reason, facts),
        None if outcome == Outcome::Timeout => FailureReason::Timeout,
        None => FailureReason::Other,
    }
}

fn has_own_attribute(operation: Operation, facts: &Facts<'_>) -> bool {
    match operation {
        Operation::BlsAggregation => facts.is_set(AttributeKey::QuorumFailureReason),
        Operation::TxSubmission => facts.is_set(AttributeKey::TxFailureReason),
        Operation::Task | Operation::TaskBroadcast => {
            facts.is_set(AttributeKey::QuorumFailureReason) || facts.is_set(AttributeKey::TxFailureReason)
        }
        Operation::WebhookDelivery => false,
    }
}

fn refine(reason: FailureReason, facts: &Facts<'_>) -> FailureReason {
    match reason {
        FailureReason::Quorum(reason) => {
            FailureReason::Quorum(reason.refined(facts.signed_stake_ratio(), facts.threshold()))
        }
        other => other,
    }
}

/// The status class of a webhook: `webhook.status_class`, else `http.response.status_code`, else `error.type`. Texts are
/// not asked: a delivery that succeeded in the end may carry the errors of earlier attempts.
fn webhook_status(facts: &Facts<'_>) -> Option<WebhookStatus> {
    let http = |key| facts.int(key).and_then(WebhookStatus::from_http);
    facts
        .text(AttributeKey::WebhookStatusClass)
        .and_then(WebhookStatus::from_label)
        .or_else(|| http(AttributeKey::WebhookStatusClass))
        .or_else(|| http(AttributeKey::HttpResponseStatusCode))
        .or_else(|| webhook_error_type(facts))
}

/// What `error.type` says of a webhook: a status class, an HTTP code, or the name of an error.
fn webhook_error_type(facts: &Facts<'_>) -> Option<WebhookStatus> {
    let named = || match recognise(Operation::WebhookDelivery, facts.text(AttributeKey::ErrorType)?) {
        Match::Failure(FailureReason::Webhook(status)) => Some(status),
        _ => None,
    };
    facts.int(AttributeKey::ErrorType).and_then(WebhookStatus::from_http).or_else(named)
}

/// A failed delivery's status class; if it was answered well and failed all the same, what else is known.
fn webhook_reason(facts: &Facts<'_>, head: &SpanHead<'_>, status: Option<WebhookStatus>) -> FailureReason {
    let failed = |status: &WebhookStatus| *status != WebhookStatus::Success;
    let from_text = || match by_error(Operation::WebhookDelivery, facts, head) {
        Some((Match::Failure(FailureReason::Webhook(status)), _)) => Some(status),
        _ => None,
    };
    status
        .filter(failed)
        .or_else(|| webhook_error_type(facts).filter(failed))
        .or_else(from_text)
        .map_or(FailureReason::Other, FailureReason::Webhook)
}

fn detail(operation: Operation, facts: &Facts<'_>) -> Detail {
    match operation {
        Operation::Task | Operation::TaskBroadcast => Detail::Nothing,
        Operation::BlsAggregation => Detail::Quorum {
            time_to_threshold: Seconds::new(facts.double(AttributeKey::TimeToThreshold)),
            operators: OptionalCount::new(facts.int(AttributeKey::OperatorsTotal)),
            signed: OptionalCount::new(facts.int(AttributeKey::OperatorsSigned)),
            rejected: OptionalCount::new(facts.int(AttributeKey::OperatorsRejected)),
        },
        Operation::TxSubmission => Detail::Tx {
            confirmation: Seconds::new(facts.double(AttributeKey::ConfirmationDuration)),
            queue: Seconds::new(facts.double(AttributeKey::QueueDuration)),
            batch_size: OptionalCount::new(facts.int(AttributeKey::BatchSize)),
            batch_failed: OptionalCount::new(facts.int(AttributeKey::BatchFailed)),
            exhausted: facts.flag(AttributeKey::TxExhausted).unwrap_or(false),
        },
        Operation::WebhookDelivery => {
            Detail::Webhook { exhausted: facts.flag(AttributeKey::WebhookExhausted).unwrap_or(false) }
        }
    }
}
