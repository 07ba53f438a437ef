//! What is added up for one combination of labels.

use std::sync::LazyLock;

use hashbrown::Equivalent;
use serde::{Deserialize, Serialize};

use super::fact::Fact;
use super::histogram::{Classic, Durations};
use super::spec;

static RATIO_BOUNDS: LazyLock<Vec<f64>> = LazyLock::new(spec::ratio_bounds);
static MARGIN_BOUNDS: LazyLock<Vec<f64>> = LazyLock::new(spec::margin_bounds);

/// Which cell an operation is counted in: the labels of `operations`, every other series follows from them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
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

impl Key {
    /// The chain as the metric label has it (chains beyond the admission limit are not modelled).
    pub fn chain_label(&self) -> String {
        self.chain.map_or_else(|| "unknown".to_owned(), |id| id.to_string())
    }
}

/// A [`Key`] that borrows, so that a look-up allocates nothing. The fields stand in the same order: equal keys hash alike.
#[derive(Hash)]
pub(super) struct KeyRef<'a> {
    pub(super) service: &'a str,
    pub(super) environment: &'a str,
    pub(super) chain: Option<u64>,
    pub(super) operation: &'a str,
    pub(super) outcome: &'a str,
    pub(super) reason: &'a str,
    pub(super) class: &'a str,
}

impl Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.chain == key.chain
            && self.operation == key.operation
            && self.outcome == key.outcome
            && self.reason == key.reason
            && self.class == key.class
            && self.service == key.service
            && self.environment == key.environment
    }
}

/// All that is known of the operations of one [`Key`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// How long they took; its count is the number of operations.
    pub durations: Durations,
    /// `avs.attempt.count`.
    pub attempts: Classic,
    /// Signed stake ratios.
    pub ratios: Classic,
    /// Signed stake ratio minus threshold.
    pub margins: Classic,
    /// Webhook deliveries by status class.
    pub webhooks: Vec<(String, u64)>,
    /// Times until a quorum was reached.
    pub time_to_threshold: Durations,
    /// Operators that signed, that rejected, and that did neither.
    pub responses: [u64; 3],
    /// Times until a transaction was confirmed.
    pub confirmation: Durations,
    /// Times that a transaction waited for its turn.
    pub queue: Durations,
    /// Items of transactions that went well, and that failed.
    pub items: [u64; 2],
    /// Transactions or webhooks without an attempt left.
    pub exhausted: u64,
}

impl Cell {
    pub(super) fn add(&mut self, fact: &Fact, exact: bool) {
        self.durations.add(fact.duration_nano);
        if exact {
            self.durations.exact.push(fact.duration_nano);
        }
        let more = &fact.more;
        for (durations, nano) in [
            (&mut self.time_to_threshold, more.time_to_threshold_nano),
            (&mut self.confirmation, more.confirmation_nano),
            (&mut self.queue, more.queue_nano),
        ] {
            let Some(nano) = nano else { continue };
            durations.add(nano);
            if exact {
                durations.exact.push(nano);
            }
        }
        add_all(&mut self.responses, more.responses.unwrap_or_default());
        add_all(&mut self.items, more.items.unwrap_or_default());
        self.exhausted += u64::from(more.exhausted);
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

/// Whose gauge: gauges of two processes are never one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GaugeKey {
    /// `service.name`.
    pub service: String,
    /// `deployment.environment.name`.
    pub environment: String,
    /// `service.instance.id`.
    pub instance: String,
    /// The chain; `None` is shown under `unknown`.
    pub chain: Option<u64>,
    /// The signer of a nonce gap; for a breaker none.
    pub signer: String,
    /// What a breaker guards; for a nonce gap nothing.
    pub target: String,
}

/// The value of a gauge and the end of the span that told it, nanoseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// When.
    pub end_unix_nano: u64,
    /// What.
    pub value: f64,
}
