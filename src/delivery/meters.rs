//! What a destination tells the operator: its counters and gauges, and log lines that a flood of failures cannot
//! multiply.

use std::collections::HashMap;
use std::time::Duration;

use metrics::{Counter, Gauge};
use tokio::time::Instant;

use super::ledger::Books;
use super::retry::{Failure, Judgement};
use super::{BreakerState, Signal};
use crate::store::{DeathReason, NotKept, StoreError};
use crate::telemetry::{BREAKER_STATE, DEAD_LETTERS, DEAD_SPANS, SPILLED_SPANS, Telemetry};

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
    spilled: Gauge,
    dead: Gauge,
    breaker: Gauge,
    letters: [Counter; DeathReason::ALL.len()],
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
            spilled: telemetry.gauge(SPILLED_SPANS, &labels),
            dead: telemetry.gauge(DEAD_SPANS, &labels),
            breaker: telemetry.gauge(BREAKER_STATE, &labels),
            letters: DeathReason::ALL
                .map(|reason| telemetry.counter(DEAD_LETTERS, &[("exporter", name), ("reason", reason.name())])),
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
        // What is not taken is said once, and not with every request that tries it.
        if judgement == Judgement::Untaken || !self.may_speak(code) {
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
            Judgement::Untaken => {}
        }
    }

    /// The destination does not take `signal`.
    pub(crate) fn untaken(&self, signal: Signal, failure: &Failure) {
        let (exporter, signal) = (&self.name, signal.name());
        tracing::warn!(
            exporter, signal, %failure,
            "the destination does not take {signal}: enable it there, or take the exporter out of the signal's pipeline; \
             other signals go on, and this one is tried from time to time"
        );
    }

    /// It does by now.
    pub(crate) fn taken(&self, signal: Signal) {
        let (exporter, signal) = (&self.name, signal.name());
        tracing::info!(exporter, signal, "the destination takes {signal} now");
    }

    /// The first success after failures.
    pub(crate) fn recovered(&mut self, failures: u32) {
        if self.may_speak("recovered") {
            tracing::info!(exporter = self.name, failures, "the destination takes data again");
        }
    }

    /// Dead letters have come to the disk.
    pub(crate) fn died(&mut self, reason: DeathReason, letters: u64) {
        let counter = DeathReason::ALL.iter().zip(&self.letters).find(|(known, _)| **known == reason);
        if let (Some((_, counter)), true) = (counter, letters > 0) {
            counter.increment(letters);
            if self.may_speak(reason.name()) {
                let (exporter, reason) = (&self.name, reason.name());
                tracing::error!(exporter, reason, letters, "dead letters: chainspan dlq list shows them");
            }
        }
    }

    /// The store did not take something.
    pub(crate) fn not_kept(&mut self, error: &NotKept) {
        let kind = match error {
            NotKept::Full => "full",
            NotKept::DiskFull => "disk_full",
            NotKept::Failed(_) => "failed",
            NotKept::Closed => return,
        };
        if self.may_speak(kind) {
            let exporter = &self.name;
            tracing::error!(exporter, %error, "what cannot be delivered cannot be kept either: clients are told to come again");
        }
    }

    /// The backlog cannot be read.
    pub(crate) fn unreadable(&mut self, error: &StoreError) {
        if self.may_speak("unreadable") {
            let exporter = &self.name;
            tracing::error!(exporter, %error, "the backlog cannot be read, trying again");
        }
    }

    /// The breaker has changed.
    pub(crate) fn turned(&mut self, state: BreakerState, why: &str) {
        self.breaker.set(match state {
            BreakerState::Closed => 0.0,
            BreakerState::HalfOpen => 1.0,
            BreakerState::Open => 2.0,
        });
        let (exporter, breaker) = (&self.name, state.label());
        match state {
            BreakerState::Open => tracing::warn!(exporter, breaker, why, "the destination is left alone for a while"),
            BreakerState::HalfOpen => tracing::info!(exporter, breaker, "one request tries the destination"),
            BreakerState::Closed => tracing::info!(exporter, breaker, "the destination works again"),
        }
    }

    /// What is in hand.
    pub(crate) fn publish(&self, books: &Books) {
        self.queue_spans.set(books.spans.in_flight as f64);
        self.queue_bytes.set(books.queue_bytes as f64);
        self.spilled.set(books.spans.spilled as f64);
        self.dead.set(books.spans.dead as f64);
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
