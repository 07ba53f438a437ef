//! What one shard counts in one window until it is collected.

use std::sync::Arc;

use hashbrown::HashMap;

use super::cell::Cell;
use super::gauge::{self, Gauge, GaugeKey, Gauges};
use super::key::CellKey;
use super::labels::Attributes;
use super::registry::Registry;
use super::stage::{Observation, Stage};

/// Keys of which a table remembers the cell; for others beyond the limit of series it asks the registry each time.
/// A table must not grow with the keys that clients invent.
const MAX_REMEMBERED_KEYS: usize = 1 << 14;

/// Observations that are looked up before they are counted, so that their counters are fetched from memory at the same
/// time.
pub(super) const LOOKUP_BATCH: usize = 16;

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
    pub(super) index: HashMap<CellKey, u32>,
    cells: Vec<(CellKey, Cell)>,
    pub(super) gauges: Gauges,
}

impl WindowTable {
    pub(super) fn new(window: u64, since: u64) -> Self {
        Self { window, since, late: 0, future: 0, index: HashMap::new(), cells: Vec::new(), gauges: Gauges::new() }
    }

    pub(super) fn into_parts(self) -> (impl Iterator<Item = (CellKey, Cell)>, Gauges) {
        (self.cells.into_iter(), self.gauges)
    }

    /// Counts `observations` in the cells that have been found for them.
    #[inline]
    pub(super) fn count(&mut self, observations: &[Observation], cells: &[u32; LOOKUP_BATCH], exemplars: usize) {
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
    pub(super) fn absorb(&mut self, older: Self) {
        self.since = self.since.min(older.since);
        // Cells of one key may stand side by side: the collection adds them up.
        self.cells.extend(older.cells);
        older.gauges.into_iter().for_each(|(key, seen)| see(&mut self.gauges, key, seen));
        self.late += older.late;
        self.future += older.future;
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
pub(super) fn register(
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
    if table.index.len() < MAX_REMEMBERED_KEYS {
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
