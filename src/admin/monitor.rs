//! The background checks, and what they have found.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::watch;

use super::check::{Check, Finding};
use super::condition::{Condition, Readiness};
use super::lifecycle::Lifecycle;
use super::workers::Workers;
use crate::delivery::DestinationStatus;
use crate::pipeline::Budget;
use crate::red::ChainState;

/// Asks every destination for its status.
type Ask = dyn Fn() -> Vec<DestinationStatus> + Send + Sync;

/// Asks how each chain is doing.
type AskChains = dyn Fn() -> Vec<ChainState> + Send + Sync;

/// How often, how long, how late.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    /// Time between two runs of the checks.
    pub(super) every: Duration,
    /// How long a check may take.
    pub(super) timeout: Duration,
    /// After which a worker that gets nothing done counts as stalled.
    pub(super) stalled_after: Duration,
}

/// `spec/delivery.md` section 5.
const TIMING: Timing =
    Timing { every: Duration::from_secs(2), timeout: Duration::from_secs(2), stalled_after: Duration::from_secs(10) };

/// What the admin room knows. Cloning shares it.
#[derive(Clone)]
pub struct State(Arc<Inner>);

struct Inner {
    started: Instant,
    listening: BTreeMap<String, SocketAddr>,
    budget: Budget,
    lifecycle: Lifecycle,
    readiness: watch::Sender<Readiness>,
    ask: Arc<Ask>,
    ask_chains: Arc<AskChains>,
    /// A question is on its way: no second one is asked before it is answered, so one that hangs costs one thread.
    asking: Arc<AtomicBool>,
    answers: watch::Sender<Arc<Vec<DestinationStatus>>>,
    checks: Mutex<BTreeMap<String, Check>>,
    workers: Mutex<Workers>,
    timing: Timing,
}

/// Name of the check on memory, phase and workers.
pub(super) const RECEIVER: &str = "receiver";

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("lifecycle", &self.0.lifecycle).finish_non_exhaustive()
    }
}

impl State {
    /// What there is to know: the bound address of each component (`otlp/grpc`, `prometheus`, `health_check`), where to
    /// ask for the destinations, the budget of request bodies, and the process's phase. `destinations` is called from a
    /// thread where it may block; while it does, the last answer is shown. So is `chains`, what is measured of each chain.
    pub fn new(
        listening: BTreeMap<String, SocketAddr>,
        destinations: impl Fn() -> Vec<DestinationStatus> + Send + Sync + 'static,
        chains: impl Fn() -> Vec<ChainState> + Send + Sync + 'static,
        budget: Budget,
        lifecycle: Lifecycle,
    ) -> Self {
        Self::with_timing(listening, Arc::new(destinations), Arc::new(chains), budget, lifecycle, TIMING)
    }

    pub(super) fn with_timing(
        listening: BTreeMap<String, SocketAddr>,
        ask: Arc<Ask>,
        ask_chains: Arc<AskChains>,
        budget: Budget,
        lifecycle: Lifecycle,
        timing: Timing,
    ) -> Self {
        Self(Arc::new(Inner {
            started: Instant::now(),
            listening,
            budget,
            lifecycle,
            readiness: watch::Sender::new(Readiness::NotServing),
            ask,
            ask_chains,
            asking: Arc::default(),
            answers: watch::Sender::new(Arc::default()),
            checks: Mutex::default(),
            workers: Mutex::default(),
            timing,
        }))
    }

    /// What the gRPC health service says; NOT_SERVING until [`super::serve`] runs and the phase is `Running`.
    pub fn readiness(&self) -> watch::Receiver<Readiness> {
        self.0.readiness.subscribe()
    }

    /// How each chain is doing, asked on a thread of its own for `patience` at most; `None`: no answer in time.
    pub(super) async fn chains(&self, patience: Duration) -> Option<Vec<ChainState>> {
        let ask = Arc::clone(&self.0.ask_chains);
        let asked = tokio::task::spawn_blocking(move || ask());
        tokio::time::timeout(patience, asked).await.ok()?.ok()
    }

    /// Checks for ever, and tells the gRPC health service.
    pub(super) async fn watch_over(&self, workers: &Handle) -> Infallible {
        // Before this first result, the process counts as starting.
        self.note(RECEIVER, self.check_receiver());
        tokio::select! {
            never = self.keep_checking(workers) => never,
            never = self.keep_telling() => never,
        }
    }

    async fn keep_checking(&self, workers: &Handle) -> Infallible {
        let mut tick = tokio::time::interval(self.0.timing.every);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        tick.tick().await;
        loop {
            lock(&self.0.workers).observe(workers);
            match self.destinations(self.0.timing.timeout).await {
                Ok(destinations) => {
                    destinations.iter().for_each(|status| self.note(&check_name(status), judge(status)))
                }
                Err(last) => {
                    last.iter().for_each(|status| self.note(&check_name(status), unanswered(self.0.timing.timeout)))
                }
            }
            tick.tick().await;
            self.note(RECEIVER, self.check_receiver());
        }
    }

    /// The phase is told at once, the rest as it is found.
    async fn keep_telling(&self) -> Infallible {
        let mut phase = self.0.lifecycle.subscribe();
        let mut tick = tokio::time::interval(self.0.timing.every / 4);
        loop {
            let now = self.condition().readiness();
            self.0.readiness.send_if_modified(|told| std::mem::replace(told, now) != now);
            tokio::select! {
                // The sender lives in `self.0`.
                _ = phase.changed() => {}
                _ = tick.tick() => {}
            }
        }
    }

    /// The row of the table that holds now.
    pub(super) fn condition(&self) -> Condition {
        let stalled = lock(&self.0.workers).silent_for() > self.0.timing.stalled_after;
        let checks = lock(&self.0.checks);
        let Some(receiver) = checks.get(RECEIVER) else { return Condition::Starting };
        let cannot_accept = receiver.degraded();
        let degraded = checks.iter().any(|(name, check)| name != RECEIVER && check.degraded());
        Condition::of(self.0.lifecycle.phase(), stalled, cannot_accept, degraded)
    }

    /// Every check with its last result.
    pub(super) fn checks(&self) -> BTreeMap<String, Check> {
        lock(&self.0.checks).clone()
    }

    /// The status of every destination; the last one known, as an error, when there is none within `patience`. Of a
    /// destination that was never known, nothing can be said.
    pub(super) async fn destinations(
        &self,
        patience: Duration,
    ) -> Result<Arc<Vec<DestinationStatus>>, Arc<Vec<DestinationStatus>>> {
        let mut answers = self.0.answers.subscribe();
        answers.mark_unchanged();
        if !self.0.asking.swap(true, Ordering::AcqRel) {
            let (ask, answers, done) = (self.0.ask.clone(), self.0.answers.clone(), Done(self.0.asking.clone()));
            tokio::task::spawn_blocking(move || {
                answers.send_replace(Arc::new(ask()));
                drop(done);
            });
        }
        let answered = tokio::time::timeout(patience, answers.changed()).await.is_ok();
        let last = answers.borrow().clone();
        if answered { Ok(last) } else { Err(last) }
    }

    pub(super) fn listening(&self) -> &BTreeMap<String, SocketAddr> {
        &self.0.listening
    }

    pub(super) fn budget(&self) -> &Budget {
        &self.0.budget
    }

    pub(super) fn uptime(&self) -> Duration {
        self.0.started.elapsed()
    }

    /// Fails while less than a twentieth of the memory for request bodies is free: then requests are being refused.
    fn check_receiver(&self) -> Finding {
        let (used, limit) = (self.0.budget.used(), self.0.budget.limit());
        let full = used >= limit - limit / 20;
        let output = full.then(|| format!("{used} of {limit} bytes for requests in hand are taken"));
        Finding { failures: u32::from(full), observed: used as u64, output }
    }

    fn note(&self, name: &str, finding: Finding) {
        let mut checks = lock(&self.0.checks);
        match checks.get_mut(name) {
            Some(check) => check.note(finding),
            None => {
                checks.insert(name.to_owned(), Check::first(finding));
            }
        }
    }
}

fn check_name(status: &DestinationStatus) -> String {
    format!("destination:{}", status.name)
}

fn judge(status: &DestinationStatus) -> Finding {
    Finding { failures: status.failures, observed: u64::from(status.failures), output: status.last_error.clone() }
}

fn unanswered(timeout: Duration) -> Finding {
    Finding { failures: 1, observed: 1, output: Some(format!("its status was not to be had within {timeout:?}")) }
}

/// These locks are held for a few instructions, on the admin thread alone.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The question has been answered, or has panicked: another may be asked.
struct Done(Arc<AtomicBool>);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
