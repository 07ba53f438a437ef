//! The counters and gauges of one running service, and their values at one moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder, SharedString, Unit};

use super::names::{BUILD_INFO, CPU_SECONDS, MetricKind, RESIDENT_MEMORY, own_metric};
use super::process::{cpu_seconds, resident_bytes};

/// The value of one of our own metrics, at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Prometheus name.
    pub name: String,
    /// From the table of names; empty for a name that is not in it.
    pub help: &'static str,
    /// Whether it only grows.
    pub kind: MetricKind,
    /// Names and values, in the order in which they were given.
    pub labels: Vec<(String, String)>,
    /// Counters are exact up to 2⁵³.
    pub value: f64,
}

/// The counters and gauges of one running service. Cloning shares them.
///
/// It is a [`Recorder`] of the `metrics` facade, so whatever speaks to that can be counted here; distributions through
/// the facade are not kept.
#[derive(Clone, Debug, Default)]
pub struct Telemetry(Arc<DashMap<(MetricKind, Key), Arc<AtomicU64>>>);

static METADATA: Metadata<'static> = Metadata::new("chainspan", Level::INFO, None);

impl Telemetry {
    /// Nothing counted yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The counter `name` with `labels`: the same one each time. Names are those of the table, [`OWN_METRICS`](super::OWN_METRICS).
    pub fn counter(&self, name: &'static str, labels: &[(&'static str, &str)]) -> Counter {
        self.register_counter(&key(name, labels), &METADATA)
    }

    /// The gauge `name` with `labels`: the same one each time. Names are those of the table, [`OWN_METRICS`](super::OWN_METRICS).
    pub fn gauge(&self, name: &'static str, labels: &[(&'static str, &str)]) -> Gauge {
        self.register_gauge(&key(name, labels), &METADATA)
    }

    /// Everything that has been registered, with the process's own figures, by name and labels.
    pub fn samples(&self) -> Vec<Sample> {
        let mut samples: Vec<Sample> = self.0.iter().map(|entry| read(entry.key(), entry.value())).collect();
        let of_process = |name, value: Option<f64>| value.map(|value| sample(name, Vec::new(), value));
        samples.extend(of_process(RESIDENT_MEMORY, resident_bytes().map(|bytes| bytes as f64)));
        samples.extend(of_process(CPU_SECONDS, cpu_seconds()));
        samples.push(sample(BUILD_INFO, vec![("version".into(), env!("CARGO_PKG_VERSION").into())], 1.0));
        samples.sort_by(|a, b| (&a.name, &a.labels).cmp(&(&b.name, &b.labels)));
        samples
    }

    fn cell(&self, kind: MetricKind, key: &Key) -> Arc<AtomicU64> {
        let place = (kind, key.clone());
        if let Some(known) = self.0.get(&place) {
            return known.clone();
        }
        self.0.entry(place).or_default().clone()
    }
}

impl Recorder for Telemetry {
    /// Descriptions come from the table of names.
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    /// Descriptions come from the table of names.
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    /// Distributions are not kept.
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell(MetricKind::Counter, key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.cell(MetricKind::Gauge, key))
    }

    /// Distributions are not kept: what is recorded here goes nowhere.
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

/// A sample of a name in the table.
pub fn sample(name: &'static str, labels: Vec<(String, String)>, value: f64) -> Sample {
    let row = own_metric(name);
    Sample {
        name: name.to_owned(),
        help: row.map_or("", |row| row.help),
        kind: row.map_or(MetricKind::Gauge, |row| row.kind),
        labels,
        value,
    }
}

fn key(name: &'static str, labels: &[(&'static str, &str)]) -> Key {
    let labels: Vec<Label> = labels.iter().map(|(name, value)| Label::new(*name, (*value).to_owned())).collect();
    Key::from_parts(KeyName::from_const_str(name), labels)
}

fn read((kind, key): &(MetricKind, Key), cell: &AtomicU64) -> Sample {
    let bits = cell.load(Ordering::Relaxed);
    Sample {
        name: key.name().to_owned(),
        help: own_metric(key.name()).map_or("", |row| row.help),
        kind: *kind,
        labels: key.labels().map(|label| (label.key().to_owned(), label.value().to_owned())).collect(),
        value: match kind {
            MetricKind::Counter => bits as f64,
            MetricKind::Gauge => f64::from_bits(bits),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{ACCEPTED_SPANS, OWN_METRICS, QUEUE_SPANS};

    fn value(samples: &[Sample], name: &str) -> Option<f64> {
        samples.iter().find(|sample| sample.name == name).map(|sample| sample.value)
    }

    /// Two services in one process do not see each other's counts; two handles of one service do.
    #[test]
    fn each_service_counts_for_itself() {
        let (one, other) = (Telemetry::new(), Telemetry::new());
        one.counter(ACCEPTED_SPANS, &[("signal", "traces")]).increment(2);
        one.clone().counter(ACCEPTED_SPANS, &[("signal", "traces")]).increment(3);
        assert_eq!(value(&one.samples(), ACCEPTED_SPANS), Some(5.0));
        assert_eq!(value(&other.samples(), ACCEPTED_SPANS), None);
    }

    /// The facade's macros reach a service when it is the local recorder.
    #[test]
    fn the_facade_is_a_way_in() {
        let telemetry = Telemetry::new();
        metrics::with_local_recorder(&telemetry, || {
            metrics::gauge!(QUEUE_SPANS, "exporter" => "otlp/datadog").set(7.5);
            metrics::histogram!("chainspan_nobody_keeps_this").record(1.0);
        });
        let samples = telemetry.samples();
        let queue = samples.iter().find(|sample| sample.name == QUEUE_SPANS).expect("registered");
        assert_eq!((queue.value, queue.kind), (7.5, MetricKind::Gauge));
        assert_eq!(queue.labels, [("exporter".to_owned(), "otlp/datadog".to_owned())]);
        assert!(!queue.help.is_empty());
        assert_eq!(value(&samples, "chainspan_nobody_keeps_this"), None);
    }

    /// Names in the table follow the naming rules that `promtool` checks: counters end in `_total`, gauges do not.
    #[test]
    fn the_table_of_names_is_well_formed() {
        for (place, row) in OWN_METRICS.iter().enumerate() {
            assert_eq!(row.kind == MetricKind::Counter, row.name.ends_with("_total"), "{}", row.name);
            assert!(row.help.ends_with('.') || row.name == BUILD_INFO, "{}", row.name);
            assert_eq!(
                OWN_METRICS.iter().position(|other| other.name == row.name),
                Some(place),
                "{} stands twice",
                row.name
            );
        }
    }

    /// On Linux the process's own figures are there and plausible.
    #[test]
    #[cfg(target_os = "linux")]
    fn the_process_is_measured() {
        let samples = Telemetry::new().samples();
        assert!(value(&samples, RESIDENT_MEMORY).is_some_and(|bytes| bytes > 1e5));
        assert!(value(&samples, CPU_SECONDS).is_some_and(|seconds| (0.0..1e6).contains(&seconds)));
        assert_eq!(value(&samples, BUILD_INFO), Some(1.0));
    }
}
