//! Calls: every span, operation or not, by service, name, kind and status, as Jaeger's Monitor tab reads them.
//!
//! Optional, on Prometheus only, and apart from the operations: calls have keys, tables and [admission](CallAdmission) of their own,
//! so that span names, which anybody may invent, take nothing from the series of operations. They are staged, committed
//! and collected together with them: a request counts in both or in neither.
//!
//! The names, labels and values are those of the OpenTelemetry Collector's `spanmetrics` connector, which Jaeger's query
//! service expects.

mod admission;

use std::sync::Arc;

use hashbrown::{Equivalent, HashMap};

pub(super) use admission::CallAdmission;
pub use admission::{series_of_calls, with_calls};

use super::bounds::{Bounds, SECONDS};
use super::histogram::FixedHistogram;
use super::labels::ChainLabel;
use crate::chain::ChainId;

/// The classic buckets of durations, in nanoseconds as everywhere, shown in milliseconds: Jaeger's default unit.
static MILLISECONDS: Bounds = Bounds { values: SECONDS.values, decimals: 6 };

/// Beyond so many keys a table no longer remembers which cell a key belongs to, and asks each time.
const MOST_REMEMBERED: usize = 1 << 14;

/// A metric of calls: a row of the catalogue of its own, for its names are fixed.
#[derive(Clone, Copy, Debug)]
pub struct CallMetric {
    /// Prometheus name, without `_total`, `_bucket` and the like.
    pub name: &'static str,
    /// Whether it is the distribution of durations; the other one is the counter.
    pub histogram: bool,
    /// Labels, in the order in which they are shown.
    pub labels: &'static [&'static str],
    /// One sentence for people.
    pub help: &'static str,
}

const LABELS: &[&str] = &["service_name", "span_name", "span_kind", "status_code", "chain_id"];

/// The two metrics of calls.
pub const CALL_METRICS: [CallMetric; 2] = [
    CallMetric {
        name: "traces_span_metrics_calls",
        histogram: false,
        labels: LABELS,
        help: "Spans that ended, operations or not. Only with span_metrics: true.",
    },
    CallMetric {
        name: "traces_span_metrics_duration_milliseconds",
        histogram: true,
        labels: LABELS,
        help: "Time from start to end of a span, operation or not. Only with span_metrics: true.",
    },
];

/// `SpanKind` of OTLP. What is none of them is unspecified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are those of the protocol")]
pub enum SpanKind {
    #[default]
    Unspecified,
    Internal,
    Server,
    Client,
    Producer,
    Consumer,
}

/// `StatusCode` of OTLP. What is none of them is unset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are those of the protocol")]
pub enum StatusCode {
    #[default]
    Unset,
    Ok,
    Error,
}

impl SpanKind {
    /// From the number on the wire.
    pub fn from_wire(number: i32) -> Self {
        match number {
            1 => Self::Internal,
            2 => Self::Server,
            3 => Self::Client,
            4 => Self::Producer,
            5 => Self::Consumer,
            _ => Self::Unspecified,
        }
    }

    /// The name in the protocol.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Unspecified => "SPAN_KIND_UNSPECIFIED",
            Self::Internal => "SPAN_KIND_INTERNAL",
            Self::Server => "SPAN_KIND_SERVER",
            Self::Client => "SPAN_KIND_CLIENT",
            Self::Producer => "SPAN_KIND_PRODUCER",
            Self::Consumer => "SPAN_KIND_CONSUMER",
        }
    }
}

impl StatusCode {
    /// From the number on the wire.
    pub fn from_wire(number: i32) -> Self {
        match number {
            1 => Self::Ok,
            2 => Self::Error,
            _ => Self::Unset,
        }
    }

    /// The name in the protocol.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Unset => "STATUS_CODE_UNSET",
            Self::Ok => "STATUS_CODE_OK",
            Self::Error => "STATUS_CODE_ERROR",
        }
    }
}

/// One span, ready to be counted.
#[derive(Clone, Debug)]
pub struct Call {
    /// `service.name` of its resource; empty where it has none. Whoever stages it has bounded its length.
    pub service: Arc<str>,
    /// Its name, bounded likewise.
    pub name: Arc<str>,
    /// Its kind.
    pub kind: SpanKind,
    /// Its status.
    pub status: StatusCode,
    /// Its chain; `None` is counted under `unknown`.
    pub chain: Option<ChainId>,
    /// End minus start in nanoseconds; 0 when the end is before the start.
    pub duration_nano: u64,
}

/// What tells calls apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallKey {
    /// `service.name`.
    pub service: Arc<str>,
    /// Span name.
    pub name: Arc<str>,
    /// Span kind.
    pub kind: SpanKind,
    /// Span status.
    pub status: StatusCode,
    /// The chain.
    pub chain: ChainLabel,
    /// All beyond the limit, together: nothing but the chain tells them apart, the rest is empty.
    pub overflow: bool,
}

/// A key that is only looked for. Its fields stand in the same order, so that it has the same hash.
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

impl CallKey {
    fn new(call: &Call, chain: ChainLabel) -> Self {
        let Call { service, name, kind, status, .. } = call.clone();
        Self { service, name, kind, status, chain, overflow: false }
    }

    /// What all share that are beyond the limit.
    fn overflow(chain: ChainLabel) -> Self {
        let nothing: Arc<str> = Arc::default();
        let (kind, status) = Default::default();
        Self { service: nothing.clone(), name: nothing, kind, status, chain, overflow: true }
    }
}

/// What a shard has counted since it was last collected.
#[derive(Debug, Default)]
pub(super) struct CallTable {
    /// Which cell counts for a key; several keys may share an overflow cell.
    index: HashMap<CallKey, u32>,
    cells: Vec<(CallKey, FixedHistogram)>,
    /// The clock of the first commit.
    since: u64,
}

impl CallTable {
    /// Counts one span.
    pub(super) fn add(&mut self, call: &Call, chain: ChainLabel, now: u64, places: &CallAdmission) {
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
        if self.index.len() < MOST_REMEMBERED {
            self.index.insert(key, place);
        }
        place
    }
}

/// The running totals.
#[derive(Debug, Default)]
pub(super) struct Totals {
    entries: HashMap<CallKey, CallTotal>,
    /// Spans counted beyond the limit.
    pub(super) overflow: u64,
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
    pub(super) fn enter(
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
    pub(super) fn retire(&mut self, now: u64, idle: u64, places: &CallAdmission) -> bool {
        let retired = self.entries.extract_if(|_, entry| now.saturating_sub(entry.touched) >= idle);
        let retired: Vec<CallKey> = retired.map(|(key, _)| key).collect();
        places.give_back(&retired);
        !retired.is_empty()
    }

    /// The chains that have any.
    pub(super) fn chains(&self) -> impl Iterator<Item = ChainLabel> + '_ {
        self.entries.keys().map(|key| key.chain)
    }

    /// All series, in a stable order.
    pub(super) fn series(&self) -> Vec<Calls> {
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
