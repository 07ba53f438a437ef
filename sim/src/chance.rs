//! Choices that depend only on what they are about, not on the order in which they are made.

/// A number from 0 to 999, the same for the same four arguments.
pub(crate) fn draw(seed: u64, what: u64, who: u64, which: u64) -> u64 {
    let mixed = [what, who, which].into_iter().fold(seed, |hash, number| {
        let z = (hash ^ number).wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb)
    });
    fastrand::Rng::with_seed(mixed).u64(..1000)
}
