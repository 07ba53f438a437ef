//! What a shard counts of calls until it is collected.

use hashbrown::{Equivalent, HashMap};

use super::admission::CallAdmission;
use super::key::{Call, CallKey, SpanKind, StatusCode};
use crate::red::bounds::{Bounds, SECONDS};
use crate::red::fixed_histogram::FixedHistogram;
use crate::red::labels::ChainLabel;

/// The classic buckets of durations, in nanoseconds as everywhere, shown in milliseconds: Jaeger's default unit.
pub(super) static MILLISECONDS: Bounds = Bounds { values: SECONDS.values, decimals: 6 };

/// Keys of which a table remembers the cell; for others it asks the admission each time.
const MAX_REMEMBERED_KEYS: usize = 1 << 14;

/// A borrowed key to look up with. Its fields stand in the order of [`CallKey`], so that both have the same hash.
#[derive(Hash)]
struct Sought<'c> {
    service: &'c str,
    name: &'c str,
    kind: SpanKind,
    status: StatusCode,
    chain: ChainLabel,
    overflow: bool,
}

impl Equivalent<CallKey> for Sought<'_> {
    fn equivalent(&self, key: &CallKey) -> bool {
        (self.chain, self.kind, self.status, self.overflow) == (key.chain, key.kind, key.status, key.overflow)
            && *self.name == *key.name
            && *self.service == *key.service
    }
}

/// What a shard has counted since it was last collected.
#[derive(Debug, Default)]
pub(in crate::red) struct CallTable {
    /// Which cell counts for a key; several keys may share an overflow cell.
    index: HashMap<CallKey, u32>,
    pub(super) cells: Vec<(CallKey, FixedHistogram)>,
    /// The clock of the first commit.
    pub(super) since: u64,
}

impl CallTable {
    /// Counts one span.
    pub(in crate::red) fn add(&mut self, call: &Call, chain: ChainLabel, now: u64, places: &CallAdmission) {
        let Call { service, name, kind, status, .. } = call;
        let sought = Sought { service, name, kind: *kind, status: *status, chain, overflow: false };
        let place = match self.index.get(&sought) {
            Some(place) => *place,
            None => self.register(CallKey::new(call, chain), now, places),
        };
        self.cells[place as usize].1.add(i64::try_from(call.duration_nano).unwrap_or(i64::MAX));
    }

    #[cold]
    fn register(&mut self, key: CallKey, now: u64, places: &CallAdmission) -> u32 {
        if self.cells.is_empty() {
            self.since = now;
        }
        let target = if places.admit(&key) { key.clone() } else { CallKey::overflow(key.chain) };
        let place = match self.index.get(&target) {
            Some(place) => *place,
            None => {
                let place = self.cells.len() as u32;
                self.cells.push((target.clone(), FixedHistogram::new(&MILLISECONDS)));
                self.index.insert(target, place);
                place
            }
        };
        if self.index.len() < MAX_REMEMBERED_KEYS {
            self.index.insert(key, place);
        }
        place
    }
}
