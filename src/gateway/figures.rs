//! Figures that say nothing: not a number, out of their range, or in contradiction to another.

use super::key::AttributeKey;
use super::{Detail, Facts, Measured, number};

/// Whether an operation span has a figure that was not measured, or not as it stands, because it cannot be right.
#[inline]
pub fn has_bad_figure(facts: &Facts<'_>, measured: &Measured) -> bool {
    let lost = |key: AttributeKey, there: bool| !there && facts.is_set(key);
    if lost(AttributeKey::AttemptCount, measured.attempts.is_some()) {
        return true;
    }
    match measured.detail {
        Detail::Nothing => false,
        Detail::Quorum { time_to_threshold, operators, signed, rejected } => {
            let stake = measured.signed_stake_ratio.is_some();
            let answered = u64::from(signed.get().unwrap_or(0)) + u64::from(rejected.get().unwrap_or(0));
            lost(AttributeKey::Threshold, measured.threshold.is_some())
                || lost(
                    AttributeKey::SignedStakeRatio,
                    facts.value(AttributeKey::SignedStakeRatio).and_then(number::double).is_some_and(is_share),
                )
                || (facts.is_set(AttributeKey::SignedStake) && lost(AttributeKey::TotalStake, stake))
                || lost(AttributeKey::TimeToThreshold, time_to_threshold.get().is_some())
                || lost(AttributeKey::OperatorsTotal, operators.get().is_some())
                || lost(AttributeKey::OperatorsSigned, signed.get().is_some())
                || lost(AttributeKey::OperatorsRejected, rejected.get().is_some())
                || operators.get().is_some_and(|operators| answered > u64::from(operators))
        }
        Detail::Tx { confirmation, queue, batch_size, batch_failed, .. } => {
            lost(AttributeKey::ConfirmationDuration, confirmation.get().is_some())
                || lost(AttributeKey::QueueDuration, queue.get().is_some())
                || lost(AttributeKey::BatchSize, batch_size.get().is_some())
                || lost(AttributeKey::BatchFailed, batch_failed.get().is_some())
                || lost(AttributeKey::TxExhausted, facts.flag(AttributeKey::TxExhausted).is_some())
                || lost(AttributeKey::NoncePending, facts.int(AttributeKey::NoncePending).is_some())
                || lost(AttributeKey::NonceLatest, facts.int(AttributeKey::NonceLatest).is_some())
                || batch_size.get().is_some_and(|size| batch_failed.get().is_some_and(|failed| failed > size))
        }
        Detail::Webhook { .. } => {
            lost(AttributeKey::WebhookExhausted, facts.flag(AttributeKey::WebhookExhausted).is_some())
        }
    }
}

fn is_share(ratio: f64) -> bool {
    (0.0..=1.0).contains(&ratio)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::{Operation, measure};
    use crate::otlp::{Container, SpanHead, SpanPlace, Value};

    fn bad(operation: Operation, attributes: &[(&str, Value<'_>)]) -> bool {
        let nowhere = Container { length_at: 0, start: 0, end: 0 };
        let head = SpanHead {
            trace_id: &[1; 16],
            span_id: &[1; 8],
            parent_span_id: &[],
            name: operation.span_names()[0].as_bytes(),
            kind: 1,
            start_unix_nano: 0,
            end_unix_nano: 1,
            status_code: 0,
            status_message: &[],
            duplicate_keys: false,
            place: SpanPlace { resource_spans: nowhere, scope_spans: nowhere, span: nowhere },
        };
        let mut facts = Facts::new();
        attributes.iter().for_each(|(key, value)| facts.attribute(key.as_bytes(), *value));
        let measured = measure(operation, &facts, &head);
        has_bad_figure(&facts, &measured)
    }

    /// What is absent or sound is not bad; what is there and was not measured is.
    #[test]
    fn figures_that_say_nothing_are_noticed() {
        use Operation::{BlsAggregation, Task, TxSubmission, WebhookDelivery};
        use Value::{Bool, Double, Int, Str};
        let largest = Str(b"115792089237316195423570985008687907853269984665640564039457584007913129639935");
        for (operation, attributes) in [
            (Task, vec![]),
            (Task, vec![("avs.attempt.count", Str(b"3")), ("avs.quorum.threshold", Int(250))]),
            (BlsAggregation, vec![("avs.quorum.threshold", Int(0)), ("avs.quorum.signed_stake_ratio", Double(1.0))]),
            (BlsAggregation, vec![("avs.quorum.threshold", Int(100)), ("avs.operators.total", Int(3))]),
            (BlsAggregation, vec![("avs.quorum.signed_stake", largest), ("avs.quorum.total_stake", largest)]),
            (TxSubmission, vec![("evm.tx.batch.size", Int(3)), ("evm.tx.batch.failed", Str(b"3"))]),
            (WebhookDelivery, vec![("webhook.exhausted", Bool(true))]),
        ] {
            assert!(!bad(operation, &attributes), "{operation:?} {attributes:?}");
        }
        for (operation, attributes) in [
            (Task, vec![("avs.attempt.count", Int(-1))]),
            (Task, vec![("avs.attempt.count", Int(0))]),
            (BlsAggregation, vec![("avs.quorum.threshold", Int(250))]),
            (BlsAggregation, vec![("avs.quorum.signed_stake_ratio", Double(f64::NAN))]),
            (BlsAggregation, vec![("avs.quorum.signed_stake", Int(2)), ("avs.quorum.total_stake", Int(1))]),
            (BlsAggregation, vec![("avs.quorum.signed_stake", Int(0)), ("avs.quorum.total_stake", Int(0))]),
            (BlsAggregation, vec![("avs.quorum.time_to_threshold", Double(f64::INFINITY))]),
            (BlsAggregation, vec![("avs.operators.total", Int(3)), ("avs.operators.signed", Int(4))]),
            (TxSubmission, vec![("evm.tx.confirmation.duration", Double(-1.0))]),
            (TxSubmission, vec![("evm.tx.batch.size", Int(1)), ("evm.tx.batch.failed", Int(2))]),
            (TxSubmission, vec![("evm.tx.nonce_pending", Str(b"many"))]),
            (WebhookDelivery, vec![("webhook.exhausted", Str(b"perhaps"))]),
        ] {
            assert!(bad(operation, &attributes), "{operation:?} {attributes:?}");
        }
    }
}
