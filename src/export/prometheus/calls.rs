//! The metrics of calls: fixed names and labels, which Jaeger's query service asks for.

use super::label::label;
use super::text::{Exposition, SeriesHead};
use crate::chain::TAG_KEY;
use crate::red::{CALL_LABELS, CALL_METRICS, CallKey, Calls, OVERFLOW_LABEL};

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
        label(&mut labels, TAG_KEY, &key.chain.to_string());
        label(&mut labels, OVERFLOW_LABEL, "true");
        return labels;
    }
    let chain = key.chain.to_string();
    let values = [&*key.service, &*key.name, key.kind.label(), key.status.label(), &*chain];
    CALL_LABELS.iter().zip(values).for_each(|(name, value)| label(&mut labels, name, value));
    labels
}
