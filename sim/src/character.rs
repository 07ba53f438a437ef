//! What kind of trouble a chain is in.

use std::time::Duration;

use super::spec;

/// One chain that a simulated gateway serves.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    /// Its id, 1 to 9223372036854775771.
    pub id: u64,
    /// Time between two blocks; transactions take a multiple of it.
    pub block_time: Duration,
    /// What goes wrong there.
    pub character: Character,
}

/// What goes wrong on a chain. Every chain shows a little of everything; its character is what dominates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Character {
    /// Nearly nothing.
    Healthy,
    /// Operators fall silent for stretches: `no_responses`, `quorum_not_reached`, `task_expired`.
    SilentOperators,
    /// Operators sign with the wrong keys, or are not registered.
    BadSignatures,
    /// The RPC provider is slow, limits, or drops transactions.
    RpcTrouble,
    /// The receivers of webhooks are down.
    WebhookOutage,
    /// The gateway's own infrastructure: registries, tables, channels.
    Infrastructure,
}

/// Every character, in the order in which chains take them.
pub const CHARACTERS: [Character; 6] = [
    Character::Healthy,
    Character::SilentOperators,
    Character::RpcTrouble,
    Character::BadSignatures,
    Character::WebhookOutage,
    Character::Infrastructure,
];

impl Chain {
    /// The chain `id` with the block time that is known of it.
    pub fn new(id: u64, character: Character) -> Self {
        Self { id, block_time: Duration::from_millis(spec::block_time_ms(id)), character }
    }

    /// Several chains, each with another character.
    pub fn cast(ids: &[u64]) -> Vec<Self> {
        ids.iter().zip(CHARACTERS.iter().cycle()).map(|(id, character)| Self::new(*id, *character)).collect()
    }
}

/// How often things go wrong, 0 to 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Odds {
    pub(super) quorum: f64,
    pub(super) transaction: f64,
    pub(super) webhook: f64,
    /// The reasons that dominate, by name.
    pub(super) quorum_reasons: &'static [&'static str],
    pub(super) tx_reasons: &'static [&'static str],
    pub(super) webhook_classes: &'static [&'static str],
}

impl Character {
    /// What happens at the `task`-th task of a chain: troubles come in stretches, not evenly.
    pub(super) fn odds(self, task: u64) -> Odds {
        let calm = Odds {
            quorum: 0.004,
            transaction: 0.01,
            webhook: 0.02,
            quorum_reasons: &["quorum_not_reached", "task_expired"],
            tx_reasons: &["underpriced", "nonce_too_low", "reverted"],
            webhook_classes: &["5xx", "timeout"],
        };
        let stretch = task % 400 < 160;
        match self {
            Self::Healthy => calm,
            Self::SilentOperators => Odds {
                quorum: if stretch { 0.45 } else { 0.02 },
                quorum_reasons: &["no_responses", "quorum_not_reached", "task_expired"],
                ..calm
            },
            Self::BadSignatures => Odds {
                quorum: if stretch { 0.15 } else { 0.02 },
                quorum_reasons: &["invalid_signature", "unknown_operator", "digest_mismatch"],
                ..calm
            },
            Self::RpcTrouble => Odds {
                transaction: if stretch { 0.30 } else { 0.08 },
                tx_reasons: &["rpc_rate_limited", "rpc_timeout", "rpc_unavailable", "receipt_timeout", "nonce_too_low"],
                ..calm
            },
            Self::WebhookOutage => Odds {
                webhook: if stretch { 0.80 } else { 0.10 },
                webhook_classes: &["5xx", "network_error", "timeout", "429"],
                ..calm
            },
            Self::Infrastructure => Odds {
                quorum: if stretch { 0.10 } else { 0.01 },
                transaction: 0.04,
                quorum_reasons: &["registry_error", "stale_operator_table", "channel_error", "task_conflict"],
                tx_reasons: &["signer_error", "circuit_open", "insufficient_funds"],
                ..calm
            },
        }
    }
}
