//! Small numbers for names, up to a limit, and the copies of them that shards keep.
//!
//! An id is never given out twice: a commit that still holds the id of a retired name writes under a number that no other
//! name has.

use std::hash::Hash;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use hashbrown::HashMap;

/// Gives out ids up to a limit, first come, first served.
#[derive(Debug)]
pub(super) struct Interner<K: Eq + Hash> {
    ids: DashMap<K, u32>,
    /// How many have one now.
    given: AtomicUsize,
    limit: usize,
    /// The next id.
    next: AtomicU32,
    /// No id reaches this.
    beyond: u32,
    /// How often ids have been taken back: a cache of an earlier epoch is out of date.
    epoch: AtomicUsize,
}

impl<K: Eq + Hash + Clone> Interner<K> {
    pub(super) fn new(limit: usize, beyond: u32) -> Self {
        Self {
            ids: DashMap::new(),
            given: AtomicUsize::new(0),
            limit,
            next: AtomicU32::new(0),
            beyond,
            epoch: AtomicUsize::new(0),
        }
    }

    /// Takes back the ids of all that `keep` does not want.
    pub(super) fn retire(&self, mut keep: impl FnMut(&K, u32) -> bool) {
        let mut retired = 0;
        self.ids.retain(|key, id| {
            let kept = keep(key, *id);
            retired += usize::from(!kept);
            kept
        });
        if retired > 0 {
            self.given.fetch_sub(retired, Ordering::Relaxed);
            self.epoch.fetch_add(1, Ordering::Release);
        }
    }

    /// The id of `key`; `None` when all have been given out.
    pub(super) fn admit(&self, key: &K) -> Option<u32> {
        if let Some(id) = self.ids.get(key) {
            return Some(*id);
        }
        if self.given.load(Ordering::Relaxed) >= self.limit {
            return None;
        }
        match self.ids.entry(key.clone()) {
            Entry::Occupied(known) => Some(*known.get()),
            // The count is raised under the entry's lock: so a reader of the whole map after it is full misses no entry.
            Entry::Vacant(place) => {
                let below = |given| (given < self.limit).then_some(given + 1);
                self.given.fetch_update(Ordering::Relaxed, Ordering::Relaxed, below).ok()?;
                let id = self.next.fetch_add(1, Ordering::Relaxed).min(self.beyond);
                if id == self.beyond {
                    // All numbers are used up, after millions of retired names: from now on no new name is told apart.
                    self.next.store(self.beyond, Ordering::Relaxed);
                    self.given.fetch_sub(1, Ordering::Relaxed);
                    return None;
                }
                place.insert(id);
                Some(id)
            }
        }
    }
}

/// A shard's own copy of what an interner has given out: a plain map, complete once the interner is full, so that
/// an unknown name costs no more than a known one.
#[derive(Debug)]
pub(super) struct InternerCache<K> {
    ids: HashMap<K, u32>,
    complete: bool,
    epoch: usize,
}

impl<K> Default for InternerCache<K> {
    fn default() -> Self {
        Self { ids: HashMap::new(), complete: false, epoch: 0 }
    }
}

impl<K: Eq + Hash + Clone> InternerCache<K> {
    /// Forgets everything if ids have been taken back since.
    pub(super) fn refresh(&mut self, all: &Interner<K>) {
        let epoch = all.epoch.load(Ordering::Acquire);
        if epoch != self.epoch {
            *self = Self { epoch, ..Self::default() };
        }
    }

    pub(super) fn id(&mut self, key: &K, all: &Interner<K>) -> Option<u32> {
        if let Some(id) = self.ids.get(key) {
            return Some(*id);
        }
        if self.complete {
            return None;
        }
        if let Some(id) = all.admit(key) {
            self.ids.insert(key.clone(), id);
            return Some(id);
        }
        self.ids.extend(all.ids.iter().map(|entry| (entry.key().clone(), *entry.value())));
        self.complete = true;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Many threads admit the same and different keys at once: no id twice, never more than the limit, and a copy taken
    /// when it is full has every entry.
    #[test]
    fn interners_keep_their_limit_under_concurrency() {
        let all = Interner::<u64>::new(100, u32::MAX);
        let copies: Vec<_> = std::thread::scope(|scope| {
            let workers = [3u64, 5, 7, 11].map(|step| {
                let all = &all;
                scope.spawn(move || {
                    let mut known = InternerCache::default();
                    let ids: Vec<_> =
                        (0..1_000).map(|i| (i * step % 1_009, known.id(&(i * step % 1_009), all))).collect();
                    (known, ids)
                })
            });
            workers.into_iter().map(|worker| worker.join().expect("no panic")).collect()
        });
        let mut given: Vec<u32> = all.ids.iter().map(|entry| *entry.value()).collect();
        given.sort_unstable();
        assert_eq!(given, (0..100).collect::<Vec<_>>());
        for (known, ids) in copies {
            assert!(known.complete && known.ids.len() == 100);
            for (key, id) in ids {
                assert_eq!(id, all.ids.get(&key).map(|id| *id), "an id never changes its key");
            }
        }
    }
}
