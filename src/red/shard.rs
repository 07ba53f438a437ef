//! The tables that the hot path adds to: plain data behind locks that nobody waits for.
//!
//! One more shard than there are threads that commit: each of them holds at most one, a snapshot holds at most one, so one
//! is always free. A thread tries its own seat first and finds it free and warm nearly always. Only if more threads commit
//! than the shards were made for can all be taken; then the thread looks again until one is let go, which takes no longer
//! than one commit.

use std::sync::Arc;

use hashbrown::HashMap;

use super::calls;
use super::cell::Cell;
use super::gauge::{self, Gauge, GaugeKey, Gauges};
use super::key::{CellKey, OVERFLOW_DIMS};
use super::labels::Attributes;
use super::registry::{InternerCache, Registry};
use super::stage::{Dims, Observation, Stage};
use super::sync::{self, Mutex, MutexGuard};
use super::window::{Timeliness, WindowWatermark};
use crate::chain::ChainId;

/// Beyond so many keys a table no longer remembers which overflow cell a key belongs to, and asks the registry each time.
/// A table must not grow with what strangers invent.
const MOST_REMEMBERED: usize = 1 << 14;

/// Tables that a shard has at most. Two are open, one may wait to be collected; if nobody collects for longer than that,
/// the oldest two become one, so that memory stays bounded and nothing is lost but some resolution.
const MOST_TABLES: usize = 4;

/// So many observations are looked up before they are counted, so that their counters come from memory at the same time.
const LOOKUP_BATCH: usize = 16;

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

    /// A shard that nobody else holds.
    pub(super) fn take(&self) -> MutexGuard<'_, Shard> {
        let hint = sync::shard_hint() % self.0.len();
        let (before, from) = self.0.split_at(hint);
        let mut round = 0;
        loop {
            if let Some(shard) = from.iter().chain(before).find_map(|shard| sync::try_lock(&shard.0)) {
                return shard;
            }
            sync::pause(round);
            round = round.saturating_add(1);
        }
    }

    /// Takes what each shard has away, one after the other. A shard is held for one move of a few words.
    pub(super) fn collect(&self) -> impl Iterator<Item = Counted> + '_ {
        self.0.iter().map(|shard| std::mem::take(&mut sync::lock(&shard.0).counted))
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

/// The sums of one window since the last collection.
#[derive(Debug)]
pub(super) struct WindowTable {
    /// Number of the window.
    pub(super) window: u64,
    /// The clock of the first commit.
    pub(super) since: u64,
    pub(super) late: u64,
    pub(super) future: u64,
    /// Which cell counts for a key; several keys may share an overflow cell.
    index: HashMap<CellKey, u32>,
    cells: Vec<(CellKey, Cell)>,
    gauges: Gauges,
}

impl WindowTable {
    fn new(window: u64, since: u64) -> Self {
        Self { window, since, late: 0, future: 0, index: HashMap::new(), cells: Vec::new(), gauges: Gauges::new() }
    }

    pub(super) fn into_parts(self) -> (impl Iterator<Item = (CellKey, Cell)>, Gauges) {
        (self.cells.into_iter(), self.gauges)
    }

    /// Counts `observations` in the cells that have been found for them.
    #[inline]
    fn count(&mut self, observations: &[Observation], cells: &[u32; LOOKUP_BATCH], exemplars: usize) {
        let touched = observations
            .iter()
            .zip(cells)
            .map(|(observation, cell)| self.cells[*cell as usize].1.duration.histogram.peek(observation.duration_nano));
        std::hint::black_box(touched.fold(0, u32::wrapping_add));
        for (observation, cell) in observations.iter().zip(cells) {
            self.cells[*cell as usize].1.add(observation, exemplars);
        }
    }

    /// Takes in an older table.
    fn absorb(&mut self, older: Self) {
        self.since = self.since.min(older.since);
        // Cells of one key may stand side by side: whoever collects adds them up.
        self.cells.extend(older.cells);
        older.gauges.into_iter().for_each(|(key, seen)| see(&mut self.gauges, key, seen));
        self.late += older.late;
        self.future += older.future;
    }
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
        if counted.tables.len() >= MOST_TABLES {
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
            let found = open.place(observation.end_unix_nano);
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
            let at = counted.table(open.window(open.place(reading.end_unix_nano)), now);
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

/// Notes what was seen under a key that has just been admitted or turned away.
pub(super) fn see(gauges: &mut Gauges, key: GaugeKey, mut seen: Gauge) {
    if key.is_overflow() {
        seen.dims = Arc::default();
    }
    match gauges.get_mut(&key) {
        Some(gauge) => gauge.see(&seen),
        None => {
            gauges.insert(key, seen);
        }
    }
}

/// The place of the cell that counts for a key which this table has not met since it was last collected.
#[cold]
fn register(
    table: &mut WindowTable,
    registry: &Registry,
    key: CellKey,
    stage: &Stage,
    observation: &Observation,
    chain: u32,
) -> u32 {
    let target = registry.cell(key);
    let known = (target != key).then(|| table.index.get(&target).copied()).flatten();
    let place = known.unwrap_or_else(|| {
        let place = table.cells.len() as u32;
        table.cells.push((target, new_cell(target, stage, observation, chain)));
        table.index.insert(target, place);
        place
    });
    if table.index.len() < MOST_REMEMBERED {
        table.index.insert(key, place);
    }
    place
}

fn new_cell(key: CellKey, stage: &Stage, observation: &Observation, chain: u32) -> Cell {
    let measured = &observation.measured;
    let attributes = Attributes {
        chain: gauge::chain_label(chain, observation.chain),
        operation: Some(measured.operation),
        outcome: Some(measured.outcome),
        reason: measured.reason,
        webhook: measured.webhook,
        part: None,
        overflow: key.is_overflow(),
    };
    let dims = stage.dims.get(observation.dims as usize).filter(|_| !attributes.overflow).cloned();
    Cell::new(dims.unwrap_or_default(), attributes)
}
