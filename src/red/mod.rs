//! Rate, errors, duration: what is counted, in which series, and when.
//!
//! Observations are *staged* while a request is walked, and *committed* when it is answered with success: whoever commits
//! takes a shard that nobody else holds, adds the whole stage to it, and lets go. Nobody waits for anybody. A snapshot
//! takes each shard's sums away in one move, so what it shows never tears.
//!
//! ```text
//! Stage ──commit──► a free shard: key → cell ──collect──► books: totals ──► Snapshot: series by metric
//!                        │ first time a key is met
//!                        ▼
//!                    registry: dimensions, chains and series, each up to its limit
//! ```
//!
//! A *cell* counts one combination of dimensions, chain, operation, outcome, reason and webhook status: one lookup per
//! operation span. The *series* of the [catalogue](Metric) are made from cells when somebody looks. Pure computation: no
//! sockets, no clock, no configuration file; and nothing in here may allocate or take a contended lock per observation
//! once its key is known.

mod aggregator;
mod bounds;
mod calls;
mod catalogue;
mod cell;
mod chain_health;
mod exemplars;
mod gauge;
mod histogram;
mod key;
mod labels;
mod latest;
mod ledger;
mod registry;
mod scale;
mod shard;
mod snapshot;
mod stage;
mod sync;
mod window;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub use aggregator::ChainState;
pub use bounds::{Bounds, decimal};
pub use calls::{CALL_METRICS, Call, CallKey, CallMetric, Calls, SpanKind, StatusCode, series_of_calls, with_calls};
pub use catalogue::{CatalogueEntry, Instrument, Metric, MetricAttribute};
pub use chain_health::{Cause, ChainHealth, Thresholds};
pub use histogram::{DurationHistogram, FixedHistogram};
pub use labels::{Attributes, ChainLabel, ResultLabel, Subject};
pub use snapshot::{Exemplar, Family, Series, SeriesValue, Snapshot};
pub use stage::{Dims, Observation, ObservedState, Reading, Stage};
pub use window::{WINDOW_NANO, Window};

use crate::chain::ChainId;
use aggregator::{Aggregator, AggregatorRules};
use registry::Registry;
use shard::Shards;
use window::WindowWatermark;

/// How a [`Red`] is made.
#[derive(Clone, Debug, PartialEq)]
pub struct RedSettings {
    /// Prefix of every metric, dotted: `avs.gateway`.
    pub namespace: String,
    /// Resource attributes that are dimensions of every metric, in the order of [`Dims`].
    pub dimensions: Vec<String>,
    /// Chains that always keep their own label.
    pub chains: BTreeSet<ChainId>,
    /// How many more chains get a label of their own; the rest share `other`. With the configured ones at most 65,534.
    pub max_chains: usize,
    /// How many series there may be, series of last resort included: for them, one per metric and chain label is kept
    /// free, or half of the limit if that is less.
    pub max_series: usize,
    /// Whether every span is counted as a [`Call`] besides. A quarter of `max_series` is theirs then.
    pub span_metrics: bool,
    /// How many threads commit at the same time: the worker threads. More may, but then they may have to look twice.
    pub committers: usize,
    /// When counting begins, nanoseconds since the Unix epoch. No window begins earlier, so that those of the process
    /// before this one are not touched.
    pub start_unix_nano: u64,
    /// After how long without an update a series is retired.
    pub series_idle: Duration,
    /// How many exemplars a duration's series keeps per window: 0 to 4.
    pub exemplars: usize,
    /// When a chain is not healthy.
    pub health: Thresholds,
    /// The same for the chains that have their own.
    pub chain_health: BTreeMap<ChainId, Thresholds>,
}

/// What the gateways did, counted. Shared by all who commit and all who look.
#[derive(Debug)]
pub struct Red {
    registry: Registry,
    shards: Shards,
    watermark: WindowWatermark,
    exemplars: usize,
    aggregator: sync::Mutex<Aggregator>,
}

impl Default for RedSettings {
    /// What an empty configuration means, for one committing thread; counting begins at the epoch.
    fn default() -> Self {
        Self {
            namespace: "avs.gateway".to_owned(),
            dimensions: vec!["service.name".to_owned(), "deployment.environment.name".to_owned()],
            chains: BTreeSet::new(),
            max_chains: 64,
            max_series: 4_096,
            span_metrics: false,
            committers: 1,
            start_unix_nano: 0,
            series_idle: Duration::from_secs(15 * 60),
            exemplars: 4,
            health: Thresholds::default(),
            chain_health: BTreeMap::new(),
        }
    }
}

impl Red {
    /// Counts from zero.
    pub fn new(settings: RedSettings) -> Self {
        let rules = AggregatorRules {
            namespace: settings.namespace.into(),
            dimensions: settings.dimensions.into(),
            idle_nano: u64::try_from(settings.series_idle.as_nanos()).unwrap_or(u64::MAX),
            health: settings.health,
            chain_health: settings.chain_health,
        };
        let of_calls = if settings.span_metrics { series_of_calls(settings.max_series) } else { 0 };
        Self {
            registry: Registry::new(settings.chains.into_iter(), settings.max_chains, settings.max_series - of_calls)
                .with_calls(of_calls),
            shards: Shards::new(settings.committers),
            watermark: WindowWatermark::new(window::number(settings.start_unix_nano)),
            exemplars: settings.exemplars,
            aggregator: sync::Mutex::new(Aggregator::new(rules, settings.start_unix_nano)),
        }
    }

    /// Counts all observations of a request. To be called once for each request, when it has been accepted, with the wall
    /// clock of that moment. Never waits for a snapshot or for a window that is being closed.
    pub fn commit(&self, stage: &Stage, now_unix_nano: u64) {
        if !stage.is_empty() {
            self.shards.take().add(stage, &self.registry, &self.watermark, now_unix_nano, self.exemplars);
        }
    }

    /// The windows that are over, ten seconds after their end: oldest first, each exactly once, none overlapping another.
    /// A window without counts is handed out for its gauges' sake; one that has nothing to show at all is left out. To be
    /// called at least every few seconds, also where nobody wants the windows: here chains are evaluated and idle series
    /// retired.
    pub fn close(&self, now_unix_nano: u64) -> Vec<Window> {
        let mut aggregator = sync::lock(&self.aggregator);
        let open = self.watermark.open(now_unix_nano);
        // Before the shards are collected: whoever commits after that finds the windows closed.
        self.watermark.raise(open.oldest);
        self.collect(&mut aggregator);
        aggregator.tend(now_unix_nano, &self.registry);
        aggregator.close(open)
    }

    /// At shutdown: the windows that are over, those that are open, and the current one cut at `now_unix_nano`. What is
    /// committed after that counts in windows that begin there.
    pub fn flush(&self, now_unix_nano: u64) -> Vec<Window> {
        let mut aggregator = sync::lock(&self.aggregator);
        let open = self.watermark.open(now_unix_nano);
        self.watermark.raise(open.current);
        self.collect(&mut aggregator);
        aggregator.flush(open, now_unix_nano)
    }

    /// What has been counted so far: all of every commit that has returned, all or nothing of those under way. Never makes
    /// a commit wait; snapshots wait for each other. Ages are as of `now_unix_nano`, or of the latest clock that a commit
    /// or [`Self::close`] told, if that is later.
    pub fn snapshot(&self, now_unix_nano: u64) -> Snapshot {
        let mut aggregator = sync::lock(&self.aggregator);
        self.collect(&mut aggregator);
        aggregator.snapshot(now_unix_nano, &self.registry)
    }

    /// How each chain is doing, as last evaluated by [`Self::close`] or [`Self::snapshot`].
    pub fn health(&self) -> Vec<ChainState> {
        sync::lock(&self.aggregator).health()
    }

    fn collect(&self, aggregator: &mut Aggregator) {
        self.shards.collect().for_each(|counted| aggregator.enter(counted, &self.registry));
    }
}

#[cfg(test)]
mod tests;
