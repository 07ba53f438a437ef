//! Sums of what is stored, per destination, in memory, so that a scrape does not touch the disk.
//!
//! They are read from the heads when the store is opened, and afterwards follow every transaction. A transaction collects its
//! changes and hands them over once it is on the disk, so that one that is rolled back changes no sum.

use std::collections::BTreeMap;

use crate::otlp::Signal;
use crate::store::frame::{Head, RowState};
use crate::store::record::{Count, Kept};

/// Bytes that a row counts against `max_bytes` besides its body: its head, its cell, and its share of half-used pages. This also
/// bounds the number of rows, and with it the memory of the sums.
pub(super) const ROW_OVERHEAD: u64 = 512;

/// One step of a transaction.
#[derive(Debug)]
pub(super) enum Change {
    /// A row was added.
    In(RowSummary),
    /// A row was deleted.
    Out(RowSummary),
    /// An operator purged dead letters.
    Discarded(String, Count),
}

impl Change {
    /// By how many bytes it makes the store larger.
    pub(super) fn growth(&self) -> i64 {
        match self {
            Change::In(row) => row.cost().cast_signed(),
            Change::Out(row) => -row.cost().cast_signed(),
            Change::Discarded(..) => 0,
        }
    }
}

/// What the sums need to know of a row.
#[derive(Clone, Debug)]
pub(super) struct RowSummary {
    destination: String,
    state: RowState,
    signal: Signal,
    spans: u32,
    bytes: u32,
    received: u64,
}

impl RowSummary {
    pub(super) fn of(head: &Head) -> Self {
        let Head { destination, state, signal, spans, body_len, received, .. } = head;
        RowSummary {
            destination: destination.clone(),
            state: *state,
            signal: *signal,
            spans: *spans,
            bytes: *body_len,
            received: *received,
        }
    }

    pub(super) fn in_state(&self, state: RowState) -> Self {
        RowSummary { state, ..self.clone() }
    }

    /// A sum over this one row.
    pub(super) fn count(&self) -> Count {
        Count::of_one(self.signal, self.spans, u64::from(self.bytes))
    }

    fn cost(&self) -> u64 {
        u64::from(self.bytes) + ROW_OVERHEAD
    }
}

#[derive(Debug, Default)]
struct DestinationUsage {
    waiting: Count,
    dead: Count,
    discarded: Count,
    /// How many of the waiting rows were received at each moment.
    received: BTreeMap<u64, u32>,
}

impl DestinationUsage {
    fn forget(&mut self, received: u64) {
        if let Some(rows) = self.received.get_mut(&received) {
            *rows -= 1;
            if *rows == 0 {
                self.received.remove(&received);
            }
        }
    }
}

/// The sums of all destinations.
#[derive(Debug, Default)]
pub(super) struct Usage {
    destinations: BTreeMap<String, DestinationUsage>,
    used: u64,
}

impl Usage {
    pub(super) fn apply(&mut self, change: Change) {
        match change {
            Change::In(row) => {
                self.used += row.cost();
                let usage = self.of(&row.destination);
                match row.state {
                    RowState::Dead => usage.dead.add(row.count()),
                    // Comes as `Change::Discarded`.
                    RowState::Discarded => {}
                    RowState::Waiting => {
                        usage.waiting.add(row.count());
                        *usage.received.entry(row.received).or_default() += 1;
                    }
                }
            }
            Change::Out(row) => {
                self.used = self.used.saturating_sub(row.cost());
                let usage = self.of(&row.destination);
                match row.state {
                    RowState::Dead => usage.dead.subtract(row.count()),
                    RowState::Discarded => {}
                    RowState::Waiting => {
                        usage.waiting.subtract(row.count());
                        usage.forget(row.received);
                    }
                }
            }
            Change::Discarded(destination, count) => {
                self.of(&destination).discarded.add(Count { bytes: 0, ..count });
            }
        }
    }

    /// Bytes that count against `max_bytes`.
    pub(super) fn used(&self) -> u64 {
        self.used
    }

    pub(super) fn kept(&self) -> Vec<(String, Kept)> {
        let kept = |usage: &DestinationUsage| Kept {
            waiting: usage.waiting,
            dead: usage.dead,
            discarded: usage.discarded,
            oldest: usage.received.keys().next().copied(),
        };
        let all = self.destinations.iter().map(|(destination, usage)| (destination.clone(), kept(usage)));
        all.filter(|(_, kept)| *kept != Kept::default()).collect()
    }

    fn of(&mut self, destination: &str) -> &mut DestinationUsage {
        if !self.destinations.contains_key(destination) {
            self.destinations.insert(destination.to_owned(), DestinationUsage::default());
        }
        self.destinations.get_mut(destination).expect("it was put there two lines above")
    }
}

/// Sums per destination: the answers of `revive` and `purge`.
#[derive(Debug, Default)]
pub(super) struct DestinationSums(BTreeMap<String, Count>);

impl DestinationSums {
    pub(super) fn add(&mut self, row: &RowSummary) {
        self.0.entry(row.destination.clone()).or_default().add(row.count());
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &Count)> {
        self.0.iter()
    }

    pub(super) fn into_vec(self) -> Vec<(String, Count)> {
        self.0.into_iter().collect()
    }
}
