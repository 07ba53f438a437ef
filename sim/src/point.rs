//! One data point of an OTLP export, read with all the suspicion of a backend that will never complain.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::exemplar;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, NumberDataPoint,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::exposition::Series;
use super::families::{self, Family, Shape};
use super::figures::Figure;
use super::spec;

/// The only scale that is exported.
const SCALE: i32 = 6;

/// Sums of doubles depend on the order of addition.
const SUM_TOLERANCE: f64 = 1e-9;

/// What a point holds, or several of one series together.
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

/// Series, sender (`chainspan.instance`), window, value.
type Read = Result<(Series, String, (u64, u64), Point), String>;

/// Reads the points of one metric of one resource.
pub(super) struct Reader<'a> {
    pub(super) family: &'static Family,
    pub(super) resource: Option<&'a Resource>,
}

impl Reader<'_> {
    pub(super) fn points(&self, data: &Data) -> Vec<Read> {
        let delta = AggregationTemporality::Delta as i32;
        match (self.family.shape, data) {
            (Shape::Counter, Data::Sum(sum)) if sum.aggregation_temporality == delta && sum.is_monotonic => {
                sum.data_points.iter().map(|point| self.number(point, |value| count(value).map(Point::Count))).collect()
            }
            (Shape::Gauge, Data::Gauge(gauge)) => {
                let value = |value: Number| Ok(Point::Gauge(double(value)));
                gauge.data_points.iter().map(|point| self.number(point, value)).collect()
            }
            (Shape::Duration, Data::ExponentialHistogram(histogram)) if histogram.aggregation_temporality == delta => {
                histogram.data_points.iter().map(|point| self.exponential(point)).collect()
            }
            (Shape::Values, Data::Histogram(histogram)) if histogram.aggregation_temporality == delta => {
                histogram.data_points.iter().map(|point| self.explicit(point)).collect()
            }
            (shape, _) => vec![Err(format!("must be a {shape:?} of delta temporality"))],
        }
    }

    fn number(&self, point: &NumberDataPoint, read: impl Fn(Number) -> Result<Point, String>) -> Read {
        let (series, sender) = self.series(&point.attributes)?;
        let value = point.value.ok_or_else(|| format!("{series}: no value"))?;
        Ok((series, sender, (point.start_time_unix_nano, point.time_unix_nano), read(value)?))
    }

    fn exponential(&self, point: &ExponentialHistogramDataPoint) -> Read {
        let (series, sender) = self.series(&point.attributes)?;
        let wrong = |what: &str| Err(format!("{series}: {what}: {point:?}"));
        if point.scale != SCALE {
            return wrong("the scale must be 6");
        }
        if point.negative.as_ref().is_some_and(|negative| negative.bucket_counts.iter().any(|count| *count > 0)) {
            return wrong("no duration is negative");
        }
        let (Some(sum), Some(min), Some(max)) = (point.sum, point.min, point.max) else {
            return wrong("sum, min and max must be there");
        };
        let mut buckets = BTreeMap::new();
        if let Some(positive) = &point.positive {
            for (index, count) in positive.bucket_counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                buckets.insert(positive.offset + index as i32, *count);
            }
        }
        if point.zero_count + buckets.values().sum::<u64>() != point.count {
            return wrong("the count must be the sum of the buckets");
        }
        let (sum_nano, min_nano, max_nano) = (nanos(sum), nanos(min), nanos(max));
        if min_nano > max_nano || sum_nano < max_nano || sum_nano > point.count.saturating_mul(max_nano) {
            return wrong("sum, min and max cannot belong to the same observations");
        }
        let exemplars = point.exemplars.len() as u64;
        if exemplars > 4 || point.exemplars.iter().any(|exemplar| !sound(exemplar, min_nano, max_nano)) {
            return wrong("at most four exemplars, each of one of the observations, with ids");
        }
        let (count, zero) = (point.count, point.zero_count);
        let value = Point::Durations { count, sum_nano, min_nano, max_nano, zero, buckets, exemplars };
        Ok((series, sender, (point.start_time_unix_nano, point.time_unix_nano), value))
    }

    fn explicit(&self, point: &HistogramDataPoint) -> Read {
        let (series, sender) = self.series(&point.attributes)?;
        let bounds = families::bounds(self.family);
        let same = bounds.len() == point.explicit_bounds.len()
            && bounds.iter().zip(&point.explicit_bounds).all(|(mine, theirs)| (mine - theirs).abs() < 1e-9);
        if !same || point.bucket_counts.len() != bounds.len() + 1 {
            return Err(format!("{series}: other bounds than the catalogue has: {:?}", point.explicit_bounds));
        }
        if point.bucket_counts.iter().sum::<u64>() != point.count {
            return Err(format!("{series}: the count must be the sum of the buckets: {point:?}"));
        }
        let sum = point.sum.ok_or_else(|| format!("{series}: no sum"))?;
        let value = Point::Values { count: point.count, sum, buckets: point.bucket_counts.clone() };
        Ok((series, sender, (point.start_time_unix_nano, point.time_unix_nano), value))
    }

    /// The labels of a point, in the spelling of Prometheus, and who sent it.
    fn series(&self, attributes: &[KeyValue]) -> Result<(Series, String), String> {
        let mut series = Series::new(self.family.name);
        for attribute in self.resource.iter().flat_map(|resource| &resource.attributes) {
            if ["service.name", "deployment.environment.name"].contains(&attribute.key.as_str()) {
                series = series.with(&attribute.key.replace('.', "_"), text(attribute)?);
            }
        }
        let mut sender = String::new();
        for attribute in attributes {
            match attribute.key.as_str() {
                "chainspan.instance" => text(attribute)?.clone_into(&mut sender),
                key => series = series.with(&key.replace('.', "_"), text(attribute)?),
            }
        }
        // The specification gives `_OTHER` no class.
        if series.label("reason") == spec::OTHER {
            series.labels.remove("class");
        }
        Ok((series, sender))
    }
}

/// Attribute values are strings, always.
fn text(attribute: &KeyValue) -> Result<&str, String> {
    match &attribute.value {
        Some(AnyValue { value: Some(Value::StringValue(text)) }) => Ok(text),
        other => Err(format!("the attribute {} must be a string: {other:?}", attribute.key)),
    }
}

fn count(value: Number) -> Result<u64, String> {
    match value {
        Number::AsInt(count) => u64::try_from(count).map_err(|_| format!("a count of {count}")),
        Number::AsDouble(count) if count >= 0.0 && count.fract() == 0.0 => Ok(count as u64),
        Number::AsDouble(count) => Err(format!("a count of {count}")),
    }
}

fn double(value: Number) -> f64 {
    match value {
        Number::AsInt(value) => value as f64,
        Number::AsDouble(value) => value,
    }
}

/// Exact for sums below 48 days: a double of seconds tells nanoseconds apart that far.
fn nanos(seconds: f64) -> u64 {
    (seconds * 1e9).round() as u64
}

fn sound(exemplar: &Exemplar, min: u64, max: u64) -> bool {
    let value = match exemplar.value {
        Some(exemplar::Value::AsDouble(seconds)) => nanos(seconds),
        _ => return false,
    };
    let ids = exemplar.trace_id.len() == 16 && exemplar.span_id.len() == 8;
    ids && (min..=max).contains(&value) && exemplar.time_unix_nano > 0
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

    /// Takes over what another point of the same series holds; of gauges the other one stays.
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

    /// In what it differs from what it must be.
    pub(super) fn differs(&self, figure: &Figure) -> Option<String> {
        let same = match (self, figure) {
            (Self::Count(found), Figure::Count(expected)) => found == expected,
            (Self::Gauge(found), Figure::Gauge(expected)) => found == expected,
            (Self::Values { count, sum, buckets }, Figure::Values(expected)) => {
                let close = (sum - expected.sum).abs() <= SUM_TOLERANCE * expected.sum.abs().max(1.0);
                *count == expected.count && *buckets == expected.buckets && close
            }
            (Self::Durations { count, sum_nano, min_nano, max_nano, .. }, Figure::Durations(expected)) => {
                let expected = (expected.count, expected.sum_nano, expected.min_nano, expected.max_nano);
                (*count, *sum_nano, *min_nano, *max_nano) == expected
            }
            _ => false,
        };
        (!same).then(|| format!("expected {figure:?}, found {self:?}"))
    }

    /// In what it lies outside of what it may be when `perhaps` is there or not; what is both is `sure` and `perhaps`.
    pub(super) fn outside(&self, sure: Option<&Figure>, perhaps: &Figure) -> Option<String> {
        let within = |found: u64, least: u64, more: u64| (least..=least + more).contains(&found);
        let inside = match (self, sure, perhaps) {
            (Self::Gauge(_), ..) => true,
            (Self::Count(found), None, Figure::Count(more)) => within(*found, 0, *more),
            (Self::Count(found), Some(Figure::Count(least)), Figure::Count(more)) => within(*found, *least, *more),
            (Self::Values { count, .. }, None, Figure::Values(more)) => within(*count, 0, more.count),
            (Self::Values { count, .. }, Some(Figure::Values(least)), Figure::Values(more)) => {
                within(*count, least.count, more.count)
            }
            (Self::Durations { count, sum_nano, .. }, None, Figure::Durations(more)) => {
                within(*count, 0, more.count) && within(*sum_nano, 0, more.sum_nano)
            }
            (Self::Durations { count, sum_nano, .. }, Some(Figure::Durations(least)), Figure::Durations(more)) => {
                within(*count, least.count, more.count) && within(*sum_nano, least.sum_nano, more.sum_nano)
            }
            _ => false,
        };
        (!inside).then(|| format!("expected {sure:?}, at most also {perhaps:?}, found {self:?}"))
    }

    /// Nanoseconds at the share `q` of a duration series, as a reader of the buckets computes it: the value whose relative
    /// distance to both ends of the bucket is the same. `None` for other series.
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
