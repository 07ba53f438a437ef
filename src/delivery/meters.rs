//! What a destination tells the operator: its counters and gauges, and log lines that a flood of failures cannot
//! multiply.

use std::collections::HashMap;
use std::time::Duration;

use metrics::{Counter, Gauge};
use tokio::time::Instant;

use crate::delivery::inflight::Accounting;
use crate::delivery::outage::Outage;
use crate::delivery::policy::{Failure, Judgement};
use crate::delivery::status::BreakerState;
use crate::otlp::Signal;
use crate::store::{DeathReason, NotKept, StoreError};
use crate::telemetry::{
    BREAKER_STATE, DEAD_LETTERS, DEAD_SPANS, QUEUE_BYTES, QUEUE_SPANS, REJECTED_SPANS, SEND_FAILED_REQUESTS,
    SENT_SPANS, SPILLED_SPANS, Telemetry,
};

/// The shortest time between two log lines of one kind.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// The metrics and the log of one destination.
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
    /// When a line of each kind was last written.
    logged: HashMap<&'static str, Instant>,
    outage: Option<Outage>,
}

impl std::fmt::Debug for Meters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meters").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Meters {
    /// Registers everything under the label `exporter`.
    pub(crate) fn new(name: &str, telemetry: &Telemetry) -> Self {
        let labels = [("exporter", name)];
        Self {
            name: name.to_owned(),
            sent: telemetry.counter(SENT_SPANS, &labels),
            rejected: telemetry.counter(REJECTED_SPANS, &labels),
            failed: HashMap::new(),
            queue_spans: telemetry.gauge(QUEUE_SPANS, &labels),
            queue_bytes: telemetry.gauge(QUEUE_BYTES, &labels),
            spilled: telemetry.gauge(SPILLED_SPANS, &labels),
            dead: telemetry.gauge(DEAD_SPANS, &labels),
            breaker: telemetry.gauge(BREAKER_STATE, &labels),
            letters: DeathReason::ALL
                .map(|reason| telemetry.counter(DEAD_LETTERS, &[("exporter", name), ("reason", reason.name())])),
            logged: HashMap::new(),
            outage: None,
            telemetry: telemetry.clone(),
        }
    }

    /// A request was acknowledged.
    pub(crate) fn acknowledged(&mut self, signal: Signal, items: u64, rejected: u64, message: &str) {
        if signal == Signal::Traces {
            self.sent.increment(items - rejected);
            self.rejected.increment(rejected);
        }
        if (rejected > 0 || !message.is_empty()) && self.may_log("partial_success") {
            let (exporter, signal) = (&self.name, signal.name());
            tracing::warn!(
                exporter,
                signal,
                rejected,
                message,
                "partial success: the destination turned part of a request away"
            );
        }
    }

    /// An attempt failed.
    pub(crate) fn failed(&mut self, failure: &Failure, judgement: Judgement) {
        let code = failure.label();
        let counter = self.failed.entry(code).or_insert_with(|| {
            let labels = [("exporter", self.name.as_str()), ("code", code)];
            self.telemetry.counter(SEND_FAILED_REQUESTS, &labels)
        });
        counter.increment(1);
        // That a signal is not taken is logged once, not with every request that tries it.
        if judgement == Judgement::Unimplemented || !self.may_log(code) {
            return;
        }
        let exporter = &self.name;
        match judgement {
            Judgement::Misconfigured => tracing::error!(
                exporter, %failure,
                "the destination denies access: check endpoint, headers and credentials; the data is kept and retried"
            ),
            Judgement::Permanent => {
                tracing::error!(exporter, %failure, "the destination rejects data for good: isolating the spans that it rejects")
            }
            Judgement::TooLarge => {
                tracing::warn!(exporter, %failure, "the request is too large for the destination: sending it in halves")
            }
            Judgement::Retry => tracing::warn!(exporter, %failure, "delivery failed, retrying"),
            Judgement::Unimplemented => {}
        }
    }

    /// The destination does not take `signal`.
    pub(crate) fn unimplemented(&self, signal: Signal, failure: &Failure) {
        let (exporter, signal) = (&self.name, signal.name());
        tracing::warn!(
            exporter, signal, %failure,
            "the destination does not take {signal}: enable it there, or take the exporter out of the signal's pipeline; \
             other signals are delivered, and this one is tried from time to time"
        );
    }

    /// The destination takes `signal` now.
    pub(crate) fn implemented(&self, signal: Signal) {
        let (exporter, signal) = (&self.name, signal.name());
        tracing::info!(exporter, signal, "the destination takes {signal} again: delivery of {signal} resumes");
    }

    /// The first success after failures.
    pub(crate) fn recovered(&mut self, failures: u32) {
        if self.may_log("recovered") {
            tracing::info!(exporter = self.name, failures, "delivery works again");
        }
    }

    /// Dead letters have come to the disk.
    pub(crate) fn buried(&mut self, reason: DeathReason, letters: u64) {
        let counter = DeathReason::ALL.iter().zip(&self.letters).find(|(known, _)| **known == reason);
        if let (Some((_, counter)), true) = (counter, letters > 0) {
            counter.increment(letters);
            if self.may_log(reason.name()) {
                let (exporter, reason) = (&self.name, reason.name());
                tracing::error!(exporter, reason, letters, "data became dead letters: chainspan dlq list shows them");
            }
        }
    }

    /// The store turned something down.
    pub(crate) fn not_kept(&mut self, error: &NotKept) {
        let kind = match error {
            NotKept::Full => "full",
            NotKept::DiskFull => "disk_full",
            NotKept::Failed(_) => "failed",
            NotKept::Closed => return,
        };
        if self.may_log(kind) {
            let exporter = &self.name;
            tracing::error!(exporter, %error, "data that cannot be delivered cannot be stored either: clients are told to retry");
        }
    }

    /// The records that wait cannot be read.
    pub(crate) fn unreadable(&mut self, error: &StoreError) {
        if self.may_log("unreadable") {
            let exporter = &self.name;
            tracing::error!(exporter, %error, "stored data cannot be read for delivery, retrying");
        }
    }

    /// The breaker has changed; `keeps`: what is not delivered is written to the store.
    pub(crate) fn breaker_changed(&mut self, state: BreakerState, accounting: &Accounting, keeps: bool, now: Instant) {
        self.breaker.set(match state {
            BreakerState::Closed => 0.0,
            BreakerState::HalfOpen => 1.0,
            BreakerState::Open => 2.0,
        });
        let (exporter, breaker) = (&self.name, state.label());
        let why = accounting.last_error.as_deref().unwrap_or_default();
        match state {
            BreakerState::Open => {
                self.outage.get_or_insert_with(|| Outage::new(accounting, now)).reopened();
                if keeps {
                    tracing::warn!(exporter, breaker, why, "circuit breaker open: delivery paused, data kept in store");
                } else {
                    tracing::warn!(
                        exporter,
                        breaker,
                        why,
                        "circuit breaker open: delivery paused, clients are told to retry"
                    );
                }
            }
            BreakerState::HalfOpen => {
                tracing::info!(exporter, breaker, "circuit breaker half-open: one request tries the destination");
            }
            BreakerState::Closed => {
                self.outage.iter_mut().for_each(|outage| outage.closed(now));
                let spooled = accounting.spans.spilled;
                tracing::info!(exporter, breaker, spooled, "circuit breaker closed: delivery resumes");
            }
        }
    }

    /// Where everything is.
    pub(crate) fn publish(&mut self, accounting: &Accounting) {
        self.queue_spans.set(accounting.spans.in_flight as f64);
        self.queue_bytes.set(accounting.queue_bytes() as f64);
        self.spilled.set(accounting.spans.spilled as f64);
        self.dead.set(accounting.spans.dead as f64);
        if let Some(end) = self.outage.as_ref().and_then(|outage| outage.end(accounting)) {
            self.outage = None;
            tracing::info!(exporter = self.name, "{end}");
        }
    }

    fn may_log(&mut self, kind: &'static str) -> bool {
        let now = Instant::now();
        let quiet = self.logged.get(kind).is_some_and(|last| now.duration_since(*last) < LOG_INTERVAL);
        if !quiet {
            self.logged.insert(kind, now);
        }
        !quiet
    }
}
