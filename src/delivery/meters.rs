//! What a destination tells the operator: its counters and gauges, and log lines that a flood of failures cannot
//! multiply.

use std::collections::HashMap;
use std::time::Duration;

use metrics::{Counter, Gauge};
use tokio::time::Instant;

use super::Signal;
use super::ledger::Books;
use super::retry::{Failure, Judgement};
use crate::telemetry::Telemetry;

/// Between two log lines of one kind.
const QUIET: Duration = Duration::from_secs(60);

/// The instruments and the voice of one destination.
pub(crate) struct Meters {
    name: String,
    telemetry: Telemetry,
    sent: Counter,
    rejected: Counter,
    failed: HashMap<&'static str, Counter>,
    queue_spans: Gauge,
    queue_bytes: Gauge,
    spoken: HashMap<&'static str, Instant>,
}

impl Meters {
    /// Registers everything under the label `exporter`.
    pub(crate) fn new(name: &str, telemetry: &Telemetry) -> Self {
        let labels = [("exporter", name)];
        Self {
            name: name.to_owned(),
            sent: telemetry.counter("chainspan_exporter_sent_spans_total", &labels),
            rejected: telemetry.counter("chainspan_exporter_rejected_spans_total", &labels),
            failed: HashMap::new(),
            queue_spans: telemetry.gauge("chainspan_exporter_queue_spans", &labels),
            queue_bytes: telemetry.gauge("chainspan_exporter_queue_bytes", &labels),
            spoken: HashMap::new(),
            telemetry: telemetry.clone(),
        }
    }

    /// A request was acknowledged.
    pub(crate) fn acknowledged(&mut self, signal: Signal, items: u64, rejected: u64, message: &str) {
        if signal == Signal::Traces {
            self.sent.increment(items - rejected);
            self.rejected.increment(rejected);
        }
        if (rejected > 0 || !message.is_empty()) && self.may_speak("partial_success") {
            let (exporter, signal) = (&self.name, signal.name());
            tracing::warn!(exporter, signal, rejected, message, "the destination took the request in part");
        }
    }

    /// An attempt failed.
    pub(crate) fn failed(&mut self, failure: &Failure, judgement: Judgement) {
        let code = failure.label();
        let counter = self.failed.entry(code).or_insert_with(|| {
            let labels = [("exporter", self.name.as_str()), ("code", code)];
            self.telemetry.counter("chainspan_exporter_send_failed_requests_total", &labels)
        });
        counter.increment(1);
        if !self.may_speak(code) {
            return;
        }
        let exporter = &self.name;
        match judgement {
            Judgement::Misconfigured => tracing::error!(
                exporter, %failure,
                "the destination is set up wrongly: check endpoint, headers and credentials; the data is kept until it is mended"
            ),
            Judgement::Permanent => tracing::error!(exporter, %failure, "the destination refuses data"),
            Judgement::TooLarge => tracing::warn!(exporter, %failure, "the request is too large, sending it in halves"),
            Judgement::Retry => tracing::warn!(exporter, %failure, "cannot deliver, trying again"),
        }
    }

    /// The first success after failures.
    pub(crate) fn recovered(&mut self, failures: u32) {
        if self.may_speak("recovered") {
            tracing::info!(exporter = self.name, failures, "the destination takes data again");
        }
    }

    /// What is in hand.
    pub(crate) fn publish(&self, books: &Books) {
        self.queue_spans.set(books.spans.in_flight as f64);
        self.queue_bytes.set(books.queue_bytes as f64);
    }

    fn may_speak(&mut self, kind: &'static str) -> bool {
        let now = Instant::now();
        let quiet = self.spoken.get(kind).is_some_and(|last| now.duration_since(*last) < QUIET);
        if !quiet {
            self.spoken.insert(kind, now);
        }
        !quiet
    }
}
