//! The running totals of calls.

use hashbrown::HashMap;

use super::admission::CallAdmission;
use super::key::CallKey;
use super::table::{CallTable, MILLISECONDS};
use crate::red::fixed_histogram::FixedHistogram;
use crate::red::labels::ChainLabel;

/// The running totals.
#[derive(Debug, Default)]
pub(in crate::red) struct Totals {
    entries: HashMap<CallKey, CallTotal>,
    /// Spans counted beyond the limit.
    pub(in crate::red) overflow: u64,
}

#[derive(Debug)]
struct CallTotal {
    durations: FixedHistogram,
    since: u64,
    touched: u64,
}

/// The series of one key: how many spans, and how long they took.
#[derive(Clone, Debug)]
pub struct Calls {
    /// What tells it apart.
    pub key: CallKey,
    /// When it began to count, nanoseconds since the Unix epoch.
    pub start_unix_nano: u64,
    /// Durations, in nanoseconds with bounds that print as milliseconds; its count is the count of calls.
    pub durations: FixedHistogram,
}

impl Totals {
    /// Adds what a shard has counted. `home` says which label a chain has now: it may have been retired meanwhile.
    pub(in crate::red) fn enter(
        &mut self,
        table: CallTable,
        now: u64,
        places: &CallAdmission,
        home: impl Fn(ChainLabel) -> ChainLabel,
    ) {
        for (mut key, durations) in table.cells {
            let chain = home(key.chain);
            if chain != key.chain {
                places.give_back([&key]);
                key.chain = chain;
            }
            if key.overflow || !places.admit(&key) {
                key = CallKey::overflow(chain);
                self.overflow += durations.count();
            }
            let entry = self.entries.entry(key).or_insert_with(|| CallTotal {
                durations: FixedHistogram::new(&MILLISECONDS),
                since: table.since,
                touched: now,
            });
            entry.durations.merge(&durations);
            entry.touched = entry.touched.max(now);
        }
    }

    /// Forgets what nothing has been counted in for `idle` nanoseconds at `now`. Whether there was any.
    pub(in crate::red) fn retire(&mut self, now: u64, idle: u64, places: &CallAdmission) -> bool {
        let retired = self.entries.extract_if(|_, entry| now.saturating_sub(entry.touched) >= idle);
        let retired: Vec<CallKey> = retired.map(|(key, _)| key).collect();
        places.give_back(&retired);
        !retired.is_empty()
    }

    /// The chains that have any.
    pub(in crate::red) fn chains(&self) -> impl Iterator<Item = ChainLabel> + '_ {
        self.entries.keys().map(|key| key.chain)
    }

    /// All series, in a stable order.
    pub(in crate::red) fn series(&self) -> Vec<Calls> {
        let calls = |(key, entry): (&CallKey, &CallTotal)| Calls {
            key: key.clone(),
            start_unix_nano: entry.since,
            durations: entry.durations.clone(),
        };
        let mut series: Vec<Calls> = self.entries.iter().map(calls).collect();
        series.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        series
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::ChainId;
    use crate::red::calls::{Call, SpanKind, StatusCode};

    /// What was counted under a label that has been taken away since is counted under the one that the chain has now, and
    /// gives its place back.
    #[test]
    fn a_chain_without_its_label_moves() {
        let places = CallAdmission::new(1_000, 3);
        let id = ChainId::new(1).expect("in range");
        let call = Call {
            service: "s".into(),
            name: "n".into(),
            kind: SpanKind::Server,
            status: StatusCode::Unset,
            chain: Some(id),
            duration_nano: 5,
        };
        let mut totals = Totals::default();
        for (home, count) in [(ChainLabel::Id(id), 1), (ChainLabel::Other, 2)] {
            let mut table = CallTable::default();
            (0..count).for_each(|_| table.add(&call, ChainLabel::Id(id), 7, &places));
            totals.enter(table, 7, &places, |_| home);
        }
        let counts: Vec<_> = totals.series().iter().map(|calls| (calls.key.chain, calls.durations.count())).collect();
        assert_eq!(counts, [(ChainLabel::Id(id), 1), (ChainLabel::Other, 2)]);
        assert!(totals.retire(10, 3, &places));
        assert!(!totals.retire(10, 3, &places) && totals.series().is_empty());
        assert!(places.admit(&CallKey::new(&call, ChainLabel::Id(id))), "there is room again");
    }
}
