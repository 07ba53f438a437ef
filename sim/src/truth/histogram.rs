//! The histograms of the ground truth: exact where the measurement must be exact, fine-grained for quantiles that people
//! read.

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use crate::spec::DURATION_BOUNDS_NANO;

/// Significant bits of a value that a [`FineHistogram`] histogram keeps: relative error below 2^-10.
const BITS: u32 = 10;

/// Counts values with a relative error below a thousandth.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<(u32, u64)>", into = "Vec<(u32, u64)>")]
pub struct FineHistogram {
    counts: HashMap<u32, u64>,
}

impl FineHistogram {
    /// Counts one value.
    pub fn add(&mut self, value: u64) {
        *self.counts.entry(code(value)).or_insert(0) += 1;
    }

    /// Adds all values of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (code, count) in &other.counts {
            *self.counts.entry(*code).or_insert(0) += count;
        }
    }

    /// The value below or at which the share `q` (0 to 1) of all values lies; `None` when there are none.
    pub fn quantile(&self, q: f64) -> Option<u64> {
        let mut codes: Vec<(u32, u64)> = self.clone().into();
        codes.sort_unstable();
        let total: u64 = codes.iter().map(|(_, count)| count).sum();
        let rank = ((q.clamp(0.0, 1.0) * total as f64).ceil() as u64).max(1);
        let mut below = 0;
        codes.into_iter().find_map(|(code, count)| {
            below += count;
            (below >= rank).then(|| value(code))
        })
    }
}

impl From<Vec<(u32, u64)>> for FineHistogram {
    fn from(pairs: Vec<(u32, u64)>) -> Self {
        Self { counts: pairs.into_iter().collect() }
    }
}

impl From<FineHistogram> for Vec<(u32, u64)> {
    fn from(fine: FineHistogram) -> Self {
        let mut pairs: Self = fine.counts.into_iter().collect();
        pairs.sort_unstable();
        pairs
    }
}

/// The leading bits of a value and their place: ordered like the values themselves.
fn code(value: u64) -> u32 {
    let shift = (u64::BITS - value.leading_zeros()).saturating_sub(BITS);
    shift << BITS | (value >> shift) as u32
}

/// The largest value with this code.
fn value(code: u32) -> u64 {
    let shift = code >> BITS;
    let top = u64::from(code & ((1 << BITS) - 1)) << shift;
    top | ((1 << shift) - 1)
}

/// Durations in the buckets that Prometheus must show.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Durations {
    /// How many.
    pub count: u64,
    /// Exact sum, nanoseconds.
    pub sum_nano: u64,
    /// The shortest, nanoseconds; `u64::MAX` when there is none.
    pub min_nano: u64,
    /// The longest, nanoseconds.
    pub max_nano: u64,
    /// Not cumulative: one count per bound of [`DURATION_BOUNDS_NANO`], then the count above the last bound.
    pub buckets: [u64; DURATION_BOUNDS_NANO.len() + 1],
    /// For quantiles.
    pub fine: FineHistogram,
    /// Every single value; filled only when quantiles are to be compared exactly.
    #[serde(skip)]
    pub exact: Vec<u64>,
}

impl Default for Durations {
    fn default() -> Self {
        Self {
            count: 0,
            sum_nano: 0,
            min_nano: u64::MAX,
            max_nano: 0,
            buckets: [0; DURATION_BOUNDS_NANO.len() + 1],
            fine: FineHistogram::default(),
            exact: Vec::new(),
        }
    }
}

impl Durations {
    /// Counts one duration; a bucket holds its own upper bound.
    pub fn add(&mut self, nano: u64) {
        self.count += 1;
        self.sum_nano += nano;
        self.min_nano = self.min_nano.min(nano);
        self.max_nano = self.max_nano.max(nano);
        self.buckets[DURATION_BOUNDS_NANO.partition_point(|bound| *bound < nano)] += 1;
        self.fine.add(nano);
    }

    /// Adds all durations of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum_nano += other.sum_nano;
        self.min_nano = self.min_nano.min(other.min_nano);
        self.max_nano = self.max_nano.max(other.max_nano);
        for (mine, theirs) in self.buckets.iter_mut().zip(other.buckets) {
            *mine += theirs;
        }
        self.fine.merge(&other.fine);
        self.exact.extend(&other.exact);
    }
}

/// A histogram over given bounds (ratios, margins, attempts).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ExplicitHistogram {
    /// How many.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// Not cumulative; empty until the first value.
    pub buckets: Vec<u64>,
}

impl ExplicitHistogram {
    /// Counts one value; a bucket holds its own upper bound.
    pub fn add(&mut self, value: f64, bounds: &[f64]) {
        self.buckets.resize(bounds.len() + 1, 0);
        self.count += 1;
        self.sum += value;
        self.buckets[bounds.partition_point(|bound| *bound < value)] += 1;
    }

    /// Adds all values of `other`, which must have the same bounds.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.buckets.resize(self.buckets.len().max(other.buckets.len()), 0);
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes keep the order of the values, and a decoded value is never off by more than a thousandth.
    #[test]
    fn codes_are_ordered_and_fine() {
        let mut last = 0;
        for exponent in 0..63 {
            for step in 0..7 {
                let number = (1_u64 << exponent) + (1_u64 << exponent) / 7 * step;
                assert!(code(number) >= last, "{number}");
                last = code(number);
                let back = value(last);
                assert!(back >= number && (back - number) as f64 <= number as f64 / 500.0, "{number} {back}");
            }
        }
    }

    /// The median of 1..=999 is 500, to within the resolution.
    #[test]
    fn quantiles_are_those_of_the_values() {
        let mut fine = FineHistogram::default();
        (1..=999).for_each(|value| fine.add(value * 1_000_000));
        let median = fine.quantile(0.5).expect("there are values") as f64;
        assert!((median / 500e6 - 1.0).abs() < 0.003, "{median}");
        assert_eq!(FineHistogram::default().quantile(0.5), None);
    }

    /// A value on a bound belongs to the bucket that ends there; one above all belongs to the last.
    #[test]
    fn buckets_hold_their_upper_bound() {
        let mut durations = Durations::default();
        for nano in [0, 5_000_000, 5_000_001, 600_000_000_000, 600_000_000_001] {
            durations.add(nano);
        }
        assert_eq!(durations.buckets[0], 2);
        assert_eq!(durations.buckets[1], 1);
        assert_eq!(durations.buckets[23..], [1, 1]);
        assert_eq!(durations.sum_nano, 1_200_010_000_002);
    }
}
