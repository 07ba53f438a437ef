//! Which dimensions, chains and series are told apart: the limits that hold even if a client invents chains, services or
//! reasons.
//!
//! Shared by all shards and asked only when a shard meets something for the first time since it was last collected. What
//! has been admitted stays until it is retired; what was turned away shares one series per metric and chain.
//!
//! The place of a retired series can be taken again. Ids are never given out twice (see `interner`): a commit that still
//! holds the id of a retired name writes under a number that nothing else has, and the collection interns the name again.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};

use dashmap::DashSet;
use hashbrown::{HashMap, HashSet};

use super::calls::CallAdmission;
use super::gauge::{GaugeKey, MAX_SUBJECTS};
use super::interner::{Interner, InternerCache};
use super::key::{CellKey, OTHER_CHAIN, OVERFLOW_DIMS, SeriesKey, UNKNOWN_CHAIN};
use super::labels::ChainLabel;
use super::metric::Metric;
use super::stage::Dims;
use crate::chain::ChainId;
use crate::lock::lock;

/// Bytes of all dimension values of a resource together; what is longer is counted in the shared series instead of kept.
const LONGEST_DIMS: usize = 1_024;

/// Admission of dimensions, chains and series.
#[derive(Debug)]
pub(super) struct Registry {
    dims: Interner<Arc<Dims>>,
    chains: Interner<ChainId>,
    /// Chains that are never retired.
    configured: BTreeSet<ChainId>,
    cells: DashSet<CellKey>,
    series: DashSet<SeriesKey>,
    gauges: DashSet<GaugeKey>,
    /// Held while something is admitted or retired, so that the limit is exact.
    room: Mutex<SeriesQuota>,
    max_cells: usize,
    /// Calls have places of their own.
    pub(super) calls: CallAdmission,
    labels: usize,
}

#[derive(Debug)]
struct SeriesQuota {
    /// Series that may still be admitted.
    left: usize,
    /// How many gauges a metric has of a chain.
    subjects: HashMap<(Metric, u32), usize>,
}

impl Registry {
    pub(super) fn new(chains: impl Iterator<Item = ChainId>, max_chains: usize, max_series: usize) -> Self {
        let configured: BTreeSet<ChainId> = chains.collect();
        let labels = configured.len().saturating_add(max_chains).min(UNKNOWN_CHAIN as usize);
        // Room for the series of last resort, one per metric and chain label, is kept free from the start; but never
        // more than half, so that a small limit still tells something apart.
        let kept_free = ((labels + 2) * Metric::COUNT).min(max_series / 2);
        let registry = Self {
            dims: Interner::new(max_series.min(OVERFLOW_DIMS as usize), OVERFLOW_DIMS),
            chains: Interner::new(labels, UNKNOWN_CHAIN),
            configured,
            cells: DashSet::new(),
            series: DashSet::new(),
            gauges: DashSet::new(),
            room: Mutex::new(SeriesQuota { left: max_series - kept_free, subjects: HashMap::new() }),
            max_cells: max_series,
            calls: CallAdmission::new(0, 0),
            labels: labels + 2,
        };
        registry.configured.iter().for_each(|chain| {
            registry.chains.admit(chain);
        });
        registry
    }

    /// The same with room for `max_series` series of calls.
    pub(super) fn with_calls(self, max_series: usize) -> Self {
        Self { calls: CallAdmission::new(max_series, self.labels), ..self }
    }

    /// Makes a shard forget ids that have been taken back. To be called before it interns anything for a request.
    pub(super) fn refresh(&self, dims: &mut InternerCache<Arc<Dims>>, chains: &mut InternerCache<ChainId>) {
        dims.refresh(&self.dims);
        chains.refresh(&self.chains);
    }

    /// The id of `dims`, or [`OVERFLOW_DIMS`].
    pub(super) fn dims(&self, known: &mut InternerCache<Arc<Dims>>, dims: &Arc<Dims>) -> u32 {
        if dims.0.iter().map(|value| value.len()).sum::<usize>() > LONGEST_DIMS {
            return OVERFLOW_DIMS;
        }
        known.id(dims, &self.dims).unwrap_or(OVERFLOW_DIMS)
    }

    /// The id of `chain`, [`OTHER_CHAIN`] or [`UNKNOWN_CHAIN`].
    #[inline]
    pub(super) fn chain(&self, known: &mut InternerCache<ChainId>, chain: Option<ChainId>) -> u32 {
        chain.map_or(UNKNOWN_CHAIN, |chain| known.id(&chain, &self.chains).unwrap_or(OTHER_CHAIN))
    }

    /// The cell that counts for `key`: its own if all its series are admitted, else the overflow cell of its chain.
    pub(super) fn cell(&self, key: CellKey) -> CellKey {
        if key.is_overflow() {
            return key.overflow();
        }
        if self.cells.contains(&key) {
            return key;
        }
        let mut room = self.room();
        let wanted: Vec<SeriesKey> = key.series().filter(|series| !self.series.contains(series)).collect();
        if wanted.len() > room.left || self.cells.len() >= self.max_cells {
            return key.overflow();
        }
        room.left -= wanted.len();
        wanted.into_iter().for_each(|series| {
            self.series.insert(series);
        });
        self.cells.insert(key);
        key
    }

    /// The gauge that shows what was read under `key`: its own if there is room, else the overflow gauge of its chain.
    pub(super) fn gauge(&self, key: GaugeKey) -> GaugeKey {
        if key.is_overflow() {
            return key.overflow();
        }
        if self.gauges.contains(&key) {
            return key;
        }
        let mut room = self.room();
        if room.left == 0 || self.gauges.contains(&key) {
            return if room.left == 0 { key.overflow() } else { key };
        }
        let subjects = room.subjects.entry((key.metric, key.chain)).or_default();
        if *subjects >= MAX_SUBJECTS {
            return key.overflow();
        }
        *subjects += 1;
        room.left -= 1;
        self.gauges.insert(key.clone());
        key
    }

    /// Where what was counted for `dims` and `chain` belongs now, whatever ids it was counted under.
    pub(super) fn home(&self, ids: (u32, u32), dims: &Arc<Dims>, chain: ChainLabel) -> (u32, u32) {
        let dims = if ids.0 == OVERFLOW_DIMS { None } else { self.dims.admit(dims) };
        let chain = match chain {
            ChainLabel::Id(chain) => self.chains.admit(&chain).unwrap_or(OTHER_CHAIN),
            ChainLabel::Other => OTHER_CHAIN,
            ChainLabel::Unknown => UNKNOWN_CHAIN,
        };
        (dims.unwrap_or(OVERFLOW_DIMS), chain)
    }

    /// The label that a chain has now; it may have been retired since it had one.
    pub(super) fn label(&self, chain: ChainLabel) -> ChainLabel {
        match chain {
            ChainLabel::Id(id) if self.chains.admit(&id).is_none() => ChainLabel::Other,
            same => same,
        }
    }

    /// Gives back the places of a cell whose ids have been taken back before it was collected.
    pub(super) fn disown(&self, key: CellKey) {
        let mut room = self.room();
        if self.cells.remove(&key).is_some() {
            room.left += key.series().filter(|series| self.series.remove(series).is_some()).count();
        }
    }

    /// The same for a gauge.
    pub(super) fn disown_gauge(&self, key: &GaugeKey) {
        self.retire_gauges(&mut self.room(), std::slice::from_ref(key));
    }

    fn retire_gauges(&self, room: &mut SeriesQuota, gauges: &[GaugeKey]) {
        for key in gauges {
            if self.gauges.remove(key).is_some() {
                room.left += 1;
                if let Some(subjects) = room.subjects.get_mut(&(key.metric, key.chain)) {
                    *subjects -= 1;
                }
            }
        }
        room.subjects.retain(|_, subjects| *subjects > 0);
    }

    /// Gives back the places of `series` and `gauges`, and those of all dimensions and chains that are not in `live` any
    /// more. What comes back after that is admitted anew, as if it had never been there.
    pub(super) fn retire(&self, series: &[SeriesKey], gauges: &[GaugeKey], live: impl Iterator<Item = (u32, u32)>) {
        let mut room = self.room();
        let gone: HashSet<SeriesKey> = series.iter().copied().filter(|key| self.series.remove(key).is_some()).collect();
        room.left += gone.len();
        self.cells.retain(|cell| !cell.series().any(|series| gone.contains(&series)));
        self.retire_gauges(&mut room, gauges);
        drop(room);
        let (dims, chains): (HashSet<u32>, HashSet<u32>) = live.unzip();
        self.dims.retire(|_, id| dims.contains(&id));
        self.chains.retire(|chain, id| chains.contains(&id) || self.configured.contains(chain));
    }

    fn room(&self) -> MutexGuard<'_, SeriesQuota> {
        lock(&self.room)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A configured chain has its label even if others came first; these get theirs up to the limit, then share one.
    #[test]
    fn configured_chains_keep_their_label() {
        let chain = |raw| ChainId::new(raw).expect("in range");
        let registry = Registry::new([chain(1), chain(2)].into_iter(), 1, 1_000);
        let mut known = InternerCache::default();
        assert_eq!(registry.chain(&mut known, Some(chain(70))), 2);
        assert_eq!(registry.chain(&mut known, Some(chain(71))), OTHER_CHAIN);
        assert_eq!(registry.chain(&mut known, Some(chain(2))), 1);
        assert_eq!(registry.chain(&mut known, Some(chain(1))), 0);
        assert_eq!(registry.chain(&mut known, None), UNKNOWN_CHAIN);
        let only_configured = Registry::new((1..=5).map(chain), 0, 1_000);
        assert_eq!(only_configured.chain(&mut InternerCache::default(), Some(chain(5))), 4);
        assert_eq!(only_configured.chain(&mut InternerCache::default(), Some(chain(6))), OTHER_CHAIN);
    }

    /// A service name of a kilobyte is not kept.
    #[test]
    fn absurd_dimensions_are_not_kept() {
        let registry = Registry::new(std::iter::empty(), 3, 1_000);
        let absurd = Arc::new(Dims(vec!["x".repeat(LONGEST_DIMS + 1).into()].into()));
        assert_eq!(registry.dims(&mut InternerCache::default(), &absurd), OVERFLOW_DIMS);
        assert_eq!(registry.dims.admit(&Arc::default()), Some(0), "no id was given out");
    }
}
