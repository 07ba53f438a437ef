//! The five operations of a gateway.

/// What a gateway does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Operation {
    Task,
    TaskBroadcast,
    BlsAggregation,
    TxSubmission,
    WebhookDelivery,
}
