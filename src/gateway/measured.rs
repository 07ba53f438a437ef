//! What one operation span says, once it has been understood.

use super::{Operation, QuorumReason, TxReason, WebhookStatus};

/// How an operation ended, as the metric label `outcome` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OutcomeClass {
    /// The operation did what it is for (a policy "deny" is one).
    Success,
    /// It did not.
    Failure,
    /// Neither: it was called off, or was switched off.
    Cancelled,
}

/// Why an operation failed: one member of a closed set, so that it can be a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// The quorum family.
    Quorum(QuorumReason),
    /// The transaction family.
    Tx(TxReason),
    /// The webhook family.
    Webhook(WebhookStatus),
    /// The operation's own outcome says it: a task that ended in `timeout`.
    Timeout,
    /// A failure that no table knows (`_OTHER`): it must stay visible.
    Other,
}

/// An operation span, understood. Plain data, copied into the request's stage and counted when the request is accepted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// Which operation.
    pub operation: Operation,
    /// How it ended.
    pub outcome: OutcomeClass,
    /// Why it failed; present if and only if `outcome` is a failure.
    pub reason: Option<Reason>,
    /// Attributes and span status say different things; the attributes won.
    pub status_conflict: bool,
    /// `avs.attempt.count`, at least 1.
    pub attempts: Option<u32>,
    /// Share of the stake that signed, 0 to 1 (finite; values outside are clamped by nobody: they are absent).
    pub signed_stake_ratio: Option<f64>,
    /// `avs.quorum.threshold` as a ratio: 0.67 for 67 percent.
    pub threshold: Option<f64>,
    /// `webhook.status_class` and its substitutes, on `webhook_delivery`, whatever the outcome.
    pub webhook: Option<WebhookStatus>,
}
