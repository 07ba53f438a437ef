//! Trace and span ids that are unique over gateways and batches.

/// A source of ids, the same for the same seed.
#[derive(Clone, Debug)]
pub(super) struct Ids {
    seed: u64,
    next: u64,
}

impl Ids {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, next: 0 }
    }

    /// A span id, never zero. SplitMix64's finisher is a bijection, so counters that differ give ids that differ.
    pub(super) fn span(&mut self) -> u64 {
        loop {
            self.next += 1;
            let mut z = self.next.wrapping_add(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^= z >> 31;
            if z != 0 {
                return z;
            }
        }
    }

    /// A moment in the millisecond before `end` at which no other operation of this gateway ends, so that it is always
    /// certain which reading of a gauge was the last.
    pub(super) fn moment(&mut self, end: u64) -> u64 {
        const MILLISECOND: u64 = 1_000_000;
        self.next += 1;
        (end - end % MILLISECOND).saturating_sub(MILLISECOND) + self.next % MILLISECOND
    }

    pub(super) fn trace(&mut self) -> [u8; 16] {
        (u128::from(self.span()) << 64 | u128::from(self.span())).to_be_bytes()
    }
}
