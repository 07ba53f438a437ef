//! Which spans are no operation: by name, so that a gap in the instrumentation can be seen, and mended, by its name.
//!
//! A name is logged once, when the first request that holds it has been accepted. Names come from outside, so only the
//! first [`NAMES`] distinct ones are remembered; that there were more is logged once, too.

use std::cell::RefCell;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use dashmap::DashMap;
use hashbrown::{DefaultHashBuilder, HashTable};

/// Distinct names that are remembered. With the bit of all others, they fill a [`NameSet`].
const NAMES: u8 = 63;

/// The longest part of a name that is kept, in bytes.
const NAME_BYTES: usize = 100;

/// The index of all names that came too late.
const OTHERS: u8 = NAMES;

/// Names of unclassified spans, by the bits of their indexes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct NameSet(u64);

impl NameSet {
    pub(super) fn insert(&mut self, index: u8) {
        self.0 |= 1 << index;
    }

    fn contains(self, index: u8) -> bool {
        self.0 & 1 << index != 0
    }
}

/// The names of unclassified spans of one pipeline.
#[derive(Debug)]
pub(super) struct Unclassified {
    /// Tells the pipelines of a process apart for the threads that remember indexes.
    id: u64,
    indexes: DashMap<Box<[u8]>, u8>,
    next_index: AtomicU8,
    /// The [`NameSet`] of what has been logged.
    logged: AtomicU64,
}

/// What there is to say about names that were accepted for the first time.
#[derive(Debug, PartialEq, Eq)]
struct News {
    names: Vec<String>,
    /// There were more distinct names than are remembered.
    too_many: bool,
}

/// The indexes that a thread remembers, by the hash of the name, and the [`Unclassified::id`] that they belong to.
#[derive(Default)]
struct Remembered {
    of: u64,
    hasher: DefaultHashBuilder,
    indexes: HashTable<(Box<[u8]>, u8)>,
}

thread_local! {
    static REMEMBERED: RefCell<Remembered> = RefCell::default();
}

impl Unclassified {
    pub(super) fn new() -> Self {
        // 0 is what a thread remembers that has not met any.
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            indexes: DashMap::new(),
            next_index: AtomicU8::new(0),
            logged: AtomicU64::new(0),
        }
    }

    /// The index of `name`. Each thread remembers those of the first names, and takes no lock for them.
    pub(super) fn index(&self, name: &[u8]) -> u8 {
        REMEMBERED.with_borrow_mut(|Remembered { of, hasher, indexes }| {
            if *of != self.id {
                indexes.clear();
                *of = self.id;
            }
            let hash = hasher.hash_one(name);
            if let Some((_, index)) = indexes.find(hash, |(known, _)| **known == *name) {
                return *index;
            }
            let index = self.shared_index(name);
            if indexes.len() < usize::from(NAMES) {
                indexes.insert_unique(hash, (name.into(), index), |(known, _)| hasher.hash_one(&**known));
            }
            index
        })
    }

    /// A new index while there is one, [`OTHERS`] from then on.
    fn shared_index(&self, name: &[u8]) -> u8 {
        let name = &name[..name.len().min(NAME_BYTES)];
        if let Some(index) = self.indexes.get(name) {
            return *index;
        }
        if self.next_index.load(Ordering::Relaxed) >= OTHERS {
            return OTHERS;
        }
        *self.indexes.entry(name.into()).or_insert_with(|| {
            let next = |index: u8| (index < OTHERS).then_some(index + 1);
            self.next_index.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).unwrap_or(OTHERS)
        })
    }

    /// An accepted request held spans of these names: logs those that are new.
    pub(super) fn accepted(&self, names: NameSet) {
        let Some(News { names, too_many }) = self.news(names) else { return };
        if !names.is_empty() {
            tracing::info!(
                names = names.join(", "),
                "new span names that are no gateway operation: forwarded, not measured. If one is an operation, set its \
                 attribute avs.operation or list its name under connectors.gateway.operations (docs/span-convention.md)"
            );
        }
        if too_many {
            tracing::info!(
                remembered = NAMES,
                "more span names that are no gateway operation than are remembered: others are counted in \
                 chainspan_unclassified_spans_total and not logged"
            );
        }
    }

    /// `None`: nothing that was not said before. Never waits where that is so.
    fn news(&self, names: NameSet) -> Option<News> {
        if names.0 & !self.logged.load(Ordering::Relaxed) == 0 {
            return None;
        }
        // Of several requests that bring the same name at the same time, one finds it new.
        let new = NameSet(names.0 & !self.logged.fetch_or(names.0, Ordering::Relaxed));
        let mut names: Vec<String> = self
            .indexes
            .iter()
            .filter(|entry| *entry.value() != OTHERS && new.contains(*entry.value()))
            .map(|entry| format!("{:?}", String::from_utf8_lossy(entry.key())))
            .collect();
        names.sort_unstable();
        let too_many = new.contains(OTHERS);
        (too_many || !names.is_empty()).then_some(News { names, too_many })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(unclassified: &Unclassified, names: &[&str]) -> Option<News> {
        let mut set = NameSet::default();
        names.iter().for_each(|name| set.insert(unclassified.index(name.as_bytes())));
        unclassified.news(set)
    }

    fn new_names(names: &[&str]) -> Option<News> {
        Some(News { names: names.iter().map(|name| format!("{name:?}")).collect(), too_many: false })
    }

    /// Scenario: the same library spans come with every request, for days; now and then one with a new name. Guarantee: a
    /// name is logged when it is accepted for the first time, and never again.
    #[test]
    fn a_name_is_logged_when_it_is_new_and_only_then() {
        let unclassified = Unclassified::new();
        assert_eq!(accept(&unclassified, &["POST /v1", "redis GET"]), new_names(&["POST /v1", "redis GET"]));
        assert_eq!(accept(&unclassified, &["redis GET"]), None);
        assert_eq!(accept(&unclassified, &["redis GET", "verify", "POST /v1"]), new_names(&["verify"]));
        assert_eq!(accept(&unclassified, &["verify"]), None);
        assert_eq!(accept(&unclassified, &[]), None);
        // A name of a request that was refused is still new.
        unclassified.index(b"refused");
        assert_eq!(accept(&unclassified, &["refused"]), new_names(&["refused"]));
    }

    /// Scenario: somebody puts ids into span names. Guarantee: the first names keep their index, the memory is bounded, and
    /// that there are more is said once.
    #[test]
    fn of_too_many_names_the_first_are_remembered_and_the_rest_is_said_once() {
        let unclassified = Unclassified::new();
        let first = unclassified.index(b"verify_signature");
        let mut news = Vec::new();
        for i in 0..200 {
            news.extend(accept(&unclassified, &[&format!("invented {i}")]));
        }
        assert_eq!(news.len(), usize::from(NAMES));
        assert_eq!(news.iter().filter(|news| news.too_many).count(), 1);
        assert_eq!(unclassified.index(b"one more"), OTHERS);
        assert_eq!(unclassified.index(b"verify_signature"), first);
        assert_eq!(unclassified.indexes.len(), usize::from(NAMES));
    }

    /// A process may have had another pipeline before: its indexes mean nothing here.
    #[test]
    fn a_thread_does_not_mix_the_names_of_two_pipelines() {
        let before = Unclassified::new();
        before.index(b"a");
        let after = Unclassified::new();
        assert_eq!(accept(&after, &["b", "a"]), new_names(&["a", "b"]));
    }
}
