//! A few traces side by side: one set of the set-associative table in `traces`.
//!
//! A sequence lock made of atomics alone. A writer makes the sequence odd, changes the words, and makes it even again.
//! A reader takes what it read only if the sequence was even before and is the same after; otherwise it has seen
//! nothing. Writers store the words with `Release` and readers load them with `Acquire`: a reader that meets a word of an
//! unfinished write therefore also meets that write's odd sequence (or a later one), and drops what it has.
//!
//! So a reader never waits, and never sees a state beside the id of another trace. Only writers of the same set wait for
//! each other, for the time of a few stores. This file knows nothing but [`super::sync`], so that loom can check it.

use super::sync::{AtomicU64, Ordering, pause};

/// No chain is known.
pub(super) const UNKNOWN: u64 = 0;

/// The trace has shown two chains. No chain id is that large.
pub(super) const AMBIGUOUS: u64 = u64::MAX;

/// After so many attempts a writer gives up: what it had to say is forgotten.
const MAX_WRITE_ATTEMPTS: u32 = 4_096;

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
    /// what is known now; `None` if other writers would not let go.
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
            pause(attempt);
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
