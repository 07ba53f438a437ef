//! The metrics of calls: fixed names and labels, which Jaeger's query service asks for.

use super::label::{OVERFLOW, label};
use super::text::{Exposition, SeriesHead};
use crate::red::{CALL_METRICS, CallKey, Calls};

impl Exposition {
    /// Both metrics of all `calls`; nothing if there are none.
    pub(super) fn calls(&mut self, calls: &[Calls]) {
        let Some(first) = calls.first() else { return };
        let labels: Vec<String> = calls.iter().map(|calls| of_key(&calls.key)).collect();
        let bounds = self.bounds(first.durations.bounds().texts());
        for metric in &CALL_METRICS {
            self.header(metric.name, metric.help, if metric.histogram { "histogram" } else { "counter" });
            for (calls, labels) in calls.iter().zip(&labels) {
                let head =
                    SeriesHead { name: metric.name, labels, start_unix_nano: calls.start_unix_nano, exemplars: &[] };
                if metric.histogram {
                    self.histogram(&head, &bounds, &calls.durations);
                } else {
                    self.counter(&head, calls.durations.count());
                }
            }
        }
    }
}

fn of_key(key: &CallKey) -> String {
    let mut labels = String::new();
    if key.overflow {
        label(&mut labels, "chain_id", &key.chain.to_string());
        label(&mut labels, OVERFLOW, "true");
        return labels;
    }
    for (name, value) in [
        ("service_name", &*key.service),
        ("span_name", &*key.name),
        ("span_kind", key.kind.label()),
        ("status_code", key.status.label()),
        ("chain_id", &key.chain.to_string()),
    ] {
        label(&mut labels, name, value);
    }
    labels
}
