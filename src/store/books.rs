//! The sums of what is kept, per destination, in memory: a scrape costs no disk.
//!
//! They are read from the heads once, when the store is opened, and afterwards follow every transaction. A transaction notes
//! its changes while it is built and hands them over when it is on the disk, so that a rolled back one leaves nothing.

use std::collections::BTreeMap;

use crate::otlp::Signal;
use crate::store::frame::{Head, State};
use crate::store::record::{Count, Kept};

/// What a row costs against `max_bytes` beside its body: its head, its cell, and its share of half-used pages. It also
/// bounds how many rows there can be, and so the memory of the books.
pub(super) const ROW_OVERHEAD: u64 = 512;

/// One step of a transaction.
#[derive(Debug)]
pub(super) enum Change {
    /// A row is there.
    In(Brief),
    /// A row is gone.
    Out(Brief),
    /// Dead letters were given up by an operator.
    Discarded(String, Count),
}

impl Change {
    /// By how many bytes it makes the store larger.
    pub(super) fn growth(&self) -> i64 {
        match self {
            Change::In(brief) => brief.cost().cast_signed(),
            Change::Out(brief) => -brief.cost().cast_signed(),
            Change::Discarded(..) => 0,
        }
    }
}

/// What the books need to know of a row.
#[derive(Clone, Debug)]
pub(super) struct Brief {
    destination: String,
    state: State,
    signal: Signal,
    spans: u32,
    bytes: u32,
    received: u64,
}

impl Brief {
    pub(super) fn of(head: &Head) -> Self {
        let Head { destination, state, signal, spans, body_len, received, .. } = head;
        Brief {
            destination: destination.clone(),
            state: *state,
            signal: *signal,
            spans: *spans,
            bytes: *body_len,
            received: *received,
        }
    }

    pub(super) fn in_state(&self, state: State) -> Self {
        Brief { state, ..self.clone() }
    }

    fn cost(&self) -> u64 {
        u64::from(self.bytes) + ROW_OVERHEAD
    }
}

#[derive(Debug, Default)]
struct Tally {
    waiting: Count,
    dead: Count,
    discarded: Count,
    /// When the waiting rows were received, and how many at that moment.
    received: BTreeMap<u64, u32>,
}

/// The sums of all destinations.
#[derive(Debug, Default)]
pub(super) struct Books {
    tallies: BTreeMap<String, Tally>,
    used: u64,
}

impl Books {
    pub(super) fn apply(&mut self, change: Change) {
        match change {
            Change::In(brief) => {
                self.used += brief.cost();
                let tally = self.tally(&brief.destination);
                match brief.state {
                    State::Dead => tally.dead.add(count(&brief)),
                    // A sum comes as a change of its own.
                    State::Discarded => {}
                    State::Waiting => {
                        tally.waiting.add(count(&brief));
                        *tally.received.entry(brief.received).or_default() += 1;
                    }
                }
            }
            Change::Out(brief) => {
                self.used = self.used.saturating_sub(brief.cost());
                let tally = self.tally(&brief.destination);
                match brief.state {
                    State::Dead => tally.dead.subtract(count(&brief)),
                    State::Discarded => {}
                    State::Waiting => {
                        tally.waiting.subtract(count(&brief));
                        tally.forget(brief.received);
                    }
                }
            }
            Change::Discarded(destination, count) => {
                self.tally(&destination).discarded.add(Count { bytes: 0, ..count });
            }
        }
    }

    /// Bytes that count against `max_bytes`.
    pub(super) fn used(&self) -> u64 {
        self.used
    }

    pub(super) fn kept(&self) -> Vec<(String, Kept)> {
        let kept = |tally: &Tally| Kept {
            waiting: tally.waiting,
            dead: tally.dead,
            discarded: tally.discarded,
            oldest: tally.received.keys().next().copied(),
        };
        let known = self.tallies.iter().map(|(destination, tally)| (destination.clone(), kept(tally)));
        known.filter(|(_, kept)| *kept != Kept::default()).collect()
    }

    fn tally(&mut self, destination: &str) -> &mut Tally {
        if !self.tallies.contains_key(destination) {
            self.tallies.insert(destination.to_owned(), Tally::default());
        }
        self.tallies.get_mut(destination).expect("it was put there two lines above")
    }
}

impl Tally {
    fn forget(&mut self, received: u64) {
        if let Some(rows) = self.received.get_mut(&received) {
            *rows -= 1;
            if *rows == 0 {
                self.received.remove(&received);
            }
        }
    }
}

/// A sum over one row.
pub(super) fn count(brief: &Brief) -> Count {
    let traces = brief.signal == Signal::Traces;
    Count {
        records: 1,
        spans: if traces { u64::from(brief.spans) } else { 0 },
        requests: u64::from(!traces),
        bytes: u64::from(brief.bytes),
    }
}

impl Count {
    pub(super) fn add(&mut self, other: Count) {
        self.records += other.records;
        self.spans += other.spans;
        self.requests += other.requests;
        self.bytes += other.bytes;
    }

    fn subtract(&mut self, other: Count) {
        self.records = self.records.saturating_sub(other.records);
        self.spans = self.spans.saturating_sub(other.spans);
        self.requests = self.requests.saturating_sub(other.requests);
        self.bytes = self.bytes.saturating_sub(other.bytes);
    }
}

/// Sums per destination, for the answers of `revive` and `purge`.
#[derive(Debug, Default)]
pub(super) struct Sums(BTreeMap<String, Count>);

impl Sums {
    pub(super) fn add(&mut self, brief: &Brief) {
        self.0.entry(brief.destination.clone()).or_default().add(count(brief));
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &Count)> {
        self.0.iter()
    }

    pub(super) fn into_vec(self) -> Vec<(String, Count)> {
        self.0.into_iter().collect()
    }
}
