//! The value of a data point: how points of one series add up, and in what they differ from the truth.

use std::collections::BTreeMap;

use crate::series::Expected;

/// The only scale that is exported.
pub(super) const SCALE: i32 = 6;

/// The largest relative error of a sum: sums of doubles depend on the order of addition.
const SUM_TOLERANCE: f64 = 1e-9;

/// The value of one data point, or of several of one series together.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Point {
    Count(u64),
    Durations {
        count: u64,
        sum_nano: u64,
        min_nano: u64,
        max_nano: u64,
        zero: u64,
        buckets: BTreeMap<i32, u64>,
        exemplars: u64,
    },
    Values {
        count: u64,
        sum: f64,
        buckets: Vec<u64>,
    },
    Gauge(f64),
}

impl Point {
    pub(super) fn exemplars(&self) -> u64 {
        match self {
            Self::Durations { exemplars, .. } => *exemplars,
            _ => 0,
        }
    }

    pub(super) fn is_zero(&self) -> bool {
        match self {
            Self::Count(count) | Self::Durations { count, .. } | Self::Values { count, .. } => *count == 0,
            Self::Gauge(_) => false,
        }
    }

    /// Adds another point of the same series; of two gauges the other one remains.
    pub(super) fn merge(&mut self, other: &Self) {
        match (self, other) {
            (Self::Count(mine), Self::Count(theirs)) => *mine += theirs,
            (
                Self::Durations { count, sum_nano, min_nano, max_nano, zero, buckets, exemplars },
                Self::Durations {
                    count: c,
                    sum_nano: s,
                    min_nano: least,
                    max_nano: most,
                    zero: z,
                    buckets: b,
                    exemplars: e,
                },
            ) => {
                (*count, *sum_nano, *zero, *exemplars) = (*count + c, *sum_nano + s, *zero + z, *exemplars + e);
                (*min_nano, *max_nano) = ((*min_nano).min(*least), (*max_nano).max(*most));
                for (index, more) in b {
                    *buckets.entry(*index).or_insert(0) += more;
                }
            }
            (Self::Values { count, sum, buckets }, Self::Values { count: c, sum: s, buckets: b }) => {
                (*count, *sum) = (*count + c, *sum + s);
                buckets.iter_mut().zip(b).for_each(|(mine, theirs)| *mine += theirs);
            }
            (mine, theirs) => *mine = theirs.clone(),
        }
    }

    /// How it differs from what it must be; `None` when it does not.
    pub(super) fn differs(&self, value: &Expected) -> Option<String> {
        let same = match (self, value) {
            (Self::Count(found), Expected::Count(expected)) => found == expected,
            (Self::Gauge(found), Expected::Gauge(expected)) => found == expected,
            (Self::Values { count, sum, buckets }, Expected::Values(expected)) => {
                let close = (sum - expected.sum).abs() <= SUM_TOLERANCE * expected.sum.abs().max(1.0);
                *count == expected.count && *buckets == expected.buckets && close
            }
            (Self::Durations { count, sum_nano, min_nano, max_nano, .. }, Expected::Durations(expected)) => {
                let expected = (expected.count, expected.sum_nano, expected.min_nano, expected.max_nano);
                (*count, *sum_nano, *min_nano, *max_nano) == expected
            }
            _ => false,
        };
        (!same).then(|| format!("expected {value:?}, found {self:?}"))
    }

    /// How it lies outside of the bounds `sure` and `sure` plus `perhaps`; `None` when it does not.
    pub(super) fn outside(&self, sure: Option<&Expected>, perhaps: &Expected) -> Option<String> {
        let within = |found: u64, least: u64, more: u64| (least..=least + more).contains(&found);
        let inside = match (self, sure, perhaps) {
            (Self::Gauge(_), ..) => true,
            (Self::Count(found), None, Expected::Count(more)) => within(*found, 0, *more),
            (Self::Count(found), Some(Expected::Count(least)), Expected::Count(more)) => within(*found, *least, *more),
            (Self::Values { count, .. }, None, Expected::Values(more)) => within(*count, 0, more.count),
            (Self::Values { count, .. }, Some(Expected::Values(least)), Expected::Values(more)) => {
                within(*count, least.count, more.count)
            }
            (Self::Durations { count, sum_nano, .. }, None, Expected::Durations(more)) => {
                within(*count, 0, more.count) && within(*sum_nano, 0, more.sum_nano)
            }
            (Self::Durations { count, sum_nano, .. }, Some(Expected::Durations(least)), Expected::Durations(more)) => {
                within(*count, least.count, more.count) && within(*sum_nano, least.sum_nano, more.sum_nano)
            }
            _ => false,
        };
        (!inside).then(|| format!("expected {sure:?}, at most also {perhaps:?}, found {self:?}"))
    }

    /// The quantile `q` of a duration series in nanoseconds, as a reader of the buckets computes it: the value with the same
    /// relative distance to both ends of its bucket. `None` for other series.
    pub(super) fn quantile(&self, q: f64) -> Option<f64> {
        let Self::Durations { count, zero, buckets, .. } = self else { return None };
        let rank = ((q * *count as f64).ceil() as u64).max(1);
        let mut below = *zero;
        if below >= rank {
            return Some(0.0);
        }
        let base = 2_f64.powf(1.0 / f64::from(1 << SCALE));
        buckets.iter().find_map(|(index, more)| {
            below += more;
            let lower = base.powi(*index);
            (below >= rank).then(|| 2.0 * lower * base / (1.0 + base) * 1e9)
        })
    }
}
