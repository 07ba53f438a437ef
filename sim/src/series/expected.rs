//! The truth as series: what each metric of the catalogue must hold, before it is shaped for an exporter.

use std::collections::BTreeMap;

use super::family::{FAMILIES, MetricFamily};
use super::name::Series;
use crate::spec;
use crate::truth::{Durations, ExplicitHistogram, OperationKey, OperationTotals, Truth};

/// What a series must hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Expected {
    /// A count.
    Count(u64),
    /// Durations.
    Durations(Box<Durations>),
    /// Other values.
    Values(ExplicitHistogram),
    /// What was last seen.
    Gauge(f64),
}

impl Expected {
    fn merge(&mut self, other: Self) {
        match (self, other) {
            (Self::Count(mine), Self::Count(theirs)) => *mine += theirs,
            (Self::Durations(mine), Self::Durations(theirs)) => mine.merge(&theirs),
            (Self::Values(mine), Self::Values(theirs)) => mine.merge(&theirs),
            (mine, theirs) => *mine = theirs,
        }
    }
}

impl Truth {
    /// Every series of `families` that must exist: OTLP name without the namespace, labels in the spelling of Prometheus.
    /// Ambiguous batches are not in it.
    pub fn expected(&self, families: &[MetricFamily]) -> BTreeMap<Series, Expected> {
        let mut all = ExpectedSeries { families, expected: BTreeMap::new() };
        // In order, so that sums of doubles come out the same every time.
        let totals: BTreeMap<&OperationKey, &OperationTotals> = self.totals().collect();
        for (key, totals) in totals {
            all.operations(key, totals);
        }
        for (key, reading) in self.gauges() {
            let name = if key.signer.is_empty() { "circuit_breaker.state" } else { "tx.nonce.gap" };
            let series = Series::new(name)
                .with("service_name", &key.service)
                .with("deployment_environment_name", &key.environment)
                .with("service_instance_id", &key.instance)
                .with("chain_id", key.chain.map_or_else(|| "unknown".to_owned(), |id| id.to_string()))
                .with("signer", &key.signer)
                .with("target", &key.target);
            all.put(series, Expected::Gauge(reading.value));
        }
        all.expected
    }
}

struct ExpectedSeries<'a> {
    families: &'a [MetricFamily],
    expected: BTreeMap<Series, Expected>,
}

impl ExpectedSeries<'_> {
    fn put(&mut self, series: Series, value: Expected) {
        debug_assert!(FAMILIES.iter().any(|family| family.name == series.name), "{series} is in no catalogue");
        if !self.families.iter().any(|family| family.name == series.name) {
            return;
        }
        match self.expected.get_mut(&series) {
            Some(known) => known.merge(value),
            None => {
                self.expected.insert(series, value);
            }
        }
    }

    /// What is 0 need not exist.
    fn count(&mut self, series: Series, count: u64) {
        if count > 0 {
            self.put(series, Expected::Count(count));
        }
    }

    fn durations(&mut self, series: Series, durations: &Durations) {
        if durations.count > 0 {
            self.put(series, Expected::Durations(Box::new(durations.clone())));
        }
    }

    fn values(&mut self, series: Series, values: &ExplicitHistogram) {
        if values.count > 0 {
            self.put(series, Expected::Values(values.clone()));
        }
    }

    fn operations(&mut self, key: &OperationKey, totals: &OperationTotals) {
        let named = |name: &str| {
            Series::new(name)
                .with("service_name", &key.service)
                .with("deployment_environment_name", &key.environment)
                .with("chain_id", key.chain_label())
        };
        let count = totals.durations.count;
        let ended = |name: &str| named(name).with("operation", &key.operation).with("outcome", &key.outcome);
        self.count(ended("operations").with("error_type", &key.reason), count);
        self.durations(ended("operation.duration"), &totals.durations);
        self.values(named("operation.attempts").with("operation", &key.operation), &totals.attempts);
        if key.outcome == "failure" && key.operation == "bls_aggregation" {
            let class = if key.reason == spec::OTHER { "" } else { key.class.as_str() };
            self.count(named("quorum.failures").with("reason", &key.reason).with("class", class), count);
        }
        if key.outcome == "failure" && key.operation == "tx_submission" {
            self.count(named("tx.failures").with("reason", &key.reason), count);
        }
        self.values(named("quorum.signed_stake.ratio").with("outcome", &key.outcome), &totals.ratios);
        self.values(named("quorum.margin"), &totals.margins);
        self.durations(named("quorum.time_to_threshold"), &totals.time_to_threshold);
        for (result, count) in ["signed", "rejected", "missing"].into_iter().zip(totals.responses) {
            self.count(named("operator.responses").with("result", result), count);
        }
        self.durations(named("tx.confirmation.duration"), &totals.confirmation);
        self.durations(named("tx.queue.duration"), &totals.queue);
        for (result, count) in ["ok", "failed"].into_iter().zip(totals.items) {
            self.count(named("tx.batch.items").with("result", result), count);
        }
        for (class, count) in &totals.webhooks {
            self.count(named("webhook.deliveries").with("status_class", class), *count);
        }
        let exhausted = if key.operation == "webhook_delivery" { "webhook.exhausted" } else { "tx.exhausted" };
        self.count(named(exhausted), totals.exhausted);
    }
}
