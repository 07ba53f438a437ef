//! Which calls get series of their own. Any client can invent span names, so every chain has a few places reserved and can
//! take only a share of the others.

use std::sync::{Mutex, MutexGuard};

use dashmap::DashSet;
use hashbrown::HashMap;

use super::key::CallKey;
use crate::lock::lock;
use crate::red::labels::ChainLabel;

/// A key is two series: the count and the durations.
const SERIES: usize = 2;

/// How many of `max_series` series belong to calls when they are counted.
pub fn series_of_calls(max_series: usize) -> usize {
    max_series / 4
}

/// The least `max_series` that leaves `series` to everything else.
pub fn with_calls(series: usize) -> usize {
    series.saturating_sub(1).saturating_mul(4) / 3 + 1
}

/// Admission of keys. What has been admitted stays until it is given back; what was turned away shares one key per chain.
#[derive(Debug)]
pub(in crate::red) struct CallAdmission {
    keys: DashSet<CallKey>,
    /// Keys reserved for each chain, whatever the others take.
    reserved: usize,
    /// Keys that one chain may have at most.
    most: usize,
    /// Held while something is admitted or given back, so that the limit is exact.
    room: Mutex<CallQuota>,
}

#[derive(Debug)]
struct CallQuota {
    /// Places that are neither reserved nor taken.
    common: usize,
    of_chain: HashMap<ChainLabel, usize>,
}

impl CallAdmission {
    /// Admits keys for `max_series` series of `labels` chain labels at most, the shared ones included.
    pub(in crate::red) fn new(max_series: usize, labels: usize) -> Self {
        let keys = (max_series / SERIES).saturating_sub(labels.min(max_series / SERIES / 2));
        let reserved = keys / 2 / labels.max(1);
        let common = keys - reserved * labels;
        Self {
            keys: DashSet::new(),
            reserved,
            most: reserved + common.div_ceil(4),
            room: Mutex::new(CallQuota { common, of_chain: HashMap::new() }),
        }
    }

    /// Whether `key` has a place, given now or before.
    pub(in crate::red) fn admit(&self, key: &CallKey) -> bool {
        if self.keys.contains(key) {
            return true;
        }
        let mut room = self.room();
        let taken = room.of_chain.get(&key.chain).copied().unwrap_or(0);
        if self.keys.contains(key) {
            return true;
        }
        if taken >= self.reserved {
            if taken >= self.most || room.common == 0 {
                return false;
            }
            room.common -= 1;
        }
        room.of_chain.insert(key.chain, taken + 1);
        self.keys.insert(key.clone());
        true
    }

    /// Gives back the places of those `keys` that have one.
    pub(in crate::red) fn give_back<'k>(&self, keys: impl IntoIterator<Item = &'k CallKey>) {
        let mut room = self.room();
        for key in keys {
            if self.keys.remove(key).is_none() {
                continue;
            }
            let taken = room.of_chain.get(&key.chain).copied().unwrap_or(0);
            room.common += usize::from(taken > self.reserved);
            room.of_chain.insert(key.chain, taken.saturating_sub(1));
        }
        room.of_chain.retain(|_, taken| *taken > 0);
    }

    fn room(&self) -> MutexGuard<'_, CallQuota> {
        lock(&self.room)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::chain::ChainId;

    fn key(chain: u64, name: usize) -> CallKey {
        let chain = ChainLabel::Id(ChainId::new(chain).expect("in range"));
        CallKey { name: Arc::from(format!("span-{name}")), overflow: false, ..CallKey::overflow(chain) }
    }

    fn admitted(places: &CallAdmission, chain: u64, names: usize) -> usize {
        (0..names).filter(|name| places.admit(&key(chain, *name))).count()
    }

    /// One chain comes first and invents the most: every chain still gets what is reserved for it, none more than its share
    /// of the rest, all together no more than there are places; what is given back can be taken again.
    #[test]
    fn every_chain_has_its_share() {
        let places = CallAdmission::new(1_024, 10);
        let (reserved, most) = (places.reserved, places.most);
        assert!(reserved >= 20 && most > 2 * reserved, "{reserved} {most}");
        for round in 0..3 {
            assert_eq!(admitted(&places, 1, 10_000), most, "round {round}");
            let others: Vec<_> = (2..=10).map(|chain| admitted(&places, chain, 10_000)).collect();
            assert!(others.iter().all(|count| (reserved..=most).contains(count)), "{others:?}");
            assert!(others.contains(&reserved), "the rest did not last for all");
            let together = most + others.iter().sum::<usize>();
            assert_eq!(together, places.keys.len());
            assert!(together <= (1_024 - 10 * SERIES) / SERIES, "{together}");
            assert_eq!(admitted(&places, 1, most), most, "what is admitted stays");
            let all: Vec<CallKey> = places.keys.iter().map(|key| key.clone()).collect();
            places.give_back(&all[..all.len() / 2]);
            places.give_back(&all);
            assert!(places.room().of_chain.is_empty());
        }
        assert_eq!(CallAdmission::new(0, 0).most, 0, "no series, no places");
    }
}
