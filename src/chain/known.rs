//! Names and block times of well-known chains: for display only, never for resolution.

use std::time::Duration;

use super::ChainId;

/// A chain that is known by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownChain {
    /// Its id.
    pub id: u64,
    /// What people call it.
    pub name: &'static str,
    /// Mean time between blocks; `None` where blocks are made on demand.
    pub block_time: Option<Duration>,
}

const fn chain(id: u64, name: &'static str, block_millis: u64) -> KnownChain {
    let block_time = if block_millis == 0 { None } else { Some(Duration::from_millis(block_millis)) };
    KnownChain { id, name, block_time }
}

/// All chains that are known by name.
pub const KNOWN_CHAINS: [KnownChain; 12] = [
    chain(1, "Ethereum", 12_000),
    chain(11_155_111, "Sepolia", 12_000),
    chain(8_453, "Base", 2_000),
    chain(84_532, "Base Sepolia", 2_000),
    chain(10, "Optimism", 2_000),
    chain(11_155_420, "OP Sepolia", 2_000),
    chain(42_161, "Arbitrum One", 250),
    chain(421_614, "Arbitrum Sepolia", 250),
    chain(137, "Polygon", 2_000),
    chain(80_002, "Amoy", 2_000),
    chain(560_048, "Hoodi", 12_000),
    chain(31_337, "Anvil", 0),
];

/// What is known of `id`.
pub fn known(id: ChainId) -> Option<&'static KnownChain> {
    KNOWN_CHAINS.iter().find(|chain| chain.id == id.get())
}
