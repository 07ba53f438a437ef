//! Why operations fail: all families together, as one closed set.

use super::{QuorumClass, QuorumReason, TxReason, WebhookStatus};

/// The label of a failure that no table knows.
pub const OTHER: &str = "_OTHER";

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

const TX: usize = QuorumReason::ALL.len();
const WEBHOOK: usize = TX + TxReason::ALL.len();
const TIMEOUT: usize = WEBHOOK + WebhookStatus::ALL.len();
const COUNT: usize = TIMEOUT + 2;
const _: () = assert!(COUNT < u8::MAX as usize, "a reason has to fit into a byte, with room for none");

impl Reason {
    /// How many there are: [`Reason::as_u8`] is below.
    pub const COUNT: usize = COUNT;

    /// All of them, in the order of [`Reason::as_u8`].
    pub fn all() -> impl Iterator<Item = Self> {
        let quorum = QuorumReason::ALL.iter().map(|&reason| Self::Quorum(reason));
        let tx = TxReason::ALL.iter().map(|&reason| Self::Tx(reason));
        let webhook = WebhookStatus::ALL.iter().map(|&status| Self::Webhook(status));
        quorum.chain(tx).chain(webhook).chain([Self::Timeout, Self::Other])
    }

    /// Builds the automata of all tables, a few milliseconds, so that the first failed span does not wait for them. Whoever
    /// starts a pipeline may call it once.
    pub fn prepare() {
        let _ = (QuorumReason::from_text(&[]), TxReason::from_text(&[]), WebhookStatus::from_text(&[]));
    }

    /// A small number of its own for each reason, to be packed into a key.
    #[inline]
    pub const fn as_u8(self) -> u8 {
        (match self {
            Self::Quorum(reason) => reason.index(),
            Self::Tx(reason) => TX + reason.index(),
            Self::Webhook(status) => WEBHOOK + status.index(),
            Self::Timeout => TIMEOUT,
            Self::Other => TIMEOUT + 1,
        }) as u8
    }

    /// The reason with that number.
    #[inline]
    pub fn from_u8(number: u8) -> Option<Self> {
        let at = usize::from(number);
        match at {
            _ if at < TX => Some(Self::Quorum(QuorumReason::ALL[at])),
            _ if at < WEBHOOK => Some(Self::Tx(TxReason::ALL[at - TX])),
            _ if at < TIMEOUT => Some(Self::Webhook(WebhookStatus::ALL[at - WEBHOOK])),
            TIMEOUT => Some(Self::Timeout),
            _ if at == TIMEOUT + 1 => Some(Self::Other),
            _ => None,
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers are dense, in the order of `all`, and come back.
    #[test]
    fn numbers_come_back() {
        assert_eq!(Reason::all().count(), Reason::COUNT);
        for (index, reason) in Reason::all().enumerate() {
            assert_eq!(usize::from(reason.as_u8()), index);
            assert_eq!(Reason::from_u8(reason.as_u8()), Some(reason));
        }
        assert_eq!(Reason::from_u8(Reason::COUNT as u8), None);
        assert_eq!(Reason::from_u8(u8::MAX), None);
    }
}
