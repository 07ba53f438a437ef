//! The catalogue: every metric that is derived from spans, in one table.
//!
//! Exporters, docs and checks are made from it; a name that is not here does not exist. Source: the table of names in the
//! metrics specification.

use super::bounds::{ATTEMPTS, MARGIN, RATIO, SECONDS};
use super::metric::{Instrument, Metric, MetricAttribute};

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
        help: "BLS aggregations that failed. Class quorum: too little stake signed in time; the other classes have other owners.",
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
        help: "Share of the stake that signed, minus the required threshold. Below zero the quorum was missed.",
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
        help: "Operators that were asked, by what they did: signed, rejected, or did not answer (missing).",
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
        help: "Transactions given up after their last attempt.",
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
        help: "Items of batched transactions, by result.",
    },
    CatalogueEntry {
        metric: Metric::TxNonceGap,
        name: "tx.nonce.gap",
        prometheus: "tx_nonce_gap",
        instrument: Gauge,
        unit: "{nonce}",
        attributes: &[ChainId, Signer, ServiceInstanceId],
        help: "Pending minus latest nonce of a signer, from the span that ended last.",
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
        help: "Webhook deliveries given up after their last attempt.",
    },
    CatalogueEntry {
        metric: Metric::BreakerState,
        name: "circuit_breaker.state",
        prometheus: "circuit_breaker_state",
        instrument: Gauge,
        unit: "1",
        attributes: &[ChainId, Target, ServiceInstanceId],
        help: "State of a circuit breaker of the gateway, from the span that ended last: 0 closed, 1 half-open, 2 open.",
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
        help: "Health of a chain: 0 down, 1 degraded, 2 healthy.",
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
