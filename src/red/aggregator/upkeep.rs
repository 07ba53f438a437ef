//! The aggregator's periodic work: the health of the chains, and what is idle.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use super::Aggregator;
use crate::red::chain_health::Signs;
use crate::red::gauge::GaugeKey;
use crate::red::key::{OVERFLOW_DIMS, SeriesKey};
use crate::red::labels::ChainLabel;
use crate::red::metric::Metric;
use crate::red::registry::Registry;
use crate::red::window;

/// Nanoseconds between two evaluations of the chains, at least.
const EVALUATION_NANO: u64 = 2_000_000_000;

impl Aggregator {
    /// Periodic work: evaluates the chains and retires what is idle.
    pub(in crate::red) fn tend(&mut self, now: u64, registry: &Registry) {
        self.now = self.now.max(now);
        if now.saturating_sub(self.evaluated) >= EVALUATION_NANO || now < self.evaluated {
            self.evaluated = now;
            self.evaluate(now);
        }
        if now.saturating_sub(self.swept) >= self.rules.idle_nano.min(window::WINDOW_NANO) || now < self.swept {
            self.swept = now;
            self.retire(now, registry);
        }
    }

    fn evaluate(&mut self, now: u64) {
        let mut signs = HashMap::<(u32, u32), Signs>::new();
        for (key, seen) in &self.gauges {
            let of = signs.entry((key.dims, key.chain)).or_default();
            match key.metric {
                Metric::BreakerState => of.breaker_open |= seen.latest.newest().1 == 2,
                _ => of.gap_since = [of.gap_since, seen.above_since].into_iter().flatten().min(),
            }
        }
        for (key, chain) in &mut self.chains {
            let thresholds = match chain.attributes.chain {
                ChainLabel::Id(id) => self.rules.chain_health.get(&id).unwrap_or(&self.rules.health),
                ChainLabel::Other | ChainLabel::Unknown => &self.rules.health,
            };
            chain.tracker.evaluate(now, thresholds, signs.get(&key.home()).copied().unwrap_or_default());
        }
    }

    fn retire(&mut self, now: u64, registry: &Registry) {
        let idle = self.rules.idle_nano;
        let mut retired = self.totals.retire(now, idle);
        retired
            .extend(self.chains.extract_if(|_, chain| now.saturating_sub(chain.touched) >= idle).map(|(key, _)| key));
        // The age of a success says most while nothing succeeds: it goes when its chain does.
        let gone = self.successes.extract_if(|key, _| !self.chains.contains_key(&key.health()));
        retired.extend(gone.map(|(key, _)| key));
        let gauges = self.gauges.extract_if(|_, seen| now.saturating_sub(seen.touched) >= idle);
        let gauges: Vec<GaugeKey> = gauges.map(|(key, _)| key).collect();
        let calls = self.calls.retire(now, idle, &registry.calls);
        if retired.is_empty() && gauges.is_empty() && !calls {
            return;
        }
        let series = self.totals.keys().chain(self.chains.keys().copied()).map(SeriesKey::home);
        let gauges_of = self.gauges.keys().map(|key| (key.dims, key.chain));
        let calls_of = self.calls.chains().map(|chain| registry.home((OVERFLOW_DIMS, 0), &Arc::default(), chain));
        let live: HashSet<(u32, u32)> = series.chain(gauges_of).chain(calls_of).collect();
        registry.retire(&retired, &gauges, live.into_iter());
    }
}
