//! A few traces side by side: one set of the set-associative table in `traces`.
//!
//! A sequence lock made of atomics alone. A writer makes the sequence odd, changes the words, and makes it even again.
//! A reader takes what it read only if the sequence was even before and is the same after; otherwise it has seen
//! nothing. Writers store the words with `Release` and readers load them with `Acquire`: a reader that meets a word of an
//! unfinished write therefore also meets that write's odd sequence (or a later one), and drops what it has.
//!
//! So a reader never waits, and never sees a state beside the id of another trace. Only writers of the same set wait for
//! each other, for the time of a few stores. It rests on nothing but [`crate::sync`], so that loom can check it.

use crate::sync::{AtomicU64, Ordering, pause};

/// No chain is known.
pub(super) const UNKNOWN: u64 = 0;

/// The trace has shown two chains. No chain id is that large.
pub(super) const AMBIGUOUS: u64 = u64::MAX;

/// Attempts of a writer to enter a set; after them it gives up, and what it had to record is lost.
const MAX_WRITE_ATTEMPTS: u32 = 4_096;

/// Attempts that a writer spins before it gives up its processor.
const SPINS: u32 = 32;

/// A trace id in two words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id {
    pub(super) high: u64,
    pub(super) low: u64,
}

/// What a trace has shown, and when it last did: a chain id, [`UNKNOWN`] or [`AMBIGUOUS`]; in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TraceEntry {
    pub(super) state: u64,
    pub(super) seen: u64,
}

/// Room for `WAYS` traces.
#[derive(Debug)]
pub(super) struct Set<const WAYS: usize> {
    sequence: AtomicU64,
    high: [AtomicU64; WAYS],
    low: [AtomicU64; WAYS],
    state: [AtomicU64; WAYS],
    seen: [AtomicU64; WAYS],
}

impl<const WAYS: usize> Set<WAYS> {
    pub(super) fn new() -> Self {
        let zeros = || std::array::from_fn(|_| AtomicU64::new(0));
        Self { sequence: AtomicU64::new(0), high: zeros(), low: zeros(), state: zeros(), seen: zeros() }
    }

    /// What is known of `id`, expired or not. A write in progress makes it nothing.
    pub(super) fn read(&self, id: Id) -> Option<TraceEntry> {
        let before = self.sequence.load(Ordering::Acquire);
        if before & 1 == 1 {
            return None;
        }
        let way = (0..WAYS).find(|&way| {
            self.high[way].load(Ordering::Acquire) == id.high && self.low[way].load(Ordering::Acquire) == id.low
        })?;
        let entry =
            TraceEntry { state: self.state[way].load(Ordering::Acquire), seen: self.seen[way].load(Ordering::Acquire) };
        (self.sequence.load(Ordering::Relaxed) == before && entry.state != UNKNOWN).then_some(entry)
    }

    /// Notes at time `now` that `id` has shown `state`; a second state within `ttl` makes it ambiguous. In a full set the
    /// trace that was seen longest ago is forgotten. The answer is what was known before (not what has expired), and
    /// what is known now; `None` if other writers never released the set.
    pub(super) fn write(&self, id: Id, state: u64, now: u64, ttl: u64) -> Option<(u64, u64)> {
        let sequence = self.enter()?;
        let way = self.choose(id, now, ttl);
        let same = self.high[way].load(Ordering::Relaxed) == id.high && self.low[way].load(Ordering::Relaxed) == id.low;
        let known = if same { self.fresh(way, now, ttl) } else { None };
        let before = known.map_or(UNKNOWN, |entry| entry.state);
        let after = if before == UNKNOWN || before == state { state } else { AMBIGUOUS };
        self.high[way].store(id.high, Ordering::Release);
        self.low[way].store(id.low, Ordering::Release);
        self.state[way].store(after, Ordering::Release);
        self.seen[way].store(known.map_or(now, |entry| entry.seen.max(now)), Ordering::Release);
        self.sequence.store(sequence + 2, Ordering::Release);
        Some((before, after))
    }

    /// Makes the sequence odd; the answer is the even one before.
    fn enter(&self) -> Option<u64> {
        for attempt in 0..MAX_WRITE_ATTEMPTS {
            let sequence = self.sequence.load(Ordering::Relaxed);
            if sequence & 1 == 0
                && self.sequence.compare_exchange(sequence, sequence + 1, Ordering::Acquire, Ordering::Relaxed).is_ok()
            {
                return Some(sequence);
            }
            pause(attempt, SPINS);
        }
        None
    }

    /// The place of `id`, else a free one, else that of the trace seen longest ago. Called by the writer that is inside.
    fn choose(&self, id: Id, now: u64, ttl: u64) -> usize {
        let mut victim = 0;
        let mut oldest = u64::MAX;
        for way in 0..WAYS {
            let high = self.high[way].load(Ordering::Relaxed);
            if high == id.high && self.low[way].load(Ordering::Relaxed) == id.low {
                return way;
            }
            // A free place is older than everything.
            let age = self.fresh(way, now, ttl).map_or(0, |entry| entry.seen.saturating_add(1));
            if age < oldest {
                (victim, oldest) = (way, age);
            }
        }
        victim
    }

    fn fresh(&self, way: usize, now: u64, ttl: u64) -> Option<TraceEntry> {
        let entry =
            TraceEntry { state: self.state[way].load(Ordering::Relaxed), seen: self.seen[way].load(Ordering::Relaxed) };
        (entry.state != UNKNOWN && is_fresh(entry.seen, now, ttl)).then_some(entry)
    }
}

/// Whether what was seen at `seen` still counts at `now`.
pub(super) fn is_fresh(seen: u64, now: u64, ttl: u64) -> bool {
    now.saturating_sub(seen) < ttl
}

/// Every interleaving, and every order the memory model allows, of workers that meet in one set.
#[cfg(all(test, chainspan_loom))]
mod loom_model {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    const ONE: Id = Id { high: 1, low: 11 };
    const TWO: Id = Id { high: 2, low: 12 };
    const TTL: u64 = 1_000;

    /// A trace is thrown out by another while a reader looks for both: it sees each with its own chain or not at all.
    #[test]
    fn loom_a_reader_never_sees_a_chain_beside_the_id_of_another_trace() {
        loom::model(|| {
            let set = Arc::new(Set::<1>::new());
            set.write(ONE, 100, 1, TTL);
            let writer = {
                let set = Arc::clone(&set);
                thread::spawn(move || set.write(TWO, 200, 2, TTL))
            };
            for (id, state) in [(ONE, 100), (TWO, 200)] {
                if let Some(entry) = set.read(id) {
                    assert_eq!(entry.state, state);
                }
            }
            writer.join().expect("the writer does not panic");
            assert_eq!(set.read(TWO).map(|entry| entry.state), Some(200));
            assert_eq!(set.read(ONE), None);
        });
    }

    /// Ids that share a half: a reader never takes the state of one for the other.
    #[test]
    fn loom_a_reader_never_mixes_the_halves_of_two_ids() {
        const MIXED: Id = Id { high: 1, low: 12 };
        loom::model(|| {
            let set = Arc::new(Set::<1>::new());
            set.write(ONE, 100, 1, TTL);
            let writer = {
                let set = Arc::clone(&set);
                thread::spawn(move || set.write(TWO, 200, 2, TTL))
            };
            assert_eq!(set.read(MIXED), None);
            writer.join().expect("the writer does not panic");
        });
    }

    /// Two workers record different chains of one trace: whoever comes second makes it ambiguous, always and once.
    #[test]
    fn loom_two_writers_never_lose_an_ambiguity() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(|| {
            let set = Arc::new(Set::<1>::new());
            let writer = {
                let set = Arc::clone(&set);
                thread::spawn(move || set.write(ONE, 100, 1, TTL))
            };
            let mine = set.write(ONE, 200, 1, TTL);
            let theirs = writer.join().expect("the writer does not panic");
            if let (Some(mine), Some(theirs)) = (mine, theirs) {
                assert_eq!(set.read(ONE).map(|entry| entry.state), Some(AMBIGUOUS));
                assert!((mine.1 == AMBIGUOUS) != (theirs.1 == AMBIGUOUS));
            }
        });
    }
}
