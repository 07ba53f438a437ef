//! A histogram over fixed bounds.

use super::bounds::Bounds;

/// A histogram over fixed bounds, counted exactly, in whole units of the bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedHistogram {
    bounds: &'static Bounds,
    buckets: Box<[u64]>,
    sum: i128,
    min: i64,
    max: i64,
}

impl FixedHistogram {
    /// An empty histogram.
    pub fn new(bounds: &'static Bounds) -> Self {
        Self { bounds, buckets: vec![0; bounds.buckets()].into(), sum: 0, min: i64::MAX, max: i64::MIN }
    }

    /// Counts `value`, given in units of the bounds.
    pub fn add(&mut self, value: i64) {
        self.add_to(self.bounds.bucket(value), value);
    }

    /// Counts `value` in the bucket that it is known to belong to.
    #[inline]
    pub(super) fn add_to(&mut self, bucket: usize, value: i64) {
        self.buckets[bucket] += 1;
        self.sum += i128::from(value);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// Adds what `other` counted. Both must have the same bounds.
    pub fn merge(&mut self, other: &Self) {
        debug_assert!(std::ptr::eq(self.bounds, other.bounds) || self.bounds == other.bounds);
        self.buckets.iter_mut().zip(&other.buckets).for_each(|(own, others)| *own += others);
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// The bounds, one fewer than [`buckets`](Self::buckets).
    pub fn bounds(&self) -> &'static Bounds {
        self.bounds
    }

    /// How many observations each bucket holds, not cumulative; the last bucket has no upper bound.
    pub fn buckets(&self) -> &[u64] {
        &self.buckets
    }

    /// How many observations there are.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The exact sum, in units of the bounds.
    pub fn sum(&self) -> i128 {
        self.sum
    }

    /// The smallest observation, in units of the bounds; `None` when there is none.
    pub fn min(&self) -> Option<i64> {
        (self.min <= self.max).then_some(self.min)
    }

    /// The largest observation, in units of the bounds; `None` when there is none.
    pub fn max(&self) -> Option<i64> {
        (self.min <= self.max).then_some(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::super::bounds::{ATTEMPTS, MARGIN};
    use super::*;

    #[test]
    fn fixed_histograms_merge_and_keep_extremes() {
        let (mut left, mut right) = (FixedHistogram::new(&ATTEMPTS), FixedHistogram::new(&ATTEMPTS));
        [1, 6].into_iter().for_each(|value| left.add(value));
        [22, 1].into_iter().for_each(|value| right.add(value));
        left.merge(&right);
        assert_eq!(left.buckets(), [2, 0, 0, 0, 0, 1, 0, 0, 1]);
        assert_eq!((left.sum(), left.min(), left.max()), (30, Some(1), Some(22)));
        assert_eq!(FixedHistogram::new(&MARGIN).min(), None);
    }
}
