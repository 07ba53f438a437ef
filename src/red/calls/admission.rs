//! Who may have series of calls: span names are invented by anybody, so every chain has a few places for certain and can
//! never take more than its share of the others.

use std::sync::{Mutex, MutexGuard};

use dashmap::DashSet;
use hashbrown::HashMap;

use super::CallKey;
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
    /// Keys that any chain may have, whatever the others take.
    certain: usize,
    /// Keys that one chain has at most.
    most: usize,
    /// Held while something is admitted or given back, so that the limit is exact.
    room: Mutex<CallQuota>,
}

#[derive(Debug)]
struct CallQuota {
    /// Places that nobody has for certain and nobody has taken.
    common: usize,
    of_chain: HashMap<ChainLabel, usize>,
}

impl CallAdmission {
    /// Admits keys for `max_series` series of `labels` chain labels at most, the shared ones included.
    pub(in crate::red) fn new(max_series: usize, labels: usize) -> Self {
        let keys = (max_series / SERIES).saturating_sub(labels.min(max_series / SERIES / 2));
        let certain = keys / 2 / labels.max(1);
        let common = keys - certain * labels;
        Self {
            keys: DashSet::new(),
            certain,
            most: certain + common.div_ceil(4),
            room: Mutex::new(CallQuota { common, of_chain: HashMap::new() }),
        }
    }

    /// Whether `key` has a place, now or since before.
    pub(in crate::red) fn admit(&self, key: &CallKey) -> bool {
        if self.keys.contains(key) {
            return true;
        }
        let mut room = self.room();
        let taken = room.of_chain.get(&key.chain).copied().unwrap_or(0);
        if self.keys.contains(key) {
            return true;
        }
        if taken >= self.certain {
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
            room.common += usize::from(taken > self.certain);
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

    /// Whoever comes first and invents most: every chain gets what is certain, none more than its share of the rest, all
    /// together no more than there are places; what is given back is there for others.
    #[test]
    fn every_chain_has_its_share() {
        let places = CallAdmission::new(1_024, 10);
        let (certain, most) = (places.certain, places.most);
        assert!(certain >= 20 && most > 2 * certain, "{certain} {most}");
        for round in 0..3 {
            assert_eq!(admitted(&places, 1, 10_000), most, "round {round}");
            let others: Vec<_> = (2..=10).map(|chain| admitted(&places, chain, 10_000)).collect();
            assert!(others.iter().all(|count| (certain..=most).contains(count)), "{others:?}");
            assert!(others.contains(&certain), "the rest did not last for all");
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
