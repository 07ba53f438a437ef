//! The figures of each chain that the demo shows, added up from a scrape or from the ground truth.

use std::collections::BTreeMap;

use chainspan_sim::{Series, Truth, spec};

/// The figures of one chain over all gateways.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ChainTotals {
    /// Operations with any outcome.
    pub(super) operations: u64,
    /// Those that failed.
    pub(super) failures: u64,
    /// Aggregations with any outcome.
    pub(super) aggregations: u64,
    /// Failed aggregations of class `quorum`.
    pub(super) quorum_failures: u64,
    /// Failures of a task's steps by `error.type`.
    pub(super) reasons: BTreeMap<String, u64>,
    /// Durations: cumulative count by upper bound in seconds; as bits, which sort alike because all are positive.
    buckets: BTreeMap<u64, u64>,
}

/// Chain label → figures.
pub(super) type TotalsByChain = BTreeMap<String, ChainTotals>;

/// Adds up the metrics of `namespace` (`avs.gateway`) in a scrape.
pub(super) fn from_scrape(samples: &BTreeMap<Series, f64>, namespace: &str) -> TotalsByChain {
    let prefix = namespace.replace(['.', '-'], "_") + "_";
    let mut chains = TotalsByChain::new();
    for (series, value) in samples {
        let Some(name) = series.name.strip_prefix(&prefix) else { continue };
        if !matches!(name, "operations_total" | "operation_duration_seconds_bucket" | "quorum_failures_total") {
            continue;
        }
        let count = *value as u64;
        let totals = chains.entry(series.label("chain_id").to_owned()).or_default();
        match name {
            "operations_total" => {
                let failed = series.label("outcome") == "failure";
                totals.operation(series.label("operation"), failed, series.label("error_type"), count);
            }
            "quorum_failures_total" if series.label("class") == "quorum" => totals.quorum_failures += count,
            "operation_duration_seconds_bucket" => {
                let le: f64 = series.label("le").parse().unwrap_or(f64::INFINITY);
                *totals.buckets.entry(le.to_bits()).or_insert(0) += count;
            }
            _ => {}
        }
    }
    chains
}

/// Adds up the ground truth.
pub(super) fn from_truth(truth: &Truth) -> TotalsByChain {
    let mut chains = TotalsByChain::new();
    for (key, operations) in truth.totals() {
        let totals = chains.entry(key.chain_label()).or_default();
        let count = operations.durations.count;
        totals.operation(&key.operation, key.outcome == "failure", &key.reason, count);
        if key.class == "quorum" {
            totals.quorum_failures += count;
        }
    }
    chains
}

impl ChainTotals {
    fn operation(&mut self, operation: &str, failed: bool, reason: &str, count: u64) {
        self.operations += count;
        if operation == "bls_aggregation" {
            self.aggregations += count;
        }
        if failed {
            self.failures += count;
        }
        // A task fails because one of its steps did, and the step's reason is the useful one.
        if failed && operation != "task" {
            *self.reasons.entry(reason.to_owned()).or_insert(0) += count;
        }
    }

    /// The most common reason; `_OTHER` only if there is no other.
    pub(super) fn top_reason(&self) -> Option<&str> {
        let commonest = |named: bool| {
            let reasons = self.reasons.iter().filter(move |(reason, _)| (*reason != "_OTHER") == named);
            reasons.max_by_key(|(_, count)| **count).map(|(reason, _)| reason.as_str())
        };
        commonest(true).or_else(|| commonest(false))
    }

    /// The quantile `q` of the durations in seconds, interpolated within its bucket as Prometheus does.
    pub(super) fn quantile(&self, q: f64) -> Option<f64> {
        let total = *self.buckets.values().max()?;
        if total == 0 {
            return None;
        }
        let rank = q * total as f64;
        let (mut lower, mut below) = (0.0, 0_u64);
        for (bits, count) in &self.buckets {
            let upper = f64::from_bits(*bits);
            if *count as f64 >= rank {
                let inside = (count - below).max(1) as f64;
                let share = (rank - below as f64) / inside;
                return Some(if upper.is_infinite() { lower } else { lower + (upper - lower) * share });
            }
            (lower, below) = (upper, *count);
        }
        Some(lower)
    }
}

/// The name of a chain for people, from its label.
pub(super) fn name(chain: &str) -> &str {
    match chain.parse() {
        Ok(id) => spec::chain_name(id).unwrap_or("unnamed"),
        Err(_) if chain == "unknown" => "(no chain)",
        Err(_) => chain,
    }
}

/// By chain id; what has none comes last.
pub(super) fn ordered(chains: &TotalsByChain) -> Vec<(&str, &ChainTotals)> {
    let mut rows: Vec<(&str, &ChainTotals)> = chains.iter().map(|(chain, totals)| (chain.as_str(), totals)).collect();
    rows.sort_by_key(|(chain, _)| chain.parse::<u64>().unwrap_or(u64::MAX));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use chainspan_sim::parse_exposition;

    /// A scrape adds up over gateways, and quantiles are interpolated.
    #[test]
    fn a_scrape_adds_up_per_chain() {
        let text = "a_operations_total{chain_id=\"1\",operation=\"task\",outcome=\"success\",service_name=\"x\"} 6\n\
                    a_operations_total{chain_id=\"1\",operation=\"task\",outcome=\"success\",service_name=\"y\"} 1\n\
                    a_operations_total{chain_id=\"1\",operation=\"bls_aggregation\",outcome=\"failure\",error_type=\"no_responses\"} 3\n\
                    a_quorum_failures_total{chain_id=\"1\",reason=\"no_responses\",class=\"quorum\"} 3\n\
                    a_quorum_failures_total{chain_id=\"1\",reason=\"registry_error\",class=\"infra\"} 9\n\
                    a_operation_duration_seconds_bucket{chain_id=\"1\",le=\"0.5\"} 0\n\
                    a_operation_duration_seconds_bucket{chain_id=\"1\",le=\"1.0\"} 10\n\
                    a_operation_duration_seconds_bucket{chain_id=\"1\",le=\"+Inf\"} 10\n";
        let chains = from_scrape(&parse_exposition(text).expect("it is well formed"), "a");
        let totals = &chains["1"];
        assert_eq!((totals.operations, totals.failures, totals.aggregations, totals.quorum_failures), (10, 3, 3, 3));
        assert_eq!(totals.top_reason(), Some("no_responses"));
        assert_eq!(totals.quantile(0.5), Some(0.75));
    }
}
