//! What a person wants to know of each chain, added up either from a scrape or from the ground truth.

use std::collections::BTreeMap;

use chainspan_sim::{Series, Truth};

/// The figures of one chain over all gateways.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tally {
    /// Operations of any outcome.
    pub(super) operations: u64,
    /// Those that failed.
    pub(super) failures: u64,
    /// Aggregations of any outcome.
    pub(super) aggregations: u64,
    /// Failed aggregations of class `quorum`.
    pub(super) quorum_failures: u64,
    /// Failures of a task's steps by `error.type`.
    pub(super) reasons: BTreeMap<String, u64>,
    /// Durations: cumulative count by upper bound in seconds, as bits so that they sort (all are positive).
    buckets: BTreeMap<u64, u64>,
}

/// Chain label → figures.
pub(super) type Tallies = BTreeMap<String, Tally>;

/// Adds up a scrape of the families under `prefix` (`avs_gateway_`).
pub(super) fn of_scrape(samples: &BTreeMap<Series, f64>, prefix: &str) -> Tallies {
    let mut tallies = Tallies::new();
    for (series, value) in samples {
        let Some(name) = series.name.strip_prefix(prefix) else { continue };
        if !matches!(name, "operations_total" | "operation_duration_seconds_bucket" | "quorum_failures_total") {
            continue;
        }
        let count = *value as u64;
        let tally = tallies.entry(series.label("chain_id").to_owned()).or_default();
        match name {
            "operations_total" => {
                let failed = series.label("outcome") == "failure";
                tally.operation(series.label("operation"), failed, series.label("error_type"), count);
            }
            "quorum_failures_total" if series.label("class") == "quorum" => tally.quorum_failures += count,
            "operation_duration_seconds_bucket" => {
                let le: f64 = series.label("le").parse().unwrap_or(f64::INFINITY);
                *tally.buckets.entry(le.to_bits()).or_insert(0) += count;
            }
            _ => {}
        }
    }
    tallies
}

/// Adds up the ground truth.
pub(super) fn of_truth(truth: &Truth) -> Tallies {
    let mut tallies = Tallies::new();
    for (key, cell) in truth.totals() {
        let tally = tallies.entry(key.chain_label()).or_default();
        let count = cell.durations.count;
        tally.operation(&key.operation, key.outcome == "failure", &key.reason, count);
        if key.class == "quorum" {
            tally.quorum_failures += count;
        }
    }
    tallies
}

impl Tally {
    fn operation(&mut self, operation: &str, failed: bool, reason: &str, count: u64) {
        self.operations += count;
        if operation == "bls_aggregation" {
            self.aggregations += count;
        }
        if failed {
            self.failures += count;
        }
        // A task fails because one of its steps did: the step's reason is the one that helps.
        if failed && operation != "task" {
            *self.reasons.entry(reason.to_owned()).or_insert(0) += count;
        }
    }

    /// The commonest reason; `_OTHER` only when there is no better one.
    pub(super) fn top_reason(&self) -> Option<&str> {
        let commonest = |named: bool| {
            let reasons = self.reasons.iter().filter(move |(reason, _)| (*reason != "_OTHER") == named);
            reasons.max_by_key(|(_, count)| **count).map(|(reason, _)| reason.as_str())
        };
        commonest(true).or_else(|| commonest(false))
    }

    /// Seconds below which the share `q` of the operations lies, interpolated inside a bucket as Prometheus does it.
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
        let tallies = of_scrape(&parse_exposition(text).expect("it is well formed"), "a_");
        let tally = &tallies["1"];
        assert_eq!((tally.operations, tally.failures, tally.aggregations, tally.quorum_failures), (10, 3, 3, 3));
        assert_eq!(tally.top_reason(), Some("no_responses"));
        assert_eq!(tally.quantile(0.5), Some(0.75));
    }
}
