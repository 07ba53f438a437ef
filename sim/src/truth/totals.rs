//! Totals of the operations that share one combination of labels.

use std::sync::LazyLock;

use hashbrown::Equivalent;
use serde::{Deserialize, Serialize};

use super::fact::OperationFact;
use super::histogram::{Durations, ExplicitHistogram};
use crate::spec;

static RATIO_BOUNDS: LazyLock<Vec<f64>> = LazyLock::new(spec::ratio_bounds);
static MARGIN_BOUNDS: LazyLock<Vec<f64>> = LazyLock::new(spec::margin_bounds);

/// The labels of `operations`. Every other series of an operation follows from them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OperationKey {
    /// `service.name`.
    pub service: String,
    /// `deployment.environment.name`.
    pub environment: String,
    /// The chain; `None` is counted under `unknown`.
    pub chain: Option<u64>,
    /// `task`, `task_broadcast`, …
    pub operation: String,
    /// `success`, `failure` or `cancelled`.
    pub outcome: String,
    /// `error.type`, empty unless it failed.
    pub reason: String,
    /// Class of a quorum failure, else empty.
    pub class: String,
}

impl OperationKey {
    /// The chain as the metric label has it (chains beyond the admission limit are not modelled).
    pub fn chain_label(&self) -> String {
        self.chain.map_or_else(|| "unknown".to_owned(), |id| id.to_string())
    }
}

/// An [`OperationKey`] that borrows, so that a lookup does not allocate. The fields have the same order, so that equal keys
/// hash alike.
#[derive(Hash)]
pub(super) struct OperationKeyRef<'a> {
    pub(super) service: &'a str,
    pub(super) environment: &'a str,
    pub(super) chain: Option<u64>,
    pub(super) operation: &'a str,
    pub(super) outcome: &'a str,
    pub(super) reason: &'a str,
    pub(super) class: &'a str,
}

impl Equivalent<OperationKey> for OperationKeyRef<'_> {
    fn equivalent(&self, key: &OperationKey) -> bool {
        self.chain == key.chain
            && self.operation == key.operation
            && self.outcome == key.outcome
            && self.reason == key.reason
            && self.class == key.class
            && self.service == key.service
            && self.environment == key.environment
    }
}

/// Everything summed over the operations of one [`OperationKey`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OperationTotals {
    /// How long they took; its count is the number of operations.
    pub durations: Durations,
    /// `avs.attempt.count`.
    pub attempts: ExplicitHistogram,
    /// Signed stake ratios.
    pub ratios: ExplicitHistogram,
    /// Signed stake ratio minus threshold.
    pub margins: ExplicitHistogram,
    /// Webhook deliveries by status class.
    pub webhooks: Vec<(String, u64)>,
    /// Times until a quorum was reached.
    pub time_to_threshold: Durations,
    /// Operators that signed, that rejected, and that did neither.
    pub responses: [u64; 3],
    /// Times until a transaction was confirmed.
    pub confirmation: Durations,
    /// Times that transactions waited in the queue.
    pub queue: Durations,
    /// Items of transactions that succeeded, and that failed.
    pub items: [u64; 2],
    /// Transactions or webhooks that used up all attempts.
    pub exhausted: u64,
}

impl OperationTotals {
    pub(super) fn add(&mut self, fact: &OperationFact, exact: bool) {
        self.durations.add(fact.duration_nano);
        if exact {
            self.durations.exact.push(fact.duration_nano);
        }
        let measurements = &fact.measurements;
        for (durations, nano) in [
            (&mut self.time_to_threshold, measurements.time_to_threshold_nano),
            (&mut self.confirmation, measurements.confirmation_nano),
            (&mut self.queue, measurements.queue_nano),
        ] {
            let Some(nano) = nano else { continue };
            durations.add(nano);
            if exact {
                durations.exact.push(nano);
            }
        }
        add_all(&mut self.responses, measurements.responses.unwrap_or_default());
        add_all(&mut self.items, measurements.items.unwrap_or_default());
        self.exhausted += u64::from(measurements.exhausted);
        if let Some(attempts) = fact.attempts {
            self.attempts.add(f64::from(attempts), &spec::ATTEMPT_BOUNDS);
        }
        if let Some(ratio) = fact.ratio {
            self.ratios.add(ratio, &RATIO_BOUNDS);
        }
        if let Some(margin) = fact.margin {
            self.margins.add(margin, &MARGIN_BOUNDS);
        }
        if let Some(class) = fact.webhook {
            self.count_webhook(class, 1);
        }
    }

    fn count_webhook(&mut self, class: &str, count: u64) {
        match self.webhooks.iter_mut().find(|(name, _)| name == class) {
            Some((_, total)) => *total += count,
            None => self.webhooks.push((class.to_owned(), count)),
        }
        self.webhooks.sort();
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.durations.merge(&other.durations);
        self.attempts.merge(&other.attempts);
        self.ratios.merge(&other.ratios);
        self.margins.merge(&other.margins);
        for (class, count) in &other.webhooks {
            self.count_webhook(class, *count);
        }
        self.time_to_threshold.merge(&other.time_to_threshold);
        add_all(&mut self.responses, other.responses);
        self.confirmation.merge(&other.confirmation);
        self.queue.merge(&other.queue);
        add_all(&mut self.items, other.items);
        self.exhausted += other.exhausted;
    }
}

fn add_all<const N: usize>(sums: &mut [u64; N], values: [u64; N]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += value;
    }
}
