//! Adds up a run while it goes on: what was sent, how it was answered, and the truth of what was acknowledged.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::client::ExportResult;
use super::fleet::{AckSender, EncodedBatch};
use crate::clock::now_unix_nano;
use crate::truth::{FineHistogram, Truth};

/// How long after its last attempt a batch without an answer may still be committed: a minute, for the bounds on late spans.
const UNANSWERED_NANO: u64 = 60_000_000_000;

/// The figures of a run in progress. Counts are spans unless they say otherwise.
#[derive(Debug)]
pub struct Progress {
    sent: AtomicU64,
    acknowledged: AtomicU64,
    refused: AtomicU64,
    ambiguous: AtomicU64,
    resent: AtomicU64,
    requests: AtomicU64,
    results: Mutex<Results>,
}

#[derive(Debug)]
struct Results {
    truth: Truth,
    latency: FineHistogram,
    last_error: Option<String>,
}

/// The figures of a run at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadReport {
    /// Spans in requests that were started.
    pub sent: u64,
    /// Spans acknowledged, for certain and once.
    pub acknowledged: u64,
    /// Spans refused for good.
    pub refused: u64,
    /// Spans of which it cannot be known how often they count; the truth has bounds.
    pub ambiguous: u64,
    /// Spans of acknowledged batches that were sent a second time; the counts above include both times.
    pub resent: u64,
    /// Requests answered, with whatever result.
    pub requests: u64,
    /// Median of the time from the scheduled start of a request to its final answer, nanoseconds.
    pub latency_p50_nano: Option<u64>,
    /// 99th percentile of the same time.
    pub latency_p99_nano: Option<u64>,
    /// The last answer that was not an acknowledgement.
    pub last_error: Option<String>,
}

impl Progress {
    /// A run that has not begun; what is acknowledged is added to `truth`.
    pub fn new(truth: Truth) -> Self {
        Self {
            sent: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            ambiguous: AtomicU64::new(0),
            resent: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            results: Mutex::new(Results { truth, latency: FineHistogram::default(), last_error: None }),
        }
    }

    fn results(&self) -> MutexGuard<'_, Results> {
        // Results are only ever added to, so those that a panic left behind are still consistent.
        self.results.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Spans acknowledged so far, without the cost of a whole report.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// The current figures.
    pub fn report(&self) -> LoadReport {
        let results = self.results();
        LoadReport {
            sent: self.sent.load(Ordering::Relaxed),
            acknowledged: self.acknowledged.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            ambiguous: self.ambiguous.load(Ordering::Relaxed),
            resent: self.resent.load(Ordering::Relaxed),
            requests: self.requests.load(Ordering::Relaxed),
            latency_p50_nano: results.latency.quantile(0.5),
            latency_p99_nano: results.latency.quantile(0.99),
            last_error: results.last_error.clone(),
        }
    }

    /// Counts spans of a request that is started; `again`: for the second time, after it was acknowledged.
    pub(super) fn start(&self, spans: u64, again: bool) {
        self.sent.fetch_add(spans, Ordering::Relaxed);
        if again {
            self.resent.fetch_add(spans, Ordering::Relaxed);
        }
    }

    /// Records how `batch` was answered, and tells its gateway. Returns whether it was acknowledged for certain, once.
    pub(super) fn record(
        &self,
        batch: &EncodedBatch,
        result: ExportResult,
        sent: u64,
        latency: Duration,
        acks: &AckSender,
    ) -> bool {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let answered = now_unix_nano();
        let mut results = self.results();
        results.latency.add(latency.as_nanos() as u64);
        let (counter, accepted, certain) = match result {
            ExportResult::Acknowledged => {
                results.truth.acknowledge(&batch.facts, sent, answered);
                (&self.acknowledged, true, true)
            }
            ExportResult::Ambiguous { status, at_least, at_most } => {
                results.last_error = Some(format!("no certain answer: {:?}: {}", status.code(), status.message()));
                for _ in 0..at_least {
                    results.truth.acknowledge(&batch.facts, sent, answered);
                }
                // An attempt without an answer may still be in progress, to be committed at any time.
                results.truth.add_ambiguous(
                    &batch.facts,
                    at_most - at_least,
                    sent,
                    answered.saturating_add(UNANSWERED_NANO),
                );
                (&self.ambiguous, at_least > 0, false)
            }
            ExportResult::Refused(status) => {
                results.last_error = Some(format!("refused: {:?}: {}", status.code(), status.message()));
                (&self.refused, false, false)
            }
        };
        counter.fetch_add(batch.facts.spans, Ordering::Relaxed);
        acks.tell(batch.gateway, batch.id, accepted);
        certain
    }

    /// Calls `look` with the truth so far; batches that are answered meanwhile wait until it returns.
    pub fn with_truth<T>(&self, look: impl FnOnce(&Truth) -> T) -> T {
        look(&self.results().truth)
    }
}
