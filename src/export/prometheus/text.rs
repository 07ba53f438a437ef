//! A snapshot as text: Prometheus 0.0.4, or OpenMetrics 1.0 with units, times of creation and exemplars.
//!
//! Pure: the same snapshot and samples give the same text, byte for byte.

use std::fmt::Write;

use super::Format;
use super::label::{dimension_labels, label, of_series, sanitized};
use crate::red::{Exemplar, Family, FixedHistogram, Instrument, Series, SeriesValue, Snapshot, decimal};
use crate::telemetry::{FUTURE_SPANS, LATE_SPANS, MetricKind, SERIES, SERIES_OVERFLOW, Sample, sample};

/// The metrics derived from spans, if there are any, and our own.
pub fn render(format: Format, snapshot: Option<&Snapshot>, own: &[Sample]) -> String {
    let mut exposition = Exposition { text: String::with_capacity(64 * 1024), format };
    let mut own: Vec<Sample> = own.to_vec();
    if let Some(snapshot) = snapshot {
        let namespace = sanitized(&snapshot.namespace);
        let dimensions = dimension_labels(&snapshot.dimensions);
        for family in &snapshot.families {
            exposition.family(&namespace, &dimensions, family);
        }
        exposition.calls(&snapshot.calls);
        let count = |name, value| sample(name, Vec::new(), value);
        own.push(count(SERIES, snapshot.series_count() as f64));
        own.push(count(SERIES_OVERFLOW, snapshot.overflow_observations as f64));
        own.push(count(LATE_SPANS, snapshot.late as f64));
        own.push(count(FUTURE_SPANS, snapshot.future as f64));
    }
    own.sort_by(|a, b| (&a.name, &a.labels).cmp(&(&b.name, &b.labels)));
    exposition.own(&own);
    if format == Format::OpenMetrics {
        exposition.text.push_str("# EOF\n");
    }
    exposition.text
}

/// A text that grows line by line.
pub(super) struct Exposition {
    text: String,
    format: Format,
}

/// What the sample lines of a series have in common.
pub(super) struct SeriesHead<'s> {
    pub(super) name: &'s str,
    /// Without braces.
    pub(super) labels: &'s str,
    pub(super) start_unix_nano: u64,
    pub(super) exemplars: &'s [Exemplar],
}

impl Exposition {
    fn family(&mut self, namespace: &str, dimensions: &[String], family: &Family) {
        let entry = family.metric.entry();
        let name = format!("{namespace}_{}", entry.prometheus);
        let (kind, bounds) = match entry.instrument {
            Instrument::Counter => ("counter", Vec::new()),
            Instrument::Gauge => ("gauge", Vec::new()),
            Instrument::Histogram(bounds) => ("histogram", self.bounds(bounds.texts())),
        };
        self.header(&name, entry.help, kind);
        for series in &family.series {
            let labels = of_series(dimensions, family, series);
            let Series { start_unix_nano, exemplars, .. } = series;
            let head = SeriesHead { name: &name, labels: &labels, start_unix_nano: *start_unix_nano, exemplars };
            match &series.value {
                SeriesValue::Counter(count) => self.counter(&head, *count),
                SeriesValue::Gauge(value) => self.line(&name, "", &labels, "", &number(*value)),
                SeriesValue::Duration(histogram) => self.histogram(&head, &bounds, histogram.classic()),
                SeriesValue::Fixed(histogram) => self.histogram(&head, &bounds, histogram),
            }
        }
    }

    pub(super) fn counter(&mut self, head: &SeriesHead<'_>, count: u64) {
        self.line(head.name, "_total", head.labels, "", itoa::Buffer::new().format(count));
        self.created(head);
    }

    /// The values of `le`; OpenMetrics wants to see that they are no integers.
    pub(super) fn bounds(&self, texts: impl Iterator<Item = String>) -> Vec<String> {
        let whole = |text: String| if text.contains('.') { text } else { text + ".0" };
        let texts = texts.map(|text| if self.format == Format::OpenMetrics { whole(text) } else { text });
        texts.chain(["+Inf".to_owned()]).collect()
    }

    pub(super) fn histogram(&mut self, head: &SeriesHead<'_>, bounds: &[String], histogram: &FixedHistogram) {
        let SeriesHead { name, labels, exemplars, .. } = *head;
        let mut number = itoa::Buffer::new();
        let mut below = 0;
        for (place, (bound, count)) in bounds.iter().zip(histogram.buckets()).enumerate() {
            below += count;
            self.line(name, "_bucket", labels, bound, number.format(below));
            // Slowest first: each bucket shows the slowest that fell into it.
            let fell = |seen: &&Exemplar| i64::try_from(seen.duration_nano).map(|d| histogram.bounds().bucket(d));
            if let Some(seen) = exemplars.iter().find(|seen| fell(seen) == Ok(place)) {
                self.exemplar(seen);
            }
        }
        self.line(name, "_sum", labels, "", &decimal(histogram.sum(), histogram.bounds().decimals));
        self.line(name, "_count", labels, "", number.format(below));
        self.created(head);
    }

    fn own(&mut self, own: &[Sample]) {
        let mut last = "";
        for sample in own {
            let (kind, suffix) = match sample.kind {
                MetricKind::Counter => ("counter", "_total"),
                MetricKind::Gauge => ("gauge", ""),
            };
            let name = sample.name.strip_suffix(suffix).unwrap_or(&sample.name);
            if sample.name != last {
                self.header(name, sample.help, kind);
                last = &sample.name;
            }
            let mut labels = String::new();
            sample.labels.iter().for_each(|(name, value)| label(&mut labels, &sanitized(name), value));
            self.line(name, suffix, &labels, "", &number(sample.value));
        }
    }

    /// In OpenMetrics a counter's family is named without the suffix of its samples.
    pub(super) fn header(&mut self, name: &str, help: &str, kind: &str) {
        let suffix = if kind == "counter" && self.format == Format::Text { "_total" } else { "" };
        let text = &mut self.text;
        if !help.is_empty() {
            let help = help.replace('\\', "\\\\").replace('\n', "\\n");
            let quoted = if self.format == Format::OpenMetrics { help.replace('"', "\\\"") } else { help };
            let _ = writeln!(text, "# HELP {name}{suffix} {quoted}");
        }
        let _ = writeln!(text, "# TYPE {name}{suffix} {kind}");
        if let Some(unit) = unit(name).filter(|_| self.format == Format::OpenMetrics) {
            let _ = writeln!(text, "# UNIT {name} {unit}");
        }
    }

    /// One sample. An empty bound means there is none.
    fn line(&mut self, name: &str, suffix: &str, labels: &str, bound: &str, value: &str) {
        let text = &mut self.text;
        text.push_str(name);
        text.push_str(suffix);
        if !labels.is_empty() || !bound.is_empty() {
            text.push('{');
            text.push_str(labels);
            if !bound.is_empty() {
                if !labels.is_empty() {
                    text.push(',');
                }
                text.push_str("le=\"");
                text.push_str(bound);
                text.push('"');
            }
            text.push('}');
        }
        text.push(' ');
        text.push_str(value);
        text.push('\n');
    }

    /// When a series began, so that a reader can tell a new series from one that it had missed.
    fn created(&mut self, head: &SeriesHead<'_>) {
        if self.format == Format::OpenMetrics && head.start_unix_nano > 0 {
            self.line(head.name, "_created", head.labels, "", &decimal(i128::from(head.start_unix_nano), 9));
        }
    }

    /// Behind the sample that was just written.
    fn exemplar(&mut self, seen: &Exemplar) {
        if self.format == Format::Text {
            return;
        }
        self.text.pop();
        self.text.push_str(" # {trace_id=\"");
        hex(&mut self.text, &seen.trace_id);
        self.text.push_str("\",span_id=\"");
        hex(&mut self.text, &seen.span_id);
        let [duration, end] = [seen.duration_nano, seen.end_unix_nano].map(|nano| decimal(i128::from(nano), 9));
        let _ = writeln!(self.text, "\"}} {duration} {end}");
    }
}

fn hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
}

/// The unit that a name ends with.
fn unit(name: &str) -> Option<&'static str> {
    ["seconds", "milliseconds", "bytes", "ratio"]
        .into_iter()
        .find(|unit| name.strip_suffix(unit).is_some_and(|rest| rest.ends_with('_')))
}

fn number(value: f64) -> String {
    match value {
        _ if value.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_prometheus_reads_them() {
        assert_eq!(number(3.0), "3");
        assert_eq!(number(0.25), "0.25");
        assert_eq!(number(f64::NEG_INFINITY), "-Inf");
        assert_eq!(number(f64::NAN), "NaN");
    }
}
