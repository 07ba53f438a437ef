//! Which attribute keys may hold a chain id, and which of them comes first.

/// The keys that are looked at when the configuration names none, in order of priority.
pub const DEFAULT_KEYS: [&str; 8] = [
    "chain_id",
    "chain.id",
    "chainId",
    "avs.chain.id",
    "evm.chain_id",
    "eth.chain_id",
    "blockchain.chain_id",
    "newton.chain_id",
];

/// An ordered list of attribute keys, asked for each attribute of each span: the length and the last byte of a key rule out
/// nearly all of them.
#[derive(Clone, Debug)]
pub struct ChainKeys {
    keys: Box<[Box<[u8]>]>,
    /// Bit `n`: some key is `n` bytes long; bit 63: 63 or longer.
    lengths: u64,
    /// Bit `n`: some key ends in a byte that is `n` modulo 64.
    endings: u64,
}

impl ChainKeys {
    /// How many keys a list can rank. Further ones are never asked for: the configuration refuses longer lists.
    pub const MAX: usize = 64;

    /// The list `keys`, the first with the highest priority. Empty keys never match.
    pub fn new(keys: &[impl AsRef<str>]) -> Self {
        let keys: Box<[Box<[u8]>]> =
            keys.iter().take(Self::MAX).map(|key| Box::from(key.as_ref().as_bytes())).collect();
        let mut lengths = 0;
        let mut endings = 0;
        for key in &keys {
            if let Some(&last) = key.last() {
                lengths |= length_bit(key);
                endings |= ending_bit(last);
            }
        }
        Self { keys, lengths, endings }
    }

    /// The priority of `key`: 0 is the highest, `None` means that the key holds no chain.
    #[inline]
    pub fn rank(&self, key: &[u8]) -> Option<u8> {
        let &last = key.last()?;
        if self.lengths & length_bit(key) == 0 || self.endings & ending_bit(last) == 0 {
            return None;
        }
        self.keys.iter().position(|candidate| **candidate == *key).map(|rank| rank as u8)
    }
}

impl Default for ChainKeys {
    fn default() -> Self {
        Self::new(&DEFAULT_KEYS)
    }
}

#[inline]
fn length_bit(key: &[u8]) -> u64 {
    1 << key.len().min(63)
}

#[inline]
fn ending_bit(last: u8) -> u64 {
    1 << (last & 63)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The order of the list is the priority, and only the exact key counts.
    #[test]
    fn the_default_list_ranks_its_keys_in_order() {
        let keys = ChainKeys::default();
        for (rank, key) in DEFAULT_KEYS.iter().enumerate() {
            assert_eq!(keys.rank(key.as_bytes()), Some(rank as u8), "{key}");
        }
        for other in ["", "chain_ie", "chain_id ", "CHAIN_ID", "chainid", "http.method", "xhain_id", "evm.chain.id"] {
            assert_eq!(keys.rank(other.as_bytes()), None, "{other}");
        }
    }

    /// Long keys, repeated keys, empty keys and an empty list behave.
    #[test]
    fn odd_lists_behave() {
        let long = "k".repeat(200);
        let keys = ChainKeys::new(&["a", &long, "a", ""]);
        assert_eq!(keys.rank(b"a"), Some(0));
        assert_eq!(keys.rank(long.as_bytes()), Some(1));
        assert_eq!(keys.rank("k".repeat(199).as_bytes()), None);
        assert_eq!(keys.rank(b""), None);
        assert_eq!(ChainKeys::new(&[] as &[&str]).rank(b"chain_id"), None);
    }
}
