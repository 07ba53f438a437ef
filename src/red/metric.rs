//! The metrics that are derived from spans, how they add up, and what tells their series apart.

use super::bounds::Bounds;
use crate::chain::TAG_KEY;

/// The resource attribute that tells several gateways of one service apart.
pub const SERVICE_INSTANCE_ID: &str = "service.instance.id";

/// A metric that is derived from spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Metric {
    /// Every operation span.
    Operations,
    /// End minus start.
    OperationDuration,
    /// Failed `bls_aggregation`.
    QuorumFailures,
    /// Share of the stake that signed.
    SignedStakeRatio,
    /// Share of the stake that signed, minus the threshold.
    QuorumMargin,
    /// Until the threshold was reached.
    TimeToThreshold,
    /// What the operators of a task did.
    OperatorResponses,
    /// Attempts that an operation took.
    OperationAttempts,
    /// Failed `tx_submission`.
    TxFailures,
    /// Transactions given up after their last attempt.
    TxExhausted,
    /// Until a transaction was confirmed.
    TxConfirmation,
    /// Until a transaction was sent.
    TxQueue,
    /// Items of batched transactions.
    TxBatchItems,
    /// Pending nonces beyond the latest.
    TxNonceGap,
    /// `webhook_delivery`.
    WebhookDeliveries,
    /// Webhooks that no attempt is left for.
    WebhookExhausted,
    /// The gateway's circuit breakers.
    BreakerState,
    /// How long ago an operation last succeeded.
    LastSuccessAge,
    /// How a chain is doing.
    ChainHealth,
}

/// How a metric's points add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instrument {
    /// A monotonic sum.
    Counter,
    /// A distribution over these classic bounds.
    Histogram(&'static Bounds),
    /// The last value.
    Gauge,
}

/// An attribute that tells the series of a metric apart, beside the configured dimensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricAttribute {
    /// The chain: its id, `other` or `unknown`.
    ChainId,
    /// The operation.
    Operation,
    /// `success`, `failure` or `cancelled`.
    Outcome,
    /// Why it failed; absent when it did not.
    ErrorType,
    /// Why it failed.
    Reason,
    /// Who owns a quorum failure: `quorum`, `signature`, `policy`, `infra`; `_OTHER` for a failure no table knows.
    Class,
    /// What became of a part of the operation: see [`ResultLabel`](super::ResultLabel).
    Result,
    /// The class of a webhook's answer; `unknown` when the span names none.
    StatusClass,
    /// The alias of the key that signs a gateway's transactions; absent when the span names none.
    Signer,
    /// What a circuit breaker guards; absent when the span names nothing.
    Target,
    /// Which of several gateways of the same dimensions; absent when its resource does not say.
    ServiceInstanceId,
}

use MetricAttribute::{
    ChainId, Class, ErrorType, Operation, Outcome, Reason, Result, ServiceInstanceId, Signer, StatusClass, Target,
};

impl MetricAttribute {
    /// All of them.
    pub(super) const ALL: [Self; 11] =
        [ChainId, Operation, Outcome, ErrorType, Reason, Class, Result, StatusClass, Signer, Target, ServiceInstanceId];

    /// OTLP attribute name.
    pub fn name(self) -> &'static str {
        match self {
            ChainId => TAG_KEY,
            Operation => "operation",
            Outcome => "outcome",
            ErrorType => "error.type",
            Reason => "reason",
            Class => "class",
            StatusClass => "status_class",
            Result => "result",
            Signer => "signer",
            Target => "target",
            ServiceInstanceId => SERVICE_INSTANCE_ID,
        }
    }

    /// Prometheus label name.
    pub fn label(self) -> &'static str {
        match self {
            ErrorType => "error_type",
            ServiceInstanceId => "service_instance_id",
            same => same.name(),
        }
    }
}
