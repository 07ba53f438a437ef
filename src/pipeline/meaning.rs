//! What the key of a span's attribute means to a pipeline, in the sixteen bits that the walk remembers for it: which fact it
//! is, its rank among the keys of chains, and whether it is the key of our own tag.

use crate::gateway::FactKey;
use crate::otlp::KeyMeaning;

/// Bits 0 to 7: the number of the fact plus one; 0 is none.
const FACT: u16 = 0xff;
/// Bits 8 to 14: the rank plus one; 0 is none. There are no more than 64 ranks.
const RANK_SHIFT: u32 = 8;
const RANK: u16 = 0x7f;
const TAG: u16 = 1 << 15;

/// The meaning of a key.
pub(super) fn of(fact: Option<FactKey>, rank: Option<u8>, is_tag: bool) -> KeyMeaning {
    let fact = fact.map_or(0, |fact| u16::from(fact.number()) + 1);
    let rank = rank.map_or(0, |rank| (u16::from(rank) + 1) & RANK);
    KeyMeaning(fact | rank << RANK_SHIFT | if is_tag { TAG } else { 0 })
}

/// Which fact the key is.
#[inline(always)]
pub(super) fn fact(meaning: KeyMeaning) -> Option<FactKey> {
    ((meaning.0 & FACT) as u8).checked_sub(1).and_then(FactKey::numbered)
}

/// The rank of the key among the keys of chains.
#[inline(always)]
pub(super) fn rank(meaning: KeyMeaning) -> Option<u8> {
    ((meaning.0 >> RANK_SHIFT & RANK) as u8).checked_sub(1)
}

/// Whether the key is that of our tag.
#[inline(always)]
pub(super) fn is_tag(meaning: KeyMeaning) -> bool {
    meaning.0 & TAG != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every combination of meanings survives being packed.
    #[test]
    fn meanings_come_back() {
        let facts = (0..32).map(FactKey::numbered).chain([None]);
        for expected in facts {
            for expected_rank in (0..64).map(Some).chain([None]) {
                for expected_tag in [false, true] {
                    let meaning = of(expected, expected_rank, expected_tag);
                    assert_eq!((fact(meaning), rank(meaning)), (expected, expected_rank));
                    assert_eq!(is_tag(meaning), expected_tag);
                }
            }
        }
        assert_eq!(of(None, None, false), KeyMeaning::NONE);
    }
}
