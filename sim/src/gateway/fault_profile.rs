//! The chains that a gateway serves, and what goes wrong on each.

use std::time::Duration;

use crate::spec;

/// One chain that a simulated gateway serves.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    /// Its id, 1 to 9223372036854775771.
    pub id: u64,
    /// Time between two blocks; transactions take a multiple of it.
    pub block_time: Duration,
    /// What goes wrong on it.
    pub fault_profile: FaultProfile,
}

/// What goes wrong on a chain. Every chain has a few faults of every kind; its profile says which dominate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultProfile {
    /// Hardly any faults.
    Healthy,
    /// Operators fall silent for stretches: `no_responses`, `quorum_not_reached`, `task_expired`.
    SilentOperators,
    /// Operators sign with the wrong keys, or are not registered.
    BadSignatures,
    /// The RPC provider is slow, limits, or drops transactions.
    RpcFaults,
    /// The receivers of webhooks are down.
    WebhookOutage,
    /// The gateway's own infrastructure: registries, tables, channels.
    Infrastructure,
}

/// Every fault profile, in the order in which chains get them.
pub const FAULT_PROFILES: [FaultProfile; 6] = [
    FaultProfile::Healthy,
    FaultProfile::SilentOperators,
    FaultProfile::RpcFaults,
    FaultProfile::BadSignatures,
    FaultProfile::WebhookOutage,
    FaultProfile::Infrastructure,
];

impl Chain {
    /// The chain `id` with its known block time.
    pub fn new(id: u64, fault_profile: FaultProfile) -> Self {
        Self { id, block_time: Duration::from_millis(spec::block_time_ms(id)), fault_profile }
    }

    /// The chains `ids`, each with the next of [`FAULT_PROFILES`].
    pub fn with_profiles(ids: &[u64]) -> Vec<Self> {
        ids.iter()
            .zip(FAULT_PROFILES.iter().cycle())
            .map(|(id, fault_profile)| Self::new(*id, *fault_profile))
            .collect()
    }
}

/// How often operations fail, as shares from 0 to 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct FaultRates {
    pub(super) quorum: f64,
    pub(super) transaction: f64,
    pub(super) webhook: f64,
    /// The dominating reasons, by name.
    pub(super) quorum_reasons: &'static [&'static str],
    pub(super) tx_reasons: &'static [&'static str],
    pub(super) webhook_classes: &'static [&'static str],
}

impl FaultProfile {
    /// The rates for the `task`-th task of a chain: faults come in stretches, not evenly.
    pub(super) fn rates(self, task: u64) -> FaultRates {
        let calm = FaultRates {
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
            Self::SilentOperators => FaultRates {
                quorum: if stretch { 0.45 } else { 0.02 },
                quorum_reasons: &["no_responses", "quorum_not_reached", "task_expired"],
                ..calm
            },
            Self::BadSignatures => FaultRates {
                quorum: if stretch { 0.15 } else { 0.02 },
                quorum_reasons: &["invalid_signature", "unknown_operator", "digest_mismatch"],
                ..calm
            },
            Self::RpcFaults => FaultRates {
                transaction: if stretch { 0.30 } else { 0.08 },
                tx_reasons: &["rpc_rate_limited", "rpc_timeout", "rpc_unavailable", "receipt_timeout", "nonce_too_low"],
                ..calm
            },
            Self::WebhookOutage => FaultRates {
                webhook: if stretch { 0.80 } else { 0.10 },
                webhook_classes: &["5xx", "network_error", "timeout", "429"],
                ..calm
            },
            Self::Infrastructure => FaultRates {
                quorum: if stretch { 0.10 } else { 0.01 },
                transaction: 0.04,
                quorum_reasons: &["registry_error", "stale_operator_table", "channel_error", "task_conflict"],
                tx_reasons: &["signer_error", "circuit_open", "insufficient_funds"],
                ..calm
            },
        }
    }
}
