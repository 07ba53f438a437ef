//! The room's front door: the shards that commits write to, and the aggregator that windows and snapshots come from.

use super::aggregator::{Aggregator, AggregatorRules, ChainState};
use super::calls::series_of_calls;
use super::registry::Registry;
use super::settings::RedSettings;
use super::shard::Shards;
use super::snapshot::Snapshot;
use super::stage::Stage;
use super::window::{self, Window, WindowWatermark};
use crate::sync;

/// Everything that has been counted. Shared by all threads that commit and all that read.
#[derive(Debug)]
pub struct Red {
    registry: Registry,
    shards: Shards,
    watermark: WindowWatermark,
    exemplars: usize,
    aggregator: sync::Mutex<Aggregator>,
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
    /// called every few seconds, even if the windows are not wanted: this is where chains are evaluated and idle series
    /// retired.
    pub fn close(&self, now_unix_nano: u64) -> Vec<Window> {
        let mut aggregator = sync::lock(&self.aggregator);
        let open = self.watermark.open(now_unix_nano);
        // Before the shards are collected: a commit that comes after that finds the windows closed.
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
    /// a commit wait; snapshots wait for each other. Ages are as of `now_unix_nano`, or as of the latest time that a
    /// commit or [`Self::close`] was given, if that is later.
    pub fn snapshot(&self, now_unix_nano: u64) -> Snapshot {
        let mut aggregator = sync::lock(&self.aggregator);
        self.collect(&mut aggregator);
        aggregator.snapshot(now_unix_nano, &self.registry)
    }

    /// The health of each chain, as last evaluated by [`Self::close`] or [`Self::snapshot`].
    pub fn health(&self) -> Vec<ChainState> {
        sync::lock(&self.aggregator).health()
    }

    fn collect(&self, aggregator: &mut Aggregator) {
        self.shards.collect().for_each(|counted| aggregator.enter(counted, &self.registry));
    }
}
