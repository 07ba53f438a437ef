//! Series with their sums: one ledger for the running totals, one for each window that has not been handed out.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;

use super::cell::{Amount, Cell};
use super::duration_histogram::DurationHistogram;
use super::exemplars::Exemplars;
use super::fixed_histogram::FixedHistogram;
use super::key::{CellKey, SeriesKey};
use super::labels::Attributes;
use super::metric::Metric;
use super::snapshot::{Family, Series, SeriesValue};
use super::stage::Dims;

/// Sums by series.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    entries: HashMap<SeriesKey, SeriesTotal>,
    /// Observations in overflow cells.
    pub(super) overflow: u64,
    pub(super) late: u64,
    pub(super) future: u64,
}

#[derive(Debug)]
struct SeriesTotal {
    dims: Arc<Dims>,
    attributes: Attributes,
    since: u64,
    touched: u64,
    /// The window that the exemplars are of.
    window: u64,
    sum: Sum,
}

#[derive(Debug)]
enum Sum {
    Count(u64),
    /// Shared with snapshots, and copied when it changes while one of them is still being read.
    Duration(Arc<DurationHistogram>, Exemplars),
    Fixed(FixedHistogram),
}

/// When and where something was counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct CountedAt {
    /// Number of the window.
    pub(super) window: u64,
    /// The clock when the first of it was counted.
    pub(super) since: u64,
    /// The clock when the last of it was counted, or later.
    pub(super) touched: u64,
}

impl Ledger {
    /// Adds a cell to every series that it feeds.
    pub(super) fn enter(&mut self, key: CellKey, cell: &Cell, moment: CountedAt) {
        for series in key.series() {
            if let Some(amount) = cell.amount(series.metric, series.part) {
                self.add(series, amount, cell, moment);
            }
        }
        if key.is_overflow() {
            self.overflow += cell.duration.histogram.count();
        }
    }

    fn add(&mut self, key: SeriesKey, amount: Amount<'_>, cell: &Cell, moment: CountedAt) {
        let entry = self.entries.entry(key).or_insert_with(|| SeriesTotal {
            dims: cell.dims.clone(),
            attributes: Attributes { part: key.part, ..cell.attributes.restricted_to(key.metric.entry().attributes) },
            since: moment.since,
            touched: moment.touched,
            window: moment.window,
            sum: match amount {
                Amount::Count(_) => Sum::Count(0),
                Amount::Duration(_) => Sum::Duration(Arc::default(), Exemplars::default()),
                Amount::Fixed(histogram) => Sum::Fixed(FixedHistogram::new(histogram.bounds())),
            },
        });
        entry.touched = entry.touched.max(moment.touched);
        match (&mut entry.sum, amount) {
            (Sum::Count(total), Amount::Count(count)) => *total = total.saturating_add(count),
            (Sum::Fixed(total), Amount::Fixed(histogram)) => total.merge(histogram),
            (Sum::Duration(total, exemplars), Amount::Duration(timed)) => {
                Arc::make_mut(total).merge(&timed.histogram);
                if moment.window > entry.window && !timed.exemplars.is_empty() {
                    *exemplars = timed.exemplars.clone();
                    entry.window = moment.window;
                } else if moment.window == entry.window {
                    exemplars.merge(&timed.exemplars);
                }
            }
            // A metric has one kind of sum.
            _ => {}
        }
    }

    /// Adds what another ledger, of a later window, has counted.
    pub(super) fn absorb(&mut self, later: Self) {
        for (key, other) in later.entries {
            let Some(entry) = self.entries.get_mut(&key) else {
                self.entries.insert(key, other);
                continue;
            };
            entry.touched = entry.touched.max(other.touched);
            match (&mut entry.sum, other.sum) {
                (Sum::Count(total), Sum::Count(count)) => *total = total.saturating_add(count),
                (Sum::Fixed(total), Sum::Fixed(histogram)) => total.merge(&histogram),
                (Sum::Duration(total, exemplars), Sum::Duration(histogram, others)) => {
                    Arc::make_mut(total).merge(&histogram);
                    exemplars.merge(&others);
                }
                _ => {}
            }
        }
        self.overflow += later.overflow;
        self.late += later.late;
        self.future += later.future;
    }

    /// Takes out the series that have not been touched for `idle` nanoseconds at `now`.
    pub(super) fn retire(&mut self, now: u64, idle: u64) -> Vec<SeriesKey> {
        let retired = self.entries.extract_if(|_, entry| now.saturating_sub(entry.touched) >= idle);
        retired.map(|(key, _)| key).collect()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = SeriesKey> + '_ {
        self.entries.keys().copied()
    }

    /// All series, as they are; they stay.
    pub(super) fn series(&self) -> impl Iterator<Item = (Metric, Series)> + '_ {
        self.entries.iter().map(|(key, entry)| {
            let (value, exemplars) = match &entry.sum {
                Sum::Count(count) => (SeriesValue::Counter(*count), Vec::new()),
                Sum::Fixed(histogram) => (SeriesValue::Fixed(histogram.clone()), Vec::new()),
                Sum::Duration(histogram, exemplars) => {
                    (SeriesValue::Duration(Arc::clone(histogram)), exemplars.sorted())
                }
            };
            (key.metric, series(&entry.dims, entry.attributes, entry.since, value, exemplars))
        })
    }

    /// All series, moved out, as those of a window that begins at `start`.
    pub(super) fn into_series(self, start: u64) -> impl Iterator<Item = (Metric, Series)> {
        self.entries.into_iter().map(move |(key, entry)| {
            let (value, exemplars) = match entry.sum {
                Sum::Count(count) => (SeriesValue::Counter(count), Vec::new()),
                Sum::Fixed(histogram) => (SeriesValue::Fixed(histogram), Vec::new()),
                Sum::Duration(histogram, exemplars) => (SeriesValue::Duration(histogram), exemplars.sorted()),
            };
            (key.metric, series(&entry.dims, entry.attributes, start, value, exemplars))
        })
    }
}

fn series(
    dims: &Arc<Dims>,
    attributes: Attributes,
    start: u64,
    value: SeriesValue,
    exemplars: Vec<super::snapshot::Exemplar>,
) -> Series {
    Series { dims: dims.clone(), attributes, subject: None, start_unix_nano: start, value, exemplars }
}

/// Series by metric, in a stable order.
pub(super) fn families(all: impl Iterator<Item = (Metric, Series)>) -> Vec<Family> {
    let mut families = BTreeMap::<Metric, Vec<Series>>::new();
    all.for_each(|(metric, series)| families.entry(metric).or_default().push(series));
    let sorted = families.into_iter().map(|(metric, mut series)| {
        series
            .sort_unstable_by(|a, b| (&a.dims.0, a.attributes, &a.subject).cmp(&(&b.dims.0, b.attributes, &b.subject)));
        Family { metric, series }
    });
    sorted.collect()
}
