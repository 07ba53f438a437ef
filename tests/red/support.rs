//! Observations for the tests of counting and showing.
#![allow(dead_code)]

use std::sync::Arc;

use chainspan::chain::ChainId;
use chainspan::gateway::{Detail, Measured, Operation, OutcomeClass, QuorumReason, Reason, TxReason, WebhookStatus};
use chainspan::red::{Dims, Observation, RedSettings, Stage};

pub(crate) fn settings() -> RedSettings {
    RedSettings {
        namespace: "avs.gateway".to_owned(),
        dimensions: vec!["service.name".to_owned(), "deployment.environment.name".to_owned()],
        chains: Default::default(),
        max_chains: 64,
        max_series: 4_096,
        committers: 4,
        ..RedSettings::default()
    }
}

pub(crate) fn chain(raw: u64) -> ChainId {
    ChainId::new(raw).expect("in range")
}

pub(crate) fn dims(service: &str, environment: &str) -> Arc<Dims> {
    Arc::new(Dims(vec![service.into(), environment.into()].into()))
}

/// A successful operation of the first resource of its stage.
pub(crate) fn success(chain: Option<ChainId>, operation: Operation, duration_nano: u64) -> Observation {
    let measured = Measured {
        operation,
        outcome: OutcomeClass::Success,
        reason: None,
        status_conflict: false,
        attempts: None,
        signed_stake_ratio: None,
        threshold: None,
        webhook: None,
        detail: Detail::Nothing,
    };
    Observation { dims: 0, chain, measured, end_unix_nano: 0, duration_nano, trace_id: [0; 16], span_id: [0; 8] }
}

pub(crate) fn failure(chain: Option<ChainId>, operation: Operation, reason: Reason, duration_nano: u64) -> Observation {
    let mut observation = success(chain, operation, duration_nano);
    observation.measured.outcome = OutcomeClass::Failure;
    observation.measured.reason = Some(reason);
    observation
}

/// One of everything that can be told apart, by number: the same number gives the same observation.
pub(crate) fn varied(chain: Option<ChainId>, number: u64) -> Observation {
    let operation = Operation::ALL[(number % 5) as usize];
    let duration = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (22 + number % 30);
    let mut observation = match (number / 5) % 4 {
        0 => match operation {
            Operation::BlsAggregation => {
                failure(chain, operation, Reason::Quorum(QuorumReason::QuorumNotReached), duration)
            }
            Operation::TxSubmission => failure(chain, operation, Reason::Tx(TxReason::NonceTooLow), duration),
            Operation::Task => failure(chain, operation, Reason::Timeout, duration),
            Operation::TaskBroadcast | Operation::WebhookDelivery => failure(chain, operation, Reason::Other, duration),
        },
        _ => success(chain, operation, duration),
    };
    let measured = &mut observation.measured;
    match operation {
        Operation::BlsAggregation => {
            measured.signed_stake_ratio = Some((number % 101) as f64 / 100.0);
            measured.threshold = (!number.is_multiple_of(3)).then_some(0.67);
        }
        Operation::TxSubmission => measured.attempts = Some((number % 25 + 1) as u32),
        Operation::WebhookDelivery => {
            measured.webhook = (measured.outcome == OutcomeClass::Success).then_some(WebhookStatus::Success);
        }
        Operation::Task | Operation::TaskBroadcast => {}
    }
    observation
}

pub(crate) fn stage(observations: Vec<Observation>) -> Stage {
    Stage { dims: vec![dims("gateway", "prod")], observations, ..Stage::default() }
}
