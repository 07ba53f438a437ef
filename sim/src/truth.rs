//! What must have been measured: the sum of all facts whose batch was acknowledged.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::cell::{Cell, GaugeKey, Key, KeyRef, Seen};
use super::fact::{Fact, Facts, Identity, SpanKey, Tag};
use super::histogram::Fine;
use super::timing::{Timing, WINDOW_NANO};

/// The ground truth of every acknowledged batch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Truth {
    batches: u64,
    spans: u64,
    unclassified: u64,
    cells: HashMap<Key, Cell>,
    gauges: BTreeMap<GaugeKey, Seen>,
    keep_tags: bool,
    tags: HashMap<SpanKey, Tag>,
    timing: Timing,
    /// When the chainspan began to measure: between these moments, nanoseconds since the Unix epoch.
    began: (u64, u64),
    /// What may be there besides: batches of which nobody knows how often they were accepted.
    uncertain: Option<Box<Truth>>,
    exact: bool,
    /// Start of a window → what ended in it.
    windows: Option<BTreeMap<u64, Truth>>,
}

impl Truth {
    /// Nothing acknowledged yet; remembers the expected tag of every single span (about 30 bytes each).
    pub fn new() -> Self {
        Self { keep_tags: true, ..Self::default() }
    }

    /// The same without the tags, for runs of many millions of spans.
    pub fn without_tags() -> Self {
        Self::default()
    }

    /// The same as [`Truth::new`], and each window of event time by itself, with every single duration.
    pub fn by_window() -> Self {
        Self { windows: Some(BTreeMap::new()), ..Self::new() }
    }

    /// The same for a chainspan that began to measure between these moments (nanoseconds since the Unix epoch): to it what
    /// ended in a window before that one is late. Otherwise it is taken to have begun long before the first span.
    #[must_use]
    pub fn measured_since(self, earliest_unix_nano: u64, latest_unix_nano: u64) -> Self {
        Self { began: (earliest_unix_nano, latest_unix_nano), ..self }
    }

    /// Takes in a batch that was acknowledged.
    pub fn add(&mut self, facts: &Facts) {
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

    /// Takes in a batch that was acknowledged once, sent and answered at these moments (nanoseconds since the Unix epoch):
    /// they bound how many of its spans were late or from the future.
    pub fn acknowledge(&mut self, facts: &Facts, sent_unix_nano: u64, answered_unix_nano: u64) {
        self.add(facts);
        for fact in &facts.operations {
            self.timing.add(fact.end_unix_nano, sent_unix_nano, answered_unix_nano, self.began);
        }
    }

    /// Takes in a batch that may have been accepted, at most `times`, and perhaps never.
    pub fn suspect(&mut self, facts: &Facts, times: u32, sent_unix_nano: u64, answered_unix_nano: u64) {
        let uncertain = self.uncertain.get_or_insert_default();
        uncertain.began = self.began;
        for _ in 0..times {
            uncertain.acknowledge(facts, sent_unix_nano, answered_unix_nano);
        }
    }

    fn count(&mut self, identity: &Identity, fact: &Fact) {
        let key = KeyRef {
            service: &identity.service,
            environment: &identity.environment,
            chain: fact.chain,
            operation: fact.operation,
            outcome: fact.outcome,
            reason: fact.reason,
            class: fact.class,
        };
        match self.cells.get_mut(&key) {
            Some(cell) => cell.add(fact, self.exact),
            None => {
                let mut cell = Cell::default();
                cell.add(fact, self.exact);
                let key = Key {
                    service: key.service.to_owned(),
                    environment: key.environment.to_owned(),
                    chain: key.chain,
                    operation: key.operation.to_owned(),
                    outcome: key.outcome.to_owned(),
                    reason: key.reason.to_owned(),
                    class: key.class.to_owned(),
                };
                self.cells.insert(key, cell);
            }
        }
        if let Some((gap, signer)) = fact.more.nonce_gap {
            self.gauge(identity, fact, signer, "", gap as f64);
        }
        if let Some((state, target)) = fact.more.breaker {
            self.gauge(identity, fact, "", target, f64::from(state));
        }
        if let Some(windows) = &mut self.windows {
            let start = fact.end_unix_nano - fact.end_unix_nano % WINDOW_NANO;
            let window = windows.entry(start).or_insert_with(|| Self { exact: true, ..Self::default() });
            window.count(identity, fact);
        }
    }

    fn gauge(&mut self, identity: &Identity, fact: &Fact, signer: &str, target: &str, value: f64) {
        let key = GaugeKey {
            service: identity.service.clone(),
            environment: identity.environment.clone(),
            instance: identity.instance.clone(),
            chain: fact.chain,
            signer: signer.to_owned(),
            target: target.to_owned(),
        };
        self.see(key, Seen { end_unix_nano: fact.end_unix_nano, value });
    }

    fn see(&mut self, key: GaugeKey, seen: Seen) {
        let newest = self.gauges.entry(key).or_insert(seen);
        if newest.end_unix_nano < seen.end_unix_nano {
            *newest = seen;
        }
    }

    /// Takes over everything of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.batches += other.batches;
        self.spans += other.spans;
        self.unclassified += other.unclassified;
        for (key, cell) in &other.cells {
            self.cells.entry(key.clone()).or_default().merge(cell);
        }
        for (key, seen) in &other.gauges {
            self.see(key.clone(), *seen);
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

    /// Spans acknowledged, of any kind.
    pub fn spans(&self) -> u64 {
        self.spans
    }

    /// Spans that are no operation.
    pub fn unclassified(&self) -> u64 {
        self.unclassified
    }

    /// Operations acknowledged.
    pub fn operations(&self) -> u64 {
        self.cells.values().map(|cell| cell.durations.count).sum()
    }

    /// All cells, in no order.
    pub fn cells(&self) -> impl Iterator<Item = (&Key, &Cell)> {
        self.cells.iter()
    }

    /// All gauges, as they were last seen.
    pub fn gauges(&self) -> impl Iterator<Item = (&GaugeKey, &Seen)> {
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

    /// What ambiguous batches may have added; `None`: every batch was answered for certain.
    pub fn uncertain(&self) -> Option<&Self> {
        self.uncertain.as_deref()
    }

    /// What ended in each window, by the start of the window; empty unless windows are kept.
    pub fn windows(&self) -> impl Iterator<Item = (u64, &Self)> {
        self.windows.iter().flatten().map(|(start, window)| (*start, window))
    }

    /// The tag that each acknowledged span must arrive with; empty unless tags are kept.
    pub fn tags(&self) -> &HashMap<SpanKey, Tag> {
        &self.tags
    }

    /// Nanoseconds below or at which the share `q` of the matching operations lies, to within a thousandth; `None` when
    /// nothing matches.
    pub fn quantile(&self, q: f64, matches: impl Fn(&Key) -> bool) -> Option<u64> {
        let mut all = Fine::default();
        for (_, cell) in self.cells.iter().filter(|(key, _)| matches(key)) {
            all.merge(&cell.durations.fine);
        }
        all.quantile(q)
    }
}

/// The truth as a file has it: without the tags, in a fixed order.
#[derive(Serialize, Deserialize)]
struct Written {
    batches: u64,
    spans: u64,
    unclassified: u64,
    cells: Vec<WrittenCell>,
    gauges: Vec<(GaugeKey, Seen)>,
    timing: Timing,
    uncertain: Option<Box<Truth>>,
}

#[derive(Serialize, Deserialize)]
struct WrittenCell {
    #[serde(flatten)]
    key: Key,
    #[serde(flatten)]
    cell: Cell,
}

impl From<Truth> for Written {
    fn from(truth: Truth) -> Self {
        let Truth { batches, spans, unclassified, cells, gauges, timing, uncertain, .. } = truth;
        let mut cells: Vec<WrittenCell> = cells.into_iter().map(|(key, cell)| WrittenCell { key, cell }).collect();
        cells.sort_by(|a, b| a.key.cmp(&b.key));
        Self { batches, spans, unclassified, cells, gauges: gauges.into_iter().collect(), timing, uncertain }
    }
}

impl From<Written> for Truth {
    fn from(written: Written) -> Self {
        let Written { batches, spans, unclassified, cells, gauges, timing, uncertain } = written;
        let cells = cells.into_iter().map(|WrittenCell { key, cell }| (key, cell)).collect();
        let gauges = gauges.into_iter().collect();
        Self { batches, spans, unclassified, cells, gauges, timing, uncertain, ..Self::default() }
    }
}
