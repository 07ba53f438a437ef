//! The catalogue: every metric that is derived from spans, in one table.
//!
//! Exporters, docs and checks are made from it; a name that is not here does not exist. Source: the table of names in the
//! metrics specification.

use super::bounds::{ATTEMPTS, Bounds, MARGIN, RATIO, SECONDS};

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
    /// Transactions that no attempt is left for.
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

/// A row of the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct CatalogueEntry {
    /// The metric.
    pub metric: Metric,
    /// OTLP name, after the namespace and a dot.
    pub name: &'static str,
    /// Prometheus name, after the namespace and an underscore, without `_total`, `_bucket` and the like.
    pub prometheus: &'static str,
    /// How points add up.
    pub instrument: Instrument,
    /// UCUM unit.
    pub unit: &'static str,
    /// What tells series apart.
    pub attributes: &'static [MetricAttribute],
    /// One sentence for people.
    pub help: &'static str,
}

use Instrument::{Counter, Gauge, Histogram};
use MetricAttribute::{
    ChainId, Class, ErrorType, Operation, Outcome, Reason, Result, ServiceInstanceId, Signer, StatusClass, Target,
};

const CATALOGUE: [CatalogueEntry; 19] = [
    CatalogueEntry {
        metric: Metric::Operations,
        name: "operations",
        prometheus: "operations",
        instrument: Counter,
        unit: "{operation}",
        attributes: &[ChainId, Operation, Outcome, ErrorType],
        help: "Gateway operations that ended.",
    },
    CatalogueEntry {
        metric: Metric::OperationDuration,
        name: "operation.duration",
        prometheus: "operation_duration_seconds",
        instrument: Histogram(&SECONDS),
        unit: "s",
        attributes: &[ChainId, Operation, Outcome],
        help: "Time from start to end of a gateway operation.",
    },
    CatalogueEntry {
        metric: Metric::QuorumFailures,
        name: "quorum.failures",
        prometheus: "quorum_failures",
        instrument: Counter,
        unit: "{failure}",
        attributes: &[ChainId, Reason, Class],
        help: "BLS aggregations that failed. Class quorum is the quorum's own failure, other classes have other owners.",
    },
    CatalogueEntry {
        metric: Metric::SignedStakeRatio,
        name: "quorum.signed_stake.ratio",
        prometheus: "quorum_signed_stake_ratio",
        instrument: Histogram(&RATIO),
        unit: "1",
        attributes: &[ChainId, Outcome],
        help: "Share of the stake that signed a BLS aggregation.",
    },
    CatalogueEntry {
        metric: Metric::QuorumMargin,
        name: "quorum.margin",
        prometheus: "quorum_margin_ratio",
        instrument: Histogram(&MARGIN),
        unit: "1",
        attributes: &[ChainId],
        help: "Share of the stake that signed, minus the threshold that was asked for. Below zero: quorum missed.",
    },
    CatalogueEntry {
        metric: Metric::TimeToThreshold,
        name: "quorum.time_to_threshold",
        prometheus: "quorum_time_to_threshold_seconds",
        instrument: Histogram(&SECONDS),
        unit: "s",
        attributes: &[ChainId],
        help: "Time until the signed stake of a BLS aggregation reached the threshold.",
    },
    CatalogueEntry {
        metric: Metric::OperatorResponses,
        name: "operator.responses",
        prometheus: "operator_responses",
        instrument: Counter,
        unit: "{response}",
        attributes: &[ChainId, Result],
        help: "What the operators that were asked did: signed, rejected, or nothing (missing).",
    },
    CatalogueEntry {
        metric: Metric::OperationAttempts,
        name: "operation.attempts",
        prometheus: "operation_attempts",
        instrument: Histogram(&ATTEMPTS),
        unit: "{attempt}",
        attributes: &[ChainId, Operation],
        help: "Attempts that a gateway operation took.",
    },
    CatalogueEntry {
        metric: Metric::TxFailures,
        name: "tx.failures",
        prometheus: "tx_failures",
        instrument: Counter,
        unit: "{failure}",
        attributes: &[ChainId, Reason],
        help: "Transaction submissions that failed.",
    },
    CatalogueEntry {
        metric: Metric::TxExhausted,
        name: "tx.exhausted",
        prometheus: "tx_exhausted",
        instrument: Counter,
        unit: "{transaction}",
        attributes: &[ChainId],
        help: "Transactions that no attempt is left for.",
    },
    CatalogueEntry {
        metric: Metric::TxConfirmation,
        name: "tx.confirmation.duration",
        prometheus: "tx_confirmation_duration_seconds",
        instrument: Histogram(&SECONDS),
        unit: "s",
        attributes: &[ChainId],
        help: "Time until a transaction was confirmed.",
    },
    CatalogueEntry {
        metric: Metric::TxQueue,
        name: "tx.queue.duration",
        prometheus: "tx_queue_duration_seconds",
        instrument: Histogram(&SECONDS),
        unit: "s",
        attributes: &[ChainId],
        help: "Time that a transaction waited to be sent.",
    },
    CatalogueEntry {
        metric: Metric::TxBatchItems,
        name: "tx.batch.items",
        prometheus: "tx_batch_items",
        instrument: Counter,
        unit: "{item}",
        attributes: &[ChainId, Result],
        help: "Items of batched transactions by what became of them.",
    },
    CatalogueEntry {
        metric: Metric::TxNonceGap,
        name: "tx.nonce.gap",
        prometheus: "tx_nonce_gap",
        instrument: Gauge,
        unit: "{nonce}",
        attributes: &[ChainId, Signer, ServiceInstanceId],
        help: "Pending minus latest nonce of a signer, as the span that ended last says.",
    },
    CatalogueEntry {
        metric: Metric::WebhookDeliveries,
        name: "webhook.deliveries",
        prometheus: "webhook_deliveries",
        instrument: Counter,
        unit: "{delivery}",
        attributes: &[ChainId, StatusClass],
        help: "Webhook deliveries by the class of the answer.",
    },
    CatalogueEntry {
        metric: Metric::WebhookExhausted,
        name: "webhook.exhausted",
        prometheus: "webhook_exhausted",
        instrument: Counter,
        unit: "{delivery}",
        attributes: &[ChainId],
        help: "Webhook deliveries that no attempt is left for.",
    },
    CatalogueEntry {
        metric: Metric::BreakerState,
        name: "circuit_breaker.state",
        prometheus: "circuit_breaker_state",
        instrument: Gauge,
        unit: "1",
        attributes: &[ChainId, Target, ServiceInstanceId],
        help: "A circuit breaker of the gateway, as the span that ended last says: 0 closed, 1 half-open, 2 open.",
    },
    CatalogueEntry {
        metric: Metric::LastSuccessAge,
        name: "chain.last_success.age",
        prometheus: "chain_last_success_age_seconds",
        instrument: Gauge,
        unit: "s",
        attributes: &[ChainId, Operation],
        help: "Time since an operation last ended with success.",
    },
    CatalogueEntry {
        metric: Metric::ChainHealth,
        name: "chain.health",
        prometheus: "chain_health",
        instrument: Gauge,
        unit: "1",
        attributes: &[ChainId],
        help: "How a chain is doing: 0 down, 1 degraded, 2 healthy.",
    },
];

impl Metric {
    /// How many there are.
    pub const COUNT: usize = CATALOGUE.len();

    /// All of them, in the order of the catalogue.
    pub fn all() -> impl Iterator<Item = Self> {
        CATALOGUE.iter().map(|entry| entry.metric)
    }

    /// The metric's row.
    pub fn entry(self) -> &'static CatalogueEntry {
        &CATALOGUE[self as usize]
    }
}

impl MetricAttribute {
    /// OTLP attribute name.
    pub fn name(self) -> &'static str {
        match self {
            ChainId => "chain_id",
            Operation => "operation",
            Outcome => "outcome",
            ErrorType => "error.type",
            Reason => "reason",
            Class => "class",
            StatusClass => "status_class",
            Result => "result",
            Signer => "signer",
            Target => "target",
            ServiceInstanceId => "service.instance.id",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `entry` indexes by discriminant: every row stands where its metric says.
    #[test]
    fn each_metric_finds_its_own_row() {
        for metric in Metric::all() {
            assert_eq!(metric.entry().metric, metric);
        }
    }
}
