//! Why operations fail: all families together, as one closed set.

use super::label::OTHER;
use super::{QuorumClass, QuorumReason, TxReason, WebhookStatus};

/// Why an operation failed: one member of a closed set, so that it can be a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FailureReason {
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

impl FailureReason {
    /// The metric label `error.type`. Two families may share one (`timeout`).
    pub const fn label(self) -> &'static str {
        match self {
            Self::Quorum(reason) => reason.label(),
            Self::Tx(reason) => reason.label(),
            Self::Webhook(status) => status.label(),
            Self::Timeout => "timeout",
            Self::Other => OTHER,
        }
    }

    /// The class of a failed `bls_aggregation`: that of the quorum family, [`QuorumClass::Other`] for everything else,
    /// so that no failure is missing from `quorum.failures`.
    pub const fn quorum_class(self) -> QuorumClass {
        match self {
            Self::Quorum(reason) => reason.class(),
            Self::Tx(_) | Self::Webhook(_) | Self::Timeout | Self::Other => QuorumClass::Other,
        }
    }
}
