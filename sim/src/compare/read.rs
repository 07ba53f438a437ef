//! Reads the data points of an OTLP export. A backend accepts nearly anything without complaint; this reader reports
//! every inconsistency.

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

use super::point::{Point, SCALE};
use crate::series::{self, MetricFamily, Series, Shape};
use crate::spec;

/// Series, sender (`chainspan.instance`), window, value.
type ReadPoint = Result<(Series, String, (u64, u64), Point), String>;

/// Reads the points of one metric of one resource.
pub(super) struct PointReader<'a> {
    pub(super) family: &'static MetricFamily,
    pub(super) resource: Option<&'a Resource>,
}

impl PointReader<'_> {
    pub(super) fn points(&self, data: &Data) -> Vec<ReadPoint> {
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

    fn number(&self, point: &NumberDataPoint, read: impl Fn(Number) -> Result<Point, String>) -> ReadPoint {
        let (series, sender) = self.series(&point.attributes)?;
        let value = point.value.ok_or_else(|| format!("{series}: no value"))?;
        Ok((series, sender, (point.start_time_unix_nano, point.time_unix_nano), read(value)?))
    }

    fn exponential(&self, point: &ExponentialHistogramDataPoint) -> ReadPoint {
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

    fn explicit(&self, point: &HistogramDataPoint) -> ReadPoint {
        let (series, sender) = self.series(&point.attributes)?;
        let bounds = series::bounds(self.family);
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

/// Exact below 48 days: up to there a double of seconds distinguishes nanoseconds.
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
