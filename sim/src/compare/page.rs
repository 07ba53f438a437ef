//! A Prometheus page compared with the truth, series by series: what is missing, what is surplus, what differs.

use std::collections::{BTreeMap, BTreeSet};

use super::difference::Difference;
use super::exposition::{ExpositionError, parse};
use crate::series::{self, Expected, FAMILIES, MEASURED, MetricFamily, Series, Shape};
use crate::spec;
use crate::truth::Truth;

/// The largest relative error of a sum: sums of doubles depend on the order of addition.
const SUM_TOLERANCE: f64 = 1e-9;

impl Truth {
    /// Compares every series of [`MEASURED`] with a Prometheus exposition, both ways; see [`Truth::compare_only`].
    pub fn compare(&self, exposition: &str, namespace: &str) -> Result<Vec<Difference>, ExpositionError> {
        self.compare_only(exposition, namespace, MEASURED)
    }

    /// Compares every series of `families` with a Prometheus exposition, both ways; empty when all are equal. Counts must
    /// be equal to the last span, sums to a billionth. Where a batch is ambiguous, every value between those with and without
    /// it is right. `namespace` is the configured one, dotted (`avs.gateway`). A series with the value 0 counts as absent,
    /// unless it is a gauge. The truth must not hold more chains than `max_chains`.
    pub fn compare_only(
        &self,
        exposition: &str,
        namespace: &str,
        families: &[MetricFamily],
    ) -> Result<Vec<Difference>, ExpositionError> {
        let prefix = prefix(namespace);
        let expected = self.series_of(namespace, families);
        let uncertain = self.uncertain().map(|uncertain| uncertain.series_of(namespace, families)).unwrap_or_default();
        let mut measured: BTreeMap<Series, f64> = BTreeMap::new();
        for (series, value) in parse(exposition)? {
            if let Some(series) = canonical(series, &prefix, families) {
                measured.insert(series, value);
            }
        }
        let mut differences = Vec::new();
        let names: BTreeSet<&Series> = expected.keys().chain(uncertain.keys()).collect();
        for series in names {
            let found = measured.remove(series);
            let (sure, perhaps) = (expected.get(series).copied(), uncertain.get(series).copied());
            if is_gauge(series, &prefix) {
                // If one of two readings is ambiguous, the last one cannot be known.
                let equal = found == sure || perhaps.is_some();
                if !equal {
                    let at_most = perhaps.or(sure);
                    differences.push(Difference { series: series.clone(), expected: sure, at_most, measured: found });
                }
                continue;
            }
            let (least, most) = (sure.unwrap_or(0.0), sure.unwrap_or(0.0) + perhaps.unwrap_or(0.0));
            let value = found.unwrap_or(0.0);
            // A margin is negative where a quorum was missed.
            let (least, most) = (least.min(most), least.max(most));
            let slack = if series.name.ends_with("_sum") {
                let inexact = SUM_TOLERANCE * least.abs().max(most.abs()).max(1.0);
                // Any part of a sum may be missing: with parts of both signs there are no bounds.
                let signed = series.name.ends_with("quorum_margin_sum");
                if signed && perhaps.is_some() { f64::INFINITY } else { inexact }
            } else {
                0.0
            };
            if value < least - slack || value > most + slack {
                let (expected, at_most) = (sure.or(Some(0.0)), Some(most));
                differences.push(Difference { series: series.clone(), expected, at_most, measured: found });
            }
        }
        let surplus = measured.into_iter().filter(|(series, value)| *value != 0.0 || is_gauge(series, &prefix));
        differences.extend(surplus.map(|(series, value)| Difference {
            series,
            expected: None,
            at_most: None,
            measured: Some(value),
        }));
        Ok(differences)
    }

    /// Every series of [`MEASURED`] that must be on the Prometheus page, with its value.
    pub fn series(&self, namespace: &str) -> BTreeMap<Series, f64> {
        self.series_of(namespace, MEASURED)
    }

    /// Every series of `families` that must be on the Prometheus page, with its value. Ambiguous batches are not in it.
    pub fn series_of(&self, namespace: &str, families: &[MetricFamily]) -> BTreeMap<Series, f64> {
        let mut page = ExpectedPage { prefix: prefix(namespace), samples: BTreeMap::new() };
        for (series, value) in self.expected(families) {
            if let Some(family) = series::named(&series.name) {
                page.expect(family, &series, &value);
            }
        }
        page.samples
    }
}

fn prefix(namespace: &str) -> String {
    format!("{}_", namespace.replace(['.', '-'], "_"))
}

fn is_gauge(series: &Series, prefix: &str) -> bool {
    let name = series.name.strip_prefix(prefix);
    FAMILIES.iter().any(|family| family.shape == Shape::Gauge && Some(family.prometheus) == name)
}

/// The series under the name and labels that the truth uses; `None` when it belongs to another family.
fn canonical(mut series: Series, prefix: &str, families: &[MetricFamily]) -> Option<Series> {
    let name = series.name.strip_prefix(prefix)?.replace("quorum_margin_ratio", "quorum_margin");
    let covered = families.iter().any(|family| {
        name.strip_prefix(family.prometheus).is_some_and(|suffix| match family.shape {
            Shape::Counter => suffix == "_total",
            Shape::Gauge => suffix.is_empty(),
            Shape::Duration | Shape::Values => ["_bucket", "_sum", "_count"].contains(&suffix),
        })
    });
    if !covered {
        return None;
    }
    series.name = format!("{prefix}{name}");
    series.labels.retain(|label, _| !label.starts_with("otel_scope_"));
    if let Some(le) = series.labels.get_mut("le") {
        *le = bound(le.parse().unwrap_or(f64::INFINITY));
    }
    // The specification gives `_OTHER` no class.
    if series.label("reason") == spec::OTHER {
        series.labels.remove("class");
    }
    Some(series)
}

/// A bucket bound in one spelling, however it was computed and printed.
fn bound(value: f64) -> String {
    if value.is_infinite() {
        return "+Inf".to_owned();
    }
    let rounded = (value * 1e6).round() / 1e6;
    // Minus zero prints a sign.
    (rounded + 0.0).to_string()
}

/// The samples of the page that the truth implies.
struct ExpectedPage {
    prefix: String,
    samples: BTreeMap<Series, f64>,
}

impl ExpectedPage {
    fn expect(&mut self, family: &MetricFamily, series: &Series, value: &Expected) {
        match value {
            Expected::Count(count) => self.put(family, series, "_total", *count as f64),
            Expected::Gauge(value) => self.put(family, series, "", *value),
            Expected::Durations(durations) => {
                let bounds: Vec<f64> = spec::DURATION_BOUNDS_NANO.iter().map(|nano| *nano as f64 / 1e9).collect();
                self.histogram(family, series, &durations.buckets, &bounds, durations.sum_nano as f64 / 1e9);
            }
            Expected::Values(values) => {
                self.histogram(family, series, &values.buckets, &series::bounds(family), values.sum);
            }
        }
    }

    fn put(&mut self, family: &MetricFamily, series: &Series, suffix: &str, value: f64) {
        let name = format!("{}{}{suffix}", self.prefix, family.prometheus);
        self.samples.insert(Series { name, labels: series.labels.clone() }, value);
    }

    fn histogram(&mut self, family: &MetricFamily, series: &Series, buckets: &[u64], bounds: &[f64], sum: f64) {
        let mut cumulative = 0;
        for (index, count) in buckets.iter().enumerate() {
            cumulative += count;
            let le = bound(bounds.get(index).copied().unwrap_or(f64::INFINITY));
            self.put(family, &series.clone().with("le", le), "_bucket", cumulative as f64);
        }
        self.put(family, series, "_sum", sum);
        self.put(family, series, "_count", cumulative as f64);
    }
}
