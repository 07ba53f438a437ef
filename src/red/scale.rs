//! The base-2 exponential scale: which bucket a duration belongs to, exactly.
//!
//! Scale 6 of the OpenTelemetry data model in seconds: bucket `i` holds `(2^(i/64), 2^((i+1)/64)]` seconds, upper bound
//! included. Durations are whole nanoseconds, so `d ≤ 10⁹·2^(k+j/64)` is the same as comparing `d`, shifted left into
//! the octave from 2,048 s to 4,096 s, with the whole part of that octave's bound: one table of 65 integers decides every
//! comparison exactly, without a logarithm and without rounding.

/// Octaves between the shortest and the longest duration told apart: 2⁻²⁰ s (just under 1 µs) to 2¹² s (above 1 h).
pub(super) const OCTAVES: usize = 32;
/// Buckets in an octave: 2^scale.
pub(super) const PER_OCTAVE: usize = 64;
/// The OpenTelemetry index of bucket 0 here.
pub(super) const FIRST_INDEX: i32 = -20 * PER_OCTAVE as i32;
/// Durations below this, in nanoseconds, go to the zero bucket: 1 µs.
pub(super) const SHORTEST: u64 = 1_000;
/// Durations above this, in nanoseconds, go to the bucket that holds it: 1 h.
pub(super) const LONGEST: u64 = 3_600_000_000_000;

/// `floor(10⁹ · 2^(11 + j/64))` for j = 0 to 64. The tests prove each entry with whole-number arithmetic.
pub(super) const BOUNDS: [u64; PER_OCTAVE + 1] = [
    2_048_000_000_000,
    2_070_301_257_833,
    2_092_845_360_443,
    2_115_634_952_235,
    2_138_672_706_411,
    2_161_961_325_282,
    2_185_503_540_586,
    2_209_302_113_806,
    2_233_359_836_498,
    2_257_679_530_614,
    2_282_264_048_836,
    2_307_116_274_909,
    2_332_239_123_981,
    2_357_635_542_943,
    2_383_308_510_776,
    2_409_261_038_899,
    2_435_496_171_525,
    2_462_016_986_015,
    2_488_826_593_240,
    2_515_928_137_946,
    2_543_324_799_126,
    2_571_019_790_386,
    2_599_016_360_328,
    2_627_317_792_929,
    2_655_927_407_925,
    2_684_848_561_202,
    2_714_084_645_191,
    2_743_639_089_261,
    2_773_515_360_126,
    2_803_716_962_251,
    2_834_247_438_261,
    2_865_110_369_358,
    2_896_309_375_740,
    2_927_848_117_026,
    2_959_730_292_688,
    2_991_959_642_481,
    3_024_539_946_884,
    3_057_475_027_540,
    3_090_768_747_711,
    3_124_425_012_724,
    3_158_447_770_435,
    3_192_841_011_687,
    3_227_608_770_780,
    3_262_755_125_948,
    3_298_284_199_832,
    3_334_200_159_963,
    3_370_507_219_259,
    3_407_209_636_509,
    3_444_311_716_879,
    3_481_817_812_415,
    3_519_732_322_554,
    3_558_059_694_640,
    3_596_804_424_444,
    3_635_971_056_694,
    3_675_564_185_606,
    3_715_588_455_424,
    3_756_048_560_966,
    3_796_949_248_170,
    3_838_295_314_657,
    3_880_091_610_290,
    3_922_343_037_741,
    3_965_054_553_072,
    4_008_231_166_311,
    4_051_877_942_042,
    4_096_000_000_000,
];

/// Slices of 2³⁴ ns across the octave are narrower than any bucket, so a slice holds at most one bound: its first
/// bucket, plus one comparison, is the answer.
const SLICE_BITS: u32 = 34;
const SLICES: usize = ((BOUNDS[PER_OCTAVE] - BOUNDS[0] - 1) >> SLICE_BITS) as usize + 1;
const FIRST_IN_SLICE: [u8; SLICES] = first_in_slice();

const fn first_in_slice() -> [u8; SLICES] {
    let mut table = [0; SLICES];
    let mut slice = 0;
    let mut bucket = 0;
    while slice < SLICES {
        let lowest = BOUNDS[0] + 1 + ((slice as u64) << SLICE_BITS);
        while BOUNDS[bucket + 1] < lowest {
            bucket += 1;
        }
        table[slice] = bucket as u8;
        slice += 1;
    }
    table
}

/// The bucket of a duration, counted from 0, or `None` for the zero bucket.
#[inline]
pub(super) fn bucket(nanoseconds: u64) -> Option<usize> {
    if nanoseconds < SHORTEST {
        return None;
    }
    let duration = nanoseconds.min(LONGEST);
    // Highest bit to 2^41: between half an octave below the table's octave and its end.
    let mut shift = duration.leading_zeros() as i32 - 22;
    let mut scaled = duration << shift;
    if scaled > BOUNDS[PER_OCTAVE] {
        shift -= 1;
        scaled = duration << shift;
    }
    let slice = ((scaled - BOUNDS[0] - 1) >> SLICE_BITS) as usize;
    let first = FIRST_IN_SLICE[slice] as usize;
    let within = first + usize::from(scaled > BOUNDS[first + 1]);
    // A shift of 0 is the top octave.
    Some((OCTAVES - 1 - shift as usize) * PER_OCTAVE + within)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Multiplies a number in base 2³² by a word.
    fn times(number: &mut Vec<u32>, factor: u64) {
        let mut carry: u128 = 0;
        for digit in number.iter_mut() {
            carry += u128::from(*digit) * u128::from(factor);
            *digit = carry as u32;
            carry >>= 32;
        }
        while carry > 0 {
            number.push(carry as u32);
            carry >>= 32;
        }
    }

    fn power(base: u64, exponent: u32) -> Vec<u32> {
        let mut number = vec![1];
        (0..exponent).for_each(|_| times(&mut number, base));
        number
    }

    fn less_or_equal(left: &[u32], right: &[u32]) -> bool {
        (left.len(), left.iter().rev().collect::<Vec<_>>()) <= (right.len(), right.iter().rev().collect::<Vec<_>>())
    }

    /// `duration ≤ 10⁹ · 2^(index/64)`, in whole numbers: both sides to the 64th power, without negative exponents.
    fn at_most(duration: u64, index: i32) -> bool {
        let mut left = power(duration, 64);
        let mut right = power(1_000_000_000, 64);
        let side = if index < 0 { &mut left } else { &mut right };
        (0..index.unsigned_abs()).for_each(|_| times(side, 2));
        less_or_equal(&left, &right)
    }

    /// Every entry of the table is the whole part of the exact bound: M⁶⁴ ≤ (10⁹·2¹¹)⁶⁴·2ʲ < (M+1)⁶⁴.
    #[test]
    fn the_table_of_bounds_is_exact() {
        for (j, bound) in BOUNDS.iter().enumerate() {
            let index = 11 * 64 + j as i32;
            assert!(at_most(*bound, index), "entry {j} is too large");
            assert!(!at_most(bound + 1, index), "entry {j} is too small");
        }
    }

    /// One nanosecond below, at and above every boundary of the range, the index agrees with whole-number arithmetic.
    #[test]
    fn every_boundary_of_the_range_is_exact() {
        for index in (FIRST_INDEX + 1)..(12 * 64) {
            let near = (1e9 * (f64::from(index) / 64.0).exp2()) as u64;
            for duration in near.saturating_sub(1)..=near + 2 {
                if !(SHORTEST..=LONGEST).contains(&duration) {
                    continue;
                }
                let Some(bucket) = bucket(duration) else { panic!("{duration} ns is not in the zero bucket") };
                let found = bucket as i32 + FIRST_INDEX;
                assert!(!at_most(duration, found), "{duration} ns lies at or below its bucket {found}");
                assert!(at_most(duration, found + 1), "{duration} ns lies above its bucket {found}");
            }
        }
    }

    /// OpenTelemetry: a value of exactly 2^k seconds belongs to the bucket that ends there.
    #[test]
    fn powers_of_two_belong_to_the_bucket_that_ends_there() {
        for k in 0..12 {
            let duration = 1_000_000_000u64 << k;
            if duration <= LONGEST {
                assert_eq!(bucket(duration).map(|b| b as i32 + FIRST_INDEX), Some(k * 64 - 1));
                assert_eq!(bucket(duration + 1).map(|b| b as i32 + FIRST_INDEX), Some(k * 64));
            }
        }
        assert_eq!(bucket(500_000_000).map(|b| b as i32 + FIRST_INDEX), Some(-65));
    }

    /// The ends of the range: 999 ns is zero, 1 µs is not; what is above 1 h joins the bucket of 1 h.
    #[test]
    fn the_ends_of_the_range_hold() {
        assert_eq!(bucket(0), None);
        assert_eq!(bucket(999), None);
        assert!(bucket(1_000).is_some_and(|b| b < PER_OCTAVE));
        assert_eq!(bucket(u64::MAX), bucket(LONGEST));
        assert!(bucket(u64::MAX).is_some_and(|b| b < OCTAVES * PER_OCTAVE));
    }

    proptest! {
        /// Anywhere in the range: lower bound < duration ≤ upper bound.
        #[test]
        fn a_duration_lies_within_its_bucket(octave in 0u32..32, low in 0u64..u64::MAX) {
            let duration = (SHORTEST << octave) + low % (SHORTEST << octave);
            prop_assume!(duration <= LONGEST);
            let found = bucket(duration).map(|b| b as i32 + FIRST_INDEX);
            let Some(found) = found else { panic!("in range") };
            prop_assert!(!at_most(duration, found) && at_most(duration, found + 1));
        }
    }
}
