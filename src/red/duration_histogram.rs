//! Durations: classic buckets for Prometheus and a base-2 exponential scale for OTLP, of the same observations.

use super::bounds::SECONDS;
use super::fixed_histogram::FixedHistogram;
use super::scale;

/// The lower halves of the counters of one octave: what fits into half the cache lines is counted faster.
type Octave = [u32; scale::PER_OCTAVE];

/// Durations: classic buckets and the exponential scale side by side, with exact count, sum, minimum and maximum.
///
/// The exponential buckets are made octave by octave, with the first observation in each: a series
/// that spans three octaves takes about 1.5 KiB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DurationHistogram {
    classic: FixedHistogram,
    zero: u64,
    octaves: [Option<Box<Octave>>; scale::OCTAVES],
    /// The upper halves that are not 0, by bucket, ascending.
    carried: Vec<(usize, u64)>,
}

impl Default for DurationHistogram {
    fn default() -> Self {
        Self {
            classic: FixedHistogram::new(&SECONDS),
            zero: 0,
            octaves: [const { None }; scale::OCTAVES],
            carried: Vec::new(),
        }
    }
}

impl DurationHistogram {
    /// Counts a duration in nanoseconds.
    #[inline]
    pub fn add(&mut self, nanoseconds: u64) {
        let value = i64::try_from(nanoseconds).unwrap_or(i64::MAX);
        match scale::bucket(nanoseconds) {
            None => {
                self.zero += 1;
                // The zero bucket ends far below the first classic bound.
                self.classic.add_to(0, value);
            }
            Some(bucket) => {
                let page = &mut self.octaves[bucket / scale::PER_OCTAVE];
                let page = page.get_or_insert_with(|| Box::new([0; scale::PER_OCTAVE]));
                let count = &mut page[bucket % scale::PER_OCTAVE];
                *count = count.wrapping_add(1);
                if *count == 0 {
                    self.carry(bucket, 1);
                }
                self.classic.add_to(classic_bucket(bucket, value), value);
            }
        }
    }

    /// Reads the counters that `add` would raise.
    #[inline]
    pub(super) fn peek(&self, nanoseconds: u64) -> u32 {
        let Some(bucket) = scale::bucket(nanoseconds) else { return 0 };
        let page = self.octaves[bucket / scale::PER_OCTAVE].as_deref();
        page.map_or(0, |page| page[bucket % scale::PER_OCTAVE])
    }

    /// Adds what `other` counted.
    pub fn merge(&mut self, other: &Self) {
        self.classic.merge(&other.classic);
        self.zero += other.zero;
        let mut full = Vec::new();
        for (octave, (own, others)) in self.octaves.iter_mut().zip(&other.octaves).enumerate() {
            match (own, others) {
                (_, None) => {}
                (own @ None, Some(others)) => *own = Some(others.clone()),
                (Some(own), Some(others)) => {
                    let over = |(own, others): (&u32, &u32)| own.checked_add(*others).is_none();
                    let pairs = || own.iter().zip(others.iter());
                    if pairs().any(over) {
                        let over = pairs().enumerate().filter(|(_, pair)| over(*pair));
                        full.extend(over.map(|(within, _)| octave * scale::PER_OCTAVE + within));
                    }
                    own.iter_mut().zip(others.iter()).for_each(|(own, others)| *own = own.wrapping_add(*others));
                }
            }
        }
        full.into_iter().for_each(|bucket| self.carry(bucket, 1));
        other.carried.iter().for_each(|(bucket, count)| self.carry(*bucket, *count));
    }

    #[cold]
    fn carry(&mut self, bucket: usize, count: u64) {
        match self.carried.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
            Ok(place) => self.carried[place].1 += count,
            Err(place) => self.carried.insert(place, (bucket, count)),
        }
    }

    /// The classic buckets with sum, minimum and maximum, in nanoseconds.
    pub fn classic(&self) -> &FixedHistogram {
        &self.classic
    }

    /// How many observations there are.
    pub fn count(&self) -> u64 {
        self.classic.count()
    }

    /// How many observations lie below 1 µs.
    pub fn zero_count(&self) -> u64 {
        self.zero
    }

    /// The filled buckets of the exponential scale, ascending: OpenTelemetry index at scale 6 (unit second) and count.
    pub fn exponential(&self) -> impl Iterator<Item = (i32, u64)> + '_ {
        self.filled().map(|(bucket, count)| (bucket as i32 + scale::FIRST_INDEX, count))
    }

    fn filled(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        let octaves = self.octaves.iter().enumerate().filter_map(|(octave, page)| Some((octave, page.as_deref()?)));
        octaves.flat_map(move |(octave, page)| {
            let buckets = page.iter().enumerate().map(move |(within, count)| {
                let bucket = octave * scale::PER_OCTAVE + within;
                (bucket, u64::from(*count) + self.upper_half(bucket))
            });
            buckets.filter(|(_, count)| *count > 0)
        })
    }

    #[inline]
    fn upper_half(&self, bucket: usize) -> u64 {
        if self.carried.is_empty() {
            return 0;
        }
        let found = self.carried.binary_search_by_key(&bucket, |(bucket, _)| *bucket);
        found.map_or(0, |place| self.carried[place].1 << 32)
    }
}

/// An exponential bucket is about 1.1 % wide, classic bounds lie further apart: no exponential bucket holds two of them.
/// So the first classic bucket that it touches, plus one comparison, is the answer.
#[inline]
fn classic_bucket(exponential: usize, nanoseconds: i64) -> usize {
    let first = FIRST_CLASSIC[exponential] as usize;
    first + usize::from(SECONDS.values.get(first).is_some_and(|bound| nanoseconds > *bound))
}

static FIRST_CLASSIC: [u8; scale::OCTAVES * scale::PER_OCTAVE] = first_classic();

const fn first_classic() -> [u8; scale::OCTAVES * scale::PER_OCTAVE] {
    let mut table = [0; scale::OCTAVES * scale::PER_OCTAVE];
    let mut bucket = 0;
    let mut classic = 0;
    while bucket < table.len() {
        let shift = scale::OCTAVES - 1 - bucket / scale::PER_OCTAVE;
        let lowest = (scale::BOUNDS[bucket % scale::PER_OCTAVE] >> shift) + 1;
        while classic < SECONDS.values.len() && (SECONDS.values[classic] as u64) < lowest {
            classic += 1;
        }
        table[bucket] = classic as u8;
        bucket += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(durations: &[u64]) -> DurationHistogram {
        let mut histogram = DurationHistogram::default();
        durations.iter().for_each(|duration| histogram.add(*duration));
        histogram
    }

    fn durations() -> impl Strategy<Value = Vec<u64>> {
        // Uniform in the logarithm, with the bounds themselves and their neighbours among them.
        let any = (0u32..44, any::<u64>()).prop_map(|(bits, x)| x % (1 << bits));
        let bound = (prop::sample::select(SECONDS.values), 0u64..3).prop_map(|(bound, off)| bound as u64 + off - 1);
        prop::collection::vec(prop_oneof![3 => any, 1 => bound], 0..200)
    }

    proptest! {
        /// The table answers as the bounds do, at and around each of them and anywhere else.
        #[test]
        fn classic_buckets_are_counted_exactly(durations in durations()) {
            let mut expected = FixedHistogram::new(&SECONDS);
            durations.iter().for_each(|duration| expected.add(*duration as i64));
            let histogram = of(&durations);
            prop_assert_eq!(histogram.classic(), &expected);
        }

        /// Merging is the same as having seen everything in one place.
        #[test]
        fn merging_equals_concatenation(left in durations(), right in durations()) {
            let mut merged = of(&left);
            merged.merge(&of(&right));
            prop_assert_eq!(merged, of(&[left, right].concat()));
        }

        /// Both scales hold every observation once, and the sum is the sum.
        #[test]
        fn count_and_sum_belong_to_the_same_observations(durations in durations()) {
            let histogram = of(&durations);
            let exponential: u64 = histogram.exponential().map(|(_, count)| count).sum();
            prop_assert_eq!(exponential + histogram.zero_count(), durations.len() as u64);
            prop_assert_eq!(histogram.count(), durations.len() as u64);
            prop_assert_eq!(histogram.classic().sum(), durations.iter().map(|d| i128::from(*d)).sum::<i128>());
            prop_assert_eq!(histogram.classic().max(), durations.iter().max().map(|d| *d as i64));
            prop_assert_eq!(histogram.classic().min(), durations.iter().min().map(|d| *d as i64));
        }
    }

    /// Scenario: an instance counts more than four billion observations in one bucket, by doubling what it has (adding
    /// them one by one would take a minute). Guarantee: nothing wraps around, whichever way the counter got there.
    #[test]
    fn a_bucket_holds_more_than_32_bits() {
        let mut histogram = of(&[5_000, 5_000, 5_000, 80_000]);
        for _ in 0..33 {
            histogram.merge(&histogram.clone());
        }
        let exponential: Vec<u64> = histogram.exponential().map(|(_, count)| count).collect();
        assert_eq!(exponential, [3 << 33, 1 << 33]);
        assert_eq!(histogram.count(), 4 << 33);
        // One below the edge, then one more.
        let bucket = scale::bucket(700_000).unwrap_or_default();
        histogram.add(700_000);
        let page = histogram.octaves[bucket / scale::PER_OCTAVE].as_mut().expect("made by the observation");
        page[bucket % scale::PER_OCTAVE] = u32::MAX;
        histogram.add(700_000);
        assert!(histogram.exponential().any(|(_, count)| count == 1 << 32));
    }

    /// Outside the range of the scale nothing is lost.
    #[test]
    fn the_ends_of_the_scale_lose_nothing() {
        let histogram = of(&[0, 999, u64::MAX]);
        assert_eq!((histogram.count(), histogram.zero_count()), (3, 2));
        assert_eq!(histogram.exponential().map(|(_, count)| count).collect::<Vec<_>>(), [1]);
        assert_eq!(DurationHistogram::default().count(), 0);
    }
}
