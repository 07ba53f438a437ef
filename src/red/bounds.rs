//! Fixed bucket bounds as whole numbers, so that counting is exact and sums are too.

/// The bounds of a classic histogram. A bucket holds what is greater than the bound before it and at most its own.
#[derive(Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Ascending, in units of 10^-`decimals`.
    pub values: &'static [i64],
    /// How many digits of a value stand after the point.
    pub decimals: u32,
}

impl Bounds {
    /// Buckets, the one without an upper bound included.
    pub const fn buckets(&self) -> usize {
        self.values.len() + 1
    }

    /// The bucket of `value`.
    pub fn bucket(&self, value: i64) -> usize {
        self.values.partition_point(|bound| *bound < value)
    }

    /// The bounds as text, shortest form: `0.005`, `1`, `-0.95`.
    pub fn texts(&self) -> impl Iterator<Item = String> + '_ {
        self.values.iter().map(|bound| decimal(i128::from(*bound), self.decimals))
    }
}

/// `.005 .01 .025 … 600` seconds, in nanoseconds.
pub(super) const SECONDS: Bounds = Bounds {
    values: &[
        5_000_000,
        10_000_000,
        25_000_000,
        50_000_000,
        100_000_000,
        250_000_000,
        500_000_000,
        1_000_000_000,
        2_000_000_000,
        4_000_000_000,
        6_000_000_000,
        8_000_000_000,
        10_000_000_000,
        12_000_000_000,
        15_000_000_000,
        20_000_000_000,
        24_000_000_000,
        30_000_000_000,
        45_000_000_000,
        60_000_000_000,
        120_000_000_000,
        240_000_000_000,
        360_000_000_000,
        600_000_000_000,
    ],
    decimals: 9,
};

/// 0 to 1 in steps of 0.05, in billionths.
pub(super) const RATIO: Bounds = Bounds { values: &twentieths::<21>(0), decimals: 9 };

/// −1 to 1 in steps of 0.05, in billionths.
pub(super) const MARGIN: Bounds = Bounds { values: &twentieths::<41>(-20), decimals: 9 };

/// 1 2 3 4 5 8 13 21.
pub(super) const ATTEMPTS: Bounds = Bounds { values: &[1, 2, 3, 4, 5, 8, 13, 21], decimals: 0 };

const fn twentieths<const N: usize>(first: i64) -> [i64; N] {
    let mut values = [0; N];
    let mut i = 0;
    while i < N {
        values[i] = (first + i as i64) * 50_000_000;
        i += 1;
    }
    values
}

/// A whole number of 10^-`decimals` as a decimal number, exact, without trailing zeros.
pub fn decimal(value: i128, decimals: u32) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let one = 10u128.pow(decimals);
    let (whole, rest) = (value.unsigned_abs() / one, value.unsigned_abs() % one);
    if rest == 0 {
        return format!("{sign}{whole}");
    }
    let digits = format!("{rest:0width$}", width = decimals as usize);
    format!("{sign}{whole}.{}", digits.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The `le` labels are those of the specification, to the letter.
    #[test]
    fn bounds_print_as_the_specification_has_them() {
        let seconds: Vec<_> = SECONDS.texts().collect();
        let expected = "0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2 4 6 8 10 12 15 20 24 30 45 60 120 240 360 600";
        assert_eq!(seconds.join(" "), expected);
        let ratio: Vec<_> = RATIO.texts().collect();
        assert_eq!((ratio.len(), &*ratio[0], &*ratio[1], &*ratio[20]), (21, "0", "0.05", "1"));
        let margin: Vec<_> = MARGIN.texts().collect();
        assert_eq!(
            (margin.len(), &*margin[0], &*margin[19], &*margin[20], &*margin[40]),
            (41, "-1", "-0.05", "0", "1")
        );
        assert_eq!(ATTEMPTS.texts().collect::<Vec<_>>().join(" "), "1 2 3 4 5 8 13 21");
    }

    /// A bucket holds its upper bound and not its lower one.
    #[test]
    fn upper_bounds_are_inclusive() {
        assert_eq!(SECONDS.bucket(5_000_000), 0);
        assert_eq!(SECONDS.bucket(5_000_001), 1);
        assert_eq!(SECONDS.bucket(600_000_000_001), SECONDS.buckets() - 1);
        assert_eq!(MARGIN.bucket(0), 20);
    }

    #[test]
    fn decimals_lose_nothing() {
        assert_eq!(decimal(i128::from(u64::MAX) * 1000 + 1, 9), "18446744073709.551615001");
        assert_eq!(decimal(-50_000_000, 9), "-0.05");
        assert_eq!(decimal(1_500_000_000, 9), "1.5");
    }
}
