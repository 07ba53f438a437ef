//! A simulated world around the gateway: operators, an RPC endpoint and webhooks. Whether a task fails depends on its number,
//! so that a short run shows every outcome, and the same ones each time.

use std::time::Duration;

use thiserror::Error;
use tokio::time::sleep;

/// How many operators each chain has.
pub(crate) const OPERATORS: i64 = 7;

/// The chains that this gateway serves.
pub(crate) const CHAINS: [Chain; 2] = [
    Chain { id: 11_155_111, block_time: Duration::from_millis(30) },
    Chain { id: 8453, block_time: Duration::from_millis(5) },
];

/// A chain with very short block times.
#[derive(Clone, Copy)]
pub(crate) struct Chain {
    pub(crate) id: u64,
    block_time: Duration,
}

/// One request to evaluate a policy.
pub(crate) struct Task {
    pub(crate) chain: Chain,
    pub(crate) id: String,
    pub(crate) threshold_percent: u8,
    scenario: Scenario,
}

/// How a task goes.
#[derive(Clone, Copy, PartialEq)]
enum Scenario {
    Allowed,
    Denied,
    /// The first attempt to submit fails, the second succeeds.
    RpcHiccup,
    /// Too little stake signs in time; the webhook arrives.
    NoQuorum,
    /// The nonce is already used; the webhook's receiver is down.
    NonceTaken,
    /// The RPC endpoint is down for every attempt; the webhook times out.
    RpcDown,
}

impl Task {
    /// The number of tasks after which every scenario has occurred.
    pub(crate) const SCENARIOS: usize = Self::SCRIPT.len();
    const SCRIPT: [Scenario; 8] = [
        Scenario::Allowed,
        Scenario::Denied,
        Scenario::NoQuorum,
        Scenario::Allowed,
        Scenario::RpcHiccup,
        Scenario::NonceTaken,
        Scenario::Allowed,
        Scenario::RpcDown,
    ];

    /// The `number`th task on `chain`.
    pub(crate) fn new(chain: Chain, number: usize) -> Self {
        let id = format!("{:#x}-{number}", chain.id);
        Self { chain, id, threshold_percent: 67, scenario: Self::SCRIPT[number % Self::SCENARIOS] }
    }
}

/// What the operators agreed on.
#[derive(Clone, Copy)]
pub(crate) enum Verdict {
    Allow,
    Deny,
}

/// Why a task failed.
#[derive(Debug, Error)]
pub(crate) enum TaskError {
    #[error("no quorum: {0}")]
    Quorum(#[from] QuorumError),
    #[error("not submitted: {0}")]
    Transaction(#[from] TxError),
}

impl TaskError {
    /// For `error.type`; the operation that failed says more in its own span.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Quorum(_) => "quorum_failed",
            Self::Transaction(_) => "tx_failed",
        }
    }
}

/// Why there is no certificate.
#[derive(Debug, Error)]
pub(crate) enum QuorumError {
    #[error("{signed:.0} % of stake has signed, {threshold} % is needed")]
    NotReached { signed: f64, threshold: u8 },
}

impl QuorumError {
    /// For `avs.quorum.failure.reason`.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::NotReached { .. } => "quorum_not_reached",
        }
    }
}

/// Why a transaction is not on the chain.
#[derive(Debug, Error)]
pub(crate) enum TxError {
    #[error("nonce too low: next nonce {next}")]
    NonceTooLow { next: u64 },
    #[error("503 Service Unavailable")]
    Unavailable,
}

impl TxError {
    /// For `evm.tx.failure.reason`.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::NonceTooLow { .. } => "nonce_too_low",
            Self::Unavailable => "rpc_unavailable",
        }
    }

    /// Whether another attempt may succeed.
    pub(crate) fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable)
    }
}

/// Why a webhook was not delivered.
#[derive(Debug, Error)]
pub(crate) enum WebhookError {
    #[error("the receiver answers 503")]
    ServerError,
    #[error("no answer within 10 s")]
    Timeout,
}

impl WebhookError {
    /// For `webhook.status_class`.
    pub(crate) fn status_class(&self) -> &'static str {
        match self {
            Self::ServerError => "5xx",
            Self::Timeout => "timeout",
        }
    }
}

/// The operators' answers by the deadline.
pub(crate) struct Answers {
    pub(crate) signed: i64,
    pub(crate) signed_stake_ratio: f64,
}

/// Enough stake under one verdict.
pub(crate) struct Certificate {
    pub(crate) verdict: Verdict,
}

/// A confirmed transaction.
pub(crate) struct Receipt {
    pub(crate) confirmed_after: Duration,
}

impl Answers {
    /// A certificate, if enough stake has signed.
    pub(crate) fn certify(&self, task: &Task) -> Result<Certificate, QuorumError> {
        let signed = self.signed_stake_ratio * 100.0;
        if signed < f64::from(task.threshold_percent) {
            return Err(QuorumError::NotReached { signed, threshold: task.threshold_percent });
        }
        let denied = task.scenario == Scenario::Denied;
        Ok(Certificate { verdict: if denied { Verdict::Deny } else { Verdict::Allow } })
    }
}

pub(crate) async fn send_to_operators(_: &Task, _phase: &str) {
    sleep(Duration::from_millis(2)).await;
}

pub(crate) async fn collect_signatures(task: &Task) -> Answers {
    sleep(task.chain.block_time / 2).await;
    let signed = if task.scenario == Scenario::NoQuorum { 3 } else { OPERATORS };
    Answers { signed, signed_stake_ratio: signed as f64 / OPERATORS as f64 }
}

pub(crate) async fn send_transaction(task: &Task, _: &Certificate, attempt: i64) -> Result<Receipt, TxError> {
    match task.scenario {
        Scenario::NonceTaken => Err(TxError::NonceTooLow { next: 17 }),
        Scenario::RpcDown => Err(TxError::Unavailable),
        Scenario::RpcHiccup if attempt == 1 => Err(TxError::Unavailable),
        _ => {
            sleep(task.chain.block_time).await;
            Ok(Receipt { confirmed_after: task.chain.block_time })
        }
    }
}

pub(crate) async fn post_webhook(task: &Task) -> Result<u16, WebhookError> {
    sleep(Duration::from_millis(3)).await;
    match task.scenario {
        Scenario::NonceTaken => Err(WebhookError::ServerError),
        Scenario::RpcDown => Err(WebhookError::Timeout),
        _ => Ok(200),
    }
}
