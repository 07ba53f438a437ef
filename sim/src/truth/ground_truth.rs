//! The ground truth of a run: the sum of all batches that were acknowledged.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::fact::{BatchFacts, ExpectedTag, Identity, OperationFact, SpanKey};
use super::gauge::{GaugeKey, GaugeReading};
use super::histogram::FineHistogram;
use super::timing::{Timing, WINDOW_NANO};
use super::totals::{OperationKey, OperationKeyRef, OperationTotals};

/// The ground truth of every acknowledged batch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Truth {
    batches: u64,
    spans: u64,
    unclassified: u64,
    totals: HashMap<OperationKey, OperationTotals>,
    gauges: BTreeMap<GaugeKey, GaugeReading>,
    keep_tags: bool,
    tags: HashMap<SpanKey, ExpectedTag>,
    timing: Timing,
    /// The chainspan began to measure between these moments, nanoseconds since the Unix epoch.
    began: (u64, u64),
    /// Ambiguous batches: what they hold may have been counted, or not.
    uncertain: Option<Box<Truth>>,
    /// Keep every single duration.
    exact: bool,
    /// The truth of each window of event time, by the start of the window.
    windows: Option<BTreeMap<u64, Truth>>,
}

impl Truth {
    /// Nothing acknowledged yet. Keeps the expected tag of every span (about 30 bytes each).
    pub fn new() -> Self {
        Self { keep_tags: true, ..Self::default() }
    }

    /// Keeps no tags: for runs of many millions of spans.
    pub fn without_tags() -> Self {
        Self::default()
    }

    /// Like [`Truth::new`], and also keeps each window of event time by itself, with every single duration.
    pub fn by_window() -> Self {
        Self { windows: Some(BTreeMap::new()), ..Self::new() }
    }

    /// For a chainspan that began to measure between these moments (nanoseconds since the Unix epoch): spans of earlier
    /// windows are late to it. Without this, it is assumed to have started long before the first span.
    #[must_use]
    pub fn measured_since(self, earliest_unix_nano: u64, latest_unix_nano: u64) -> Self {
        Self { began: (earliest_unix_nano, latest_unix_nano), ..self }
    }

    /// Adds a batch that was acknowledged.
    pub fn add(&mut self, facts: &BatchFacts) {
        self.batches += 1;
        self.spans += facts.spans;
        self.unclassified += facts.unclassified;
        for fact in &facts.operations {
            self.count(&facts.identity, fact);
        }
        if self.keep_tags {
            self.tags.extend(facts.tags.iter().copied());
        }
    }

    /// Adds a batch that was acknowledged once. The moments at which it was sent and answered (nanoseconds since the Unix
    /// epoch) bound how many of its spans were late or from the future.
    pub fn acknowledge(&mut self, facts: &BatchFacts, sent_unix_nano: u64, answered_unix_nano: u64) {
        self.add(facts);
        for fact in &facts.operations {
            self.timing.add(fact.end_unix_nano, sent_unix_nano, answered_unix_nano, self.began);
        }
    }

    /// Adds a batch that may have been accepted: at most `times`, perhaps never.
    pub fn add_ambiguous(&mut self, facts: &BatchFacts, times: u32, sent_unix_nano: u64, answered_unix_nano: u64) {
        let uncertain = self.uncertain.get_or_insert_default();
        uncertain.began = self.began;
        for _ in 0..times {
            uncertain.acknowledge(facts, sent_unix_nano, answered_unix_nano);
        }
    }

    fn count(&mut self, identity: &Identity, fact: &OperationFact) {
        let key = OperationKeyRef {
            service: &identity.service,
            environment: &identity.environment,
            chain: fact.chain,
            operation: fact.operation,
            outcome: fact.outcome,
            reason: fact.reason,
            class: fact.class,
        };
        match self.totals.get_mut(&key) {
            Some(sums) => sums.add(fact, self.exact),
            None => {
                let mut sums = OperationTotals::default();
                sums.add(fact, self.exact);
                let key = OperationKey {
                    service: key.service.to_owned(),
                    environment: key.environment.to_owned(),
                    chain: key.chain,
                    operation: key.operation.to_owned(),
                    outcome: key.outcome.to_owned(),
                    reason: key.reason.to_owned(),
                    class: key.class.to_owned(),
                };
                self.totals.insert(key, sums);
            }
        }
        if let Some((gap, signer)) = fact.measurements.nonce_gap {
            self.read_gauge(identity, fact, signer, "", gap as f64);
        }
        if let Some((state, target)) = fact.measurements.breaker {
            self.read_gauge(identity, fact, "", target, f64::from(state));
        }
        if let Some(windows) = &mut self.windows {
            let start = fact.end_unix_nano - fact.end_unix_nano % WINDOW_NANO;
            let window = windows.entry(start).or_insert_with(|| Self { exact: true, ..Self::default() });
            window.count(identity, fact);
        }
    }

    fn read_gauge(&mut self, identity: &Identity, fact: &OperationFact, signer: &str, target: &str, value: f64) {
        let key = GaugeKey {
            service: identity.service.clone(),
            environment: identity.environment.clone(),
            instance: identity.instance.clone(),
            chain: fact.chain,
            signer: signer.to_owned(),
            target: target.to_owned(),
        };
        self.record_gauge(key, GaugeReading { end_unix_nano: fact.end_unix_nano, value });
    }

    fn record_gauge(&mut self, key: GaugeKey, reading: GaugeReading) {
        let newest = self.gauges.entry(key).or_insert(reading);
        if newest.end_unix_nano < reading.end_unix_nano {
            *newest = reading;
        }
    }

    /// Adds everything of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.batches += other.batches;
        self.spans += other.spans;
        self.unclassified += other.unclassified;
        for (key, sums) in &other.totals {
            self.totals.entry(key.clone()).or_default().merge(sums);
        }
        for (key, reading) in &other.gauges {
            self.record_gauge(key.clone(), *reading);
        }
        self.tags.extend(&other.tags);
        self.timing.merge(&other.timing);
        if let Some(uncertain) = &other.uncertain {
            self.uncertain.get_or_insert_default().merge(uncertain);
        }
        if let (Some(mine), Some(theirs)) = (&mut self.windows, &other.windows) {
            for (start, window) in theirs {
                mine.entry(*start).or_insert_with(|| Self { exact: true, ..Self::default() }).merge(window);
            }
        }
    }

    /// Batches acknowledged.
    pub fn batches(&self) -> u64 {
        self.batches
    }

    /// Spans acknowledged, of every kind.
    pub fn spans(&self) -> u64 {
        self.spans
    }

    /// Spans acknowledged that are not operations.
    pub fn unclassified(&self) -> u64 {
        self.unclassified
    }

    /// Operations acknowledged.
    pub fn operations(&self) -> u64 {
        self.totals.values().map(|sums| sums.durations.count).sum()
    }

    /// All totals, in no particular order.
    pub fn totals(&self) -> impl Iterator<Item = (&OperationKey, &OperationTotals)> {
        self.totals.iter()
    }

    /// All gauges with their last values.
    pub fn gauges(&self) -> impl Iterator<Item = (&GaugeKey, &GaugeReading)> {
        self.gauges.iter()
    }

    /// How many operations were certainly, and how many possibly, late or from the future. Ambiguous batches count as
    /// possible.
    pub fn timing(&self) -> Timing {
        let mut timing = self.timing;
        if let Some(uncertain) = &self.uncertain {
            timing.merge_uncertain(&uncertain.timing);
        }
        timing
    }

    /// The ambiguous batches; `None` when every batch got a certain answer.
    pub fn uncertain(&self) -> Option<&Self> {
        self.uncertain.as_deref()
    }

    /// What ended in each window, by the start of the window; empty unless windows are kept.
    pub fn windows(&self) -> impl Iterator<Item = (u64, &Self)> {
        self.windows.iter().flatten().map(|(start, window)| (*start, window))
    }

    /// The tag that each acknowledged span must arrive with; empty unless tags are kept.
    pub fn tags(&self) -> &HashMap<SpanKey, ExpectedTag> {
        &self.tags
    }

    /// Nanoseconds below or at which the share `q` of the matching operations lies, to within a thousandth; `None` when
    /// nothing matches.
    pub fn quantile(&self, q: f64, matches: impl Fn(&OperationKey) -> bool) -> Option<u64> {
        let mut all = FineHistogram::default();
        for (_, sums) in self.totals.iter().filter(|(key, _)| matches(key)) {
            all.merge(&sums.durations.fine);
        }
        all.quantile(q)
    }
}

/// The truth as it is written to a file: without tags and windows, in a fixed order.
#[derive(Serialize, Deserialize)]
struct Written {
    batches: u64,
    spans: u64,
    unclassified: u64,
    cells: Vec<WrittenTotals>,
    gauges: Vec<(GaugeKey, GaugeReading)>,
    timing: Timing,
    uncertain: Option<Box<Truth>>,
}

#[derive(Serialize, Deserialize)]
struct WrittenTotals {
    #[serde(flatten)]
    key: OperationKey,
    #[serde(flatten)]
    sums: OperationTotals,
}

impl From<Truth> for Written {
    fn from(truth: Truth) -> Self {
        let Truth { batches, spans, unclassified, totals, gauges, timing, uncertain, .. } = truth;
        let mut cells: Vec<WrittenTotals> = totals.into_iter().map(|(key, sums)| WrittenTotals { key, sums }).collect();
        cells.sort_by(|a, b| a.key.cmp(&b.key));
        Self { batches, spans, unclassified, cells, gauges: gauges.into_iter().collect(), timing, uncertain }
    }
}

impl From<Written> for Truth {
    fn from(written: Written) -> Self {
        let Written { batches, spans, unclassified, cells, gauges, timing, uncertain } = written;
        let totals = cells.into_iter().map(|WrittenTotals { key, sums }| (key, sums)).collect();
        let gauges = gauges.into_iter().collect();
        Self { batches, spans, unclassified, totals, gauges, timing, uncertain, ..Self::default() }
    }
}
