//! The aggregator: adds up the tables of the shards, off the hot path, into running totals and windows.
//!
//! What a window costs: its own copy of each series that was counted in it, from its first span until it is handed out.
//! A duration that spreads over three octaves takes about 3.4 KB with its exemplars, anything else 0.2 to 0.6 KB: 4,096
//! busy series, half of them durations, are 7.5 MB a window, and 9 MB in the running totals (`tests/red/bounds.rs` measures
//! both). There are the two open windows and one that is about to be handed out. If they are not fetched, at most
//! [`MAX_PENDING_WINDOWS`] wait; then the oldest two become one that is twice as long, so that memory stays bounded and nothing is
//! lost, doubled or overlapping.

mod out;
mod upkeep;

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;

use super::calls;
use super::cell::Cell;
use super::chain_health::{Cause, ChainHealth, Happened, Thresholds, Tracker};
use super::gauge::{Gauge, GaugeKey};
use super::key::{CellKey, SeriesKey};
use super::labels::{Attributes, ChainLabel};
use super::latest::LatestByWindow;
use super::ledger::{CountedAt, Ledger};
use super::metric::Metric;
use super::registry::Registry;
use super::shard::Counted;
use super::stage::Dims;
use super::table::WindowTable;
use super::window;
use crate::gateway::{Operation, OutcomeClass, QuorumClass};

/// Windows that may wait to be handed out; beyond that the oldest two become one that is twice as long.
const MAX_PENDING_WINDOWS: usize = 32;

/// The settings of an aggregator.
#[derive(Debug)]
pub(super) struct AggregatorRules {
    pub(super) namespace: Arc<str>,
    pub(super) dimensions: Arc<[String]>,
    pub(super) idle_nano: u64,
    pub(super) health: Thresholds,
    pub(super) chain_health: BTreeMap<crate::chain::ChainId, Thresholds>,
}

/// Everything that has been counted.
#[derive(Debug)]
pub(super) struct Aggregator {
    rules: AggregatorRules,
    totals: Ledger,
    /// By the number of their first window.
    windows: BTreeMap<u64, PendingWindow>,
    /// The first window that has not been handed out.
    next: u64,
    /// Until when windows have been handed out, nanoseconds since the Unix epoch.
    handed_out: u64,
    /// The first window in which anything was counted.
    began: Option<u64>,
    gauges: HashMap<GaugeKey, Seen>,
    successes: HashMap<SeriesKey, Success>,
    chains: HashMap<SeriesKey, TrackedChain>,
    calls: calls::Totals,
    /// The latest time that a commit or a reader was given.
    now: u64,
    swept: u64,
    evaluated: u64,
}

#[derive(Debug)]
struct PendingWindow {
    last: u64,
    ledger: Ledger,
}

#[derive(Debug)]
struct Seen {
    /// As it was first seen: whose it is.
    gauge: Gauge,
    /// End of the span and value.
    latest: LatestByWindow<(u64, i64)>,
    touched: u64,
    since: u64,
    above_since: Option<u64>,
}

#[derive(Debug)]
struct Success {
    dims: Arc<Dims>,
    attributes: Attributes,
    /// End of the span.
    latest: LatestByWindow<u64>,
    since: u64,
}

#[derive(Debug)]
struct TrackedChain {
    dims: Arc<Dims>,
    attributes: Attributes,
    touched: u64,
    since: u64,
    tracker: Tracker,
}

/// The health of one chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainState {
    /// Values of the dimensions.
    pub dims: Arc<Dims>,
    /// The chain.
    pub chain: ChainLabel,
    /// Its health.
    pub health: ChainHealth,
    /// Why, unless it is healthy.
    pub why: Option<Cause>,
}

impl Aggregator {
    /// Nothing counted; no window begins before `start_unix_nano`.
    pub(super) fn new(rules: AggregatorRules, start_unix_nano: u64) -> Self {
        Self {
            rules,
            totals: Ledger::default(),
            windows: BTreeMap::new(),
            next: window::number(start_unix_nano),
            handed_out: start_unix_nano,
            began: None,
            gauges: HashMap::new(),
            successes: HashMap::new(),
            chains: HashMap::new(),
            calls: calls::Totals::default(),
            now: start_unix_nano,
            swept: start_unix_nano,
            evaluated: 0,
        }
    }

    /// Adds what a shard has counted since it was last collected.
    pub(super) fn enter(&mut self, counted: Counted, registry: &Registry) {
        self.now = self.now.max(counted.now);
        for table in counted.tables {
            self.enter_table(table, registry);
        }
        self.calls.enter(counted.calls, self.now, &registry.calls, |chain| registry.label(chain));
    }

    fn enter_table(&mut self, table: WindowTable, registry: &Registry) {
        let window = table.window.max(self.next);
        self.began.get_or_insert(window);
        let moment = CountedAt { window, since: table.since, touched: self.now };
        // A window that has been joined with the one before is found under that one's number.
        let known = self.windows.range(..=window).next_back().filter(|(_, waiting)| waiting.last >= window);
        let place = known.map_or(window, |(first, _)| *first);
        let PendingWindow { ledger, .. } =
            self.windows.entry(place).or_insert_with(|| PendingWindow { last: window, ledger: Ledger::default() });
        for ledger in [&mut self.totals, ledger] {
            ledger.late += table.late;
            ledger.future += table.future;
        }
        let (cells, gauges) = table.into_parts();
        for (key, gauge) in gauges {
            self.see(key, gauge, window, registry);
        }
        for (key, mut cell) in cells {
            let key = settle(key, &mut cell, registry);
            self.totals.enter(key, &cell, moment);
            let waiting =
                self.windows.entry(place).or_insert_with(|| PendingWindow { last: window, ledger: Ledger::default() });
            waiting.ledger.enter(key, &cell, moment);
            self.note(key, &cell, moment);
        }
        if self.windows.len() > MAX_PENDING_WINDOWS
            && let Some((first, mut oldest)) = self.windows.pop_first()
            && let Some((_, next)) = self.windows.pop_first()
        {
            oldest.last = next.last;
            oldest.ledger.absorb(next.ledger);
            self.windows.insert(first, oldest);
        }
    }

    /// Notes what the gauges of a chain are made of.
    fn note(&mut self, key: CellKey, cell: &Cell, moment: CountedAt) {
        let attributes = cell.attributes;
        for series in key.series() {
            match series.metric {
                Metric::LastSuccessAge => {
                    let success = self.successes.entry(series).or_insert_with(|| Success {
                        dims: cell.dims.clone(),
                        attributes: attributes.restricted_to(series.metric.entry().attributes),
                        latest: LatestByWindow::new(moment.window, cell.newest_end),
                        since: moment.since,
                    });
                    success.latest.see(moment.window, cell.newest_end);
                }
                Metric::ChainHealth => {
                    let chain = self.chains.entry(series).or_insert_with(|| TrackedChain {
                        dims: cell.dims.clone(),
                        attributes: attributes.restricted_to(series.metric.entry().attributes),
                        touched: moment.touched,
                        since: moment.since,
                        tracker: Tracker::default(),
                    });
                    chain.touched = chain.touched.max(moment.touched);
                    let Some(outcome) = attributes.outcome else { continue };
                    chain.tracker.count(Happened {
                        window: moment.window,
                        outcome,
                        aggregation: attributes.operation == Some(Operation::BlsAggregation),
                        of_quorum: outcome == OutcomeClass::Failure
                            && attributes.reason.is_some_and(|reason| reason.quorum_class() == QuorumClass::Quorum),
                        count: cell.duration.histogram.count(),
                        newest_end: cell.newest_end,
                    });
                }
                _ => {}
            }
        }
    }

    fn see(&mut self, key: GaugeKey, mut gauge: Gauge, window: u64, registry: &Registry) {
        let (dims, chain) = registry.home((key.dims, key.chain), &gauge.dims, gauge.chain);
        let home = GaugeKey { dims, chain, ..key.clone() };
        if home != key {
            registry.disown_gauge(&key);
        }
        let key = registry.gauge(home);
        if key.is_overflow() {
            gauge.dims = Arc::default();
        }
        let (now, told) = (self.now, (gauge.end_unix_nano, gauge.value));
        let seen = self.gauges.entry(key).or_insert_with(|| Seen {
            gauge: gauge.clone(),
            latest: LatestByWindow::new(window, told),
            touched: now,
            since: now,
            above_since: None,
        });
        seen.latest.see(window, told);
        seen.touched = now;
        let (end, value) = seen.latest.newest();
        seen.above_since = if value > 0 { seen.above_since.or(Some(end)) } else { None };
    }
}

/// Under which key a cell counts now. Its ids may have been taken back, and its series retired, since it was registered.
fn settle(key: CellKey, cell: &mut Cell, registry: &Registry) -> CellKey {
    let (dims, chain) = registry.home(key.home(), &cell.dims, cell.attributes.chain);
    let home = key.rehomed(dims, chain);
    if home != key {
        registry.disown(key);
    }
    if chain == super::key::OTHER_CHAIN {
        cell.attributes.chain = ChainLabel::Other;
    }
    let key = registry.cell(home);
    if key.is_overflow() {
        cell.attributes.overflow = true;
        cell.dims = Arc::default();
    }
    key
}
