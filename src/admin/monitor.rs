//! The background checks, and what they have found.

mod verdict;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};

use super::check::{Check, Finding};
use super::condition::{Condition, Readiness};
use super::findings::{self, Exported, RECEIVER, SPILL};
use super::heartbeat::Heartbeat;
use super::letters::Socket;
use super::lifecycle::Lifecycle;
use super::question::Question;
use crate::config::Role;
use crate::delivery::DestinationStatus;
use crate::lock::lock;
use crate::pipeline::Budget;
use crate::red::ChainState;
use crate::store::StoreStatus;

/// Whom to ask. Each is called from a thread where it may block; while it does, its last answer is shown.
#[derive(Clone)]
pub struct Sources {
    /// Every destination's status; none while starting.
    pub destinations: Arc<dyn Fn() -> Vec<DestinationStatus> + Send + Sync>,
    /// What is measured of each chain.
    pub chains: Arc<dyn Fn() -> Vec<ChainState> + Send + Sync>,
    /// How the store is; `None`: there is none, or it is not open yet.
    pub store: Arc<dyn Fn() -> Option<StoreStatus> + Send + Sync>,
    /// What became of the measurements, for each destination that takes them.
    pub exported: Arc<dyn Fn() -> Vec<Exported> + Send + Sync>,
}

/// How often, how long, how late.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    /// Time between two runs of the checks.
    pub(super) every: Duration,
    /// How long a check may take.
    pub(super) timeout: Duration,
    /// After which an event loop that gets nothing done counts as stalled.
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
    destinations: Question<Vec<DestinationStatus>>,
    chains: Question<Vec<ChainState>>,
    store: Question<Option<StoreStatus>>,
    exported: Question<Vec<Exported>>,
    checks: Mutex<BTreeMap<String, Check>>,
    heartbeat: Mutex<Heartbeat>,
    timing: Timing,
    /// Where dead letters are worked on, until the admin thread takes it.
    letters: Mutex<Option<Socket>>,
    letters_open: Notify,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("lifecycle", &self.0.lifecycle).finish_non_exhaustive()
    }
}

impl State {
    /// What there is to know: the bound address of each component (`otlp/grpc`, `prometheus`, `health_check`), whom to ask,
    /// the budget of request bodies, and the process's phase.
    pub fn new(
        listening: BTreeMap<String, SocketAddr>,
        sources: Sources,
        budget: Budget,
        lifecycle: Lifecycle,
    ) -> Self {
        Self::with_timing(listening, sources, budget, lifecycle, TIMING)
    }

    pub(super) fn with_timing(
        listening: BTreeMap<String, SocketAddr>,
        sources: Sources,
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
            destinations: Question::new(sources.destinations),
            chains: Question::new(sources.chains),
            store: Question::new(sources.store),
            exported: Question::new(sources.exported),
            checks: Mutex::default(),
            heartbeat: Mutex::default(),
            timing,
            letters: Mutex::default(),
            letters_open: Notify::new(),
        }))
    }

    /// From now on dead letters can be worked on, by the admin thread. To be called once the store is open.
    pub fn open_letters(&self, socket: Socket) {
        *lock(&self.0.letters) = Some(socket);
        self.0.letters_open.notify_one();
    }

    /// Serves dead letters as soon as there is where.
    pub(super) async fn serve_letters(&self) -> Infallible {
        self.0.letters_open.notified().await;
        let socket = lock(&self.0.letters).take();
        if let Some(socket) = socket {
            socket.serve().await;
        }
        std::future::pending().await
    }

    /// What the gRPC health service says; NOT_SERVING until [`super::serve`] runs and the phase is `Running`.
    pub fn readiness(&self) -> watch::Receiver<Readiness> {
        self.0.readiness.subscribe()
    }

    /// How each chain is doing; `None`: no answer within `patience`.
    pub(super) async fn chains(&self, patience: Duration) -> Option<Arc<Vec<ChainState>>> {
        self.0.chains.ask(patience).await.ok()
    }

    /// How the store is; as last known when there is no answer within `patience`.
    pub(super) async fn store(&self, patience: Duration) -> Arc<Option<StoreStatus>> {
        self.0.store.ask(patience).await.unwrap_or_else(|last| last)
    }

    /// Checks for ever, and tells the gRPC health service.
    pub(super) async fn watch_over(&self, event_loop: &Handle) -> Infallible {
        // Before this first result, the process counts as starting.
        self.note(RECEIVER, self.check_receiver());
        tokio::select! {
            never = self.keep_checking(event_loop) => never,
            never = self.keep_telling() => never,
        }
    }

    async fn keep_checking(&self, event_loop: &Handle) -> Infallible {
        let mut tick = tokio::time::interval(self.0.timing.every);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        tick.tick().await;
        let mut exported = Arc::default();
        loop {
            lock(&self.0.heartbeat).observe(event_loop);
            self.check_destinations().await;
            self.check_store().await;
            self.check_chains().await;
            exported = self.check_exports(exported).await;
            tick.tick().await;
            self.note(RECEIVER, self.check_receiver());
        }
    }

    async fn check_destinations(&self) {
        match self.0.destinations.ask(self.0.timing.timeout).await {
            Ok(destinations) => {
                destinations.iter().for_each(|status| self.found(findings::destination(status)));
                self.found(findings::dead_letters(&destinations));
            }
            Err(last) => last.iter().for_each(|status| {
                self.note(&findings::name_of(status), findings::unanswered(self.0.timing.timeout));
            }),
        }
    }

    async fn check_store(&self) {
        match self.0.store.ask(self.0.timing.timeout).await.as_deref() {
            Ok(Some(status)) => findings::store(status).into_iter().for_each(|found| self.found(found)),
            Ok(None) => {}
            Err(_) => self.note(SPILL, findings::unanswered(self.0.timing.timeout)),
        }
    }

    /// Chains come and go, so what is not reported any more is forgotten.
    async fn check_chains(&self) {
        let Ok(states) = self.0.chains.ask(self.0.timing.timeout).await else { return };
        let found = findings::chains(&states);
        let gone = |name: &String| name.starts_with("chain:") && found.iter().all(|(known, _)| known != name);
        lock(&self.0.checks).retain(|name, _| !gone(name));
        found.into_iter().for_each(|found| self.found(found));
    }

    async fn check_exports(&self, before: Arc<Vec<Exported>>) -> Arc<Vec<Exported>> {
        let Ok(now) = self.0.exported.ask(self.0.timing.timeout).await else { return before };
        for exported in now.iter() {
            let nothing = Exported::default();
            let before = before.iter().find(|before| before.exporter == exported.exporter).unwrap_or(&nothing);
            if let Some(finding) = findings::exported(before, exported) {
                self.note(&format!("metrics:{}", exported.exporter), finding);
            }
        }
        now
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
        self.0.destinations.ask(patience).await
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

    fn found(&self, (name, finding): (String, Finding)) {
        self.note(&name, finding);
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
