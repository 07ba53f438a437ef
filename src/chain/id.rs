//! One chain id.

use std::num::NonZeroU64;

/// An EVM chain id in the range that EIP-2294 allows: 1 to [`ChainId::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainId(NonZeroU64);

impl ChainId {
    /// `floor(2^63 / 1) - 36`, the largest id of EIP-2294.
    pub const MAX: u64 = 9_223_372_036_854_775_771;

    /// The id `raw`, if it is in range.
    pub fn new(raw: u64) -> Option<Self> {
        if raw > Self::MAX { None } else { NonZeroU64::new(raw).map(Self) }
    }

    /// The id as a number.
    pub fn get(self) -> u64 {
        self.0.get()
    }
}
