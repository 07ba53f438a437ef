//! The tables that the hot path adds to: plain data behind locks that are never waited for.
//!
//! One more shard than there are threads that commit: each of them holds at most one, a snapshot holds at most one, so one
//! is always free. A thread tries the shard of its hint first and nearly always finds it free and warm in its cache. Only if
//! more threads commit than the shards were made for can all be taken; then the thread looks again until one is released,
//! which takes no longer than one commit.

use std::sync::Arc;

use super::calls;
use super::gauge::{self, Gauge, GaugeKey};
use super::interner::InternerCache;
use super::key::{CellKey, OVERFLOW_DIMS};
use super::registry::Registry;
use super::stage::{Dims, Stage};
use super::table::{LOOKUP_BATCH, WindowTable, register, see};
use super::window::{Timeliness, WindowWatermark};
use crate::chain::ChainId;
use crate::sync::{self, Mutex, MutexGuard};

/// Tables that a shard has at most. Two are open, one may wait to be collected; if they are not collected for longer than that,
/// the oldest two become one, so that memory stays bounded and nothing is lost but some resolution.
const MAX_TABLES: usize = 4;

/// Rounds over all shards, all of them taken, that a thread spins before it gives up its processor.
const SPINS: u32 = 64;

/// All shards.
#[derive(Debug)]
pub(super) struct Shards(Box<[Padded]>);

/// Far enough apart that two shards never share a cache line (or a pair that is fetched together).
#[derive(Debug, Default)]
#[repr(align(128))]
struct Padded(Mutex<Shard>);

impl Shards {
    /// Shards for `committers` threads that commit at the same time.
    pub(super) fn new(committers: usize) -> Self {
        Self((0..=committers.max(1)).map(|_| Padded::default()).collect())
    }

    /// A shard that no other thread holds.
    pub(super) fn take(&self) -> MutexGuard<'_, Shard> {
        let hint = shard_hint() % self.0.len();
        let (before, from) = self.0.split_at(hint);
        let mut round = 0;
        loop {
            if let Some(shard) = from.iter().chain(before).find_map(|shard| sync::try_lock(&shard.0)) {
                return shard;
            }
            sync::pause(round, SPINS);
            round = round.saturating_add(1);
        }
    }

    /// Takes what each shard has away, one after the other. A shard is held for one move of a few words.
    pub(super) fn collect(&self) -> impl Iterator<Item = Counted> + '_ {
        self.0.iter().map(|shard| std::mem::take(&mut sync::lock(&shard.0).counted))
    }
}

/// Where the calling thread starts to look for a free shard. Threads get different numbers, so that each finds its own
/// shard free and warm.
fn shard_hint() -> usize {
    #[cfg(chainspan_loom)]
    {
        0
    }
    #[cfg(not(chainspan_loom))]
    {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local!(static HINT: usize = NEXT.fetch_add(1, Ordering::Relaxed));
        HINT.with(|hint| *hint)
    }
}

/// What one thread adds to.
#[derive(Debug, Default)]
pub(super) struct Shard {
    counted: Counted,
    dims: InternerCache<Arc<Dims>>,
    chains: InternerCache<ChainId>,
    /// The interned dimensions of the stage at hand.
    resolved: Vec<u32>,
}

/// What has been counted since the last collection.
#[derive(Debug, Default)]
pub(super) struct Counted {
    /// One for each window, ascending.
    pub(super) tables: Vec<WindowTable>,
    pub(super) calls: calls::CallTable,
    /// The clock of the last commit.
    pub(super) now: u64,
}

impl Counted {
    /// The place of the table of `window`.
    fn table(&mut self, window: u64, now: u64) -> usize {
        match self.tables.binary_search_by_key(&window, |table| table.window) {
            Ok(place) => place,
            Err(place) => {
                self.tables.insert(place, WindowTable::new(window, now));
                place
            }
        }
    }
}

impl Shard {
    /// Adds all observations of a request, in the windows that are open at `now`.
    pub(super) fn add(
        &mut self,
        stage: &Stage,
        registry: &Registry,
        watermark: &WindowWatermark,
        now: u64,
        exemplars: usize,
    ) {
        let Self { counted, dims, chains, resolved } = self;
        let open = watermark.open(now);
        registry.refresh(dims, chains);
        resolved.clear();
        resolved.extend(stage.dims.iter().map(|values| registry.dims(dims, values)));
        counted.now = counted.now.max(now);
        if counted.tables.len() >= MAX_TABLES {
            let oldest = counted.tables.remove(0);
            counted.tables[0].absorb(oldest);
        }
        let mut last = (None, registry.chain(chains, None));
        let (mut place, mut at) = (None, 0);
        // The observations from `first` on have been looked up in the table at `at`, and not been counted yet.
        let (mut first, mut cells) = (0, [0; LOOKUP_BATCH]);
        for (nth, observation) in stage.observations.iter().enumerate() {
            if observation.chain != last.0 {
                last = (observation.chain, registry.chain(chains, observation.chain));
            }
            let found = open.timeliness(observation.end_unix_nano);
            if place != Some(found) || nth - first == LOOKUP_BATCH {
                if let Some(table) = counted.tables.get_mut(at) {
                    table.count(&stage.observations[first..nth], &cells, exemplars);
                }
                first = nth;
            }
            if place != Some(found) {
                place = Some(found);
                at = counted.table(open.window(found), now);
            }
            // An index that points nowhere is a mistake of the walk; its span is counted all the same.
            let dims = resolved.get(observation.dims as usize).copied().unwrap_or(OVERFLOW_DIMS);
            let key = CellKey::new(dims, last.1, &observation.measured);
            let table = &mut counted.tables[at];
            table.late += u64::from(found == Timeliness::Late);
            table.future += u64::from(found == Timeliness::Future);
            cells[nth - first] = match table.index.get(&key) {
                Some(cell) => *cell,
                None => register(table, registry, key, stage, observation, last.1),
            };
        }
        if let Some(table) = counted.tables.get_mut(at) {
            table.count(&stage.observations[first..], &cells, exemplars);
        }
        for reading in &stage.readings {
            let dims = resolved.get(reading.dims as usize).copied().unwrap_or(OVERFLOW_DIMS);
            let chain = registry.chain(chains, reading.chain);
            let (metric, _) = gauge::value(reading.state);
            let key = GaugeKey { metric, dims, chain, subject: reading.subject.clone() };
            let label = gauge::chain_label(chain, reading.chain);
            let seen = Gauge::new(reading, stage.dims.get(reading.dims as usize).cloned().unwrap_or_default(), label);
            let at = counted.table(open.window(open.timeliness(reading.end_unix_nano)), now);
            let gauges = &mut counted.tables[at].gauges;
            match gauges.get_mut(&key) {
                Some(gauge) => gauge.see(&seen),
                None => see(gauges, registry.gauge(key), seen),
            }
        }
        for call in &stage.calls {
            let label = gauge::chain_label(registry.chain(chains, call.chain), call.chain);
            counted.calls.add(call, label, now, &registry.calls);
        }
    }
}
