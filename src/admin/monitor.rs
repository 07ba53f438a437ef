//! What the admin room knows: whom to ask, what the checks have found, and what that means together.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use super::check::Check;
use super::condition::{Condition, Readiness};
use super::findings::{self, RECEIVER, SPILL};
use super::heartbeat::Heartbeat;
use super::letters::AdminSocket;
use super::lifecycle::{Lifecycle, Phase};
use super::query::Query;
use super::results::Results;
use super::sources::{ExportedPoints, Sources};
use crate::config::Role;
use crate::delivery::DestinationStatus;
use crate::lock::lock;
use crate::pipeline::Budget;
use crate::red::ChainState;
use crate::store::StoreStatus;

/// When checks run, and when they fail.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    /// Time between two runs of the checks.
    pub(super) interval: Duration,
    /// How long a check may take.
    pub(super) timeout: Duration,
    /// After which an event loop that gets nothing done counts as stalled.
    pub(super) stalled_after: Duration,
}

/// `docs/delivery.md` section 5.
const TIMING: Timing = Timing {
    interval: Duration::from_secs(2),
    timeout: Duration::from_secs(2),
    stalled_after: Duration::from_secs(10),
};

/// What the admin room knows. Cloning shares it.
#[derive(Clone)]
pub struct Monitor(Arc<Inner>);

struct Inner {
    started: Instant,
    listening: BTreeMap<String, SocketAddr>,
    budget: Budget,
    lifecycle: Lifecycle,
    readiness: watch::Sender<Readiness>,
    destinations: Query<Vec<DestinationStatus>>,
    chains: Query<Vec<ChainState>>,
    store: Query<Option<StoreStatus>>,
    exported: Query<Vec<ExportedPoints>>,
    results: Results,
    heartbeat: Mutex<Heartbeat>,
    timing: Timing,
    /// Where dead letters are worked on, until the admin thread takes it.
    letters: Mutex<Option<AdminSocket>>,
    letters_open: Notify,
}

impl std::fmt::Debug for Monitor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Monitor").field("lifecycle", &self.0.lifecycle).finish_non_exhaustive()
    }
}

impl Monitor {
    /// A monitor of a process that listens on `listening` (the bound address of each component: `otlp/grpc`, `prometheus`,
    /// `health_check`), with the budget of its request bodies and its phase.
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
            destinations: Query::new(sources.destinations),
            chains: Query::new(sources.chains),
            store: Query::new(sources.store),
            exported: Query::new(sources.exported),
            results: Results::default(),
            heartbeat: Mutex::default(),
            timing,
            letters: Mutex::default(),
            letters_open: Notify::new(),
        }))
    }

    /// From now on the admin thread serves dead letters on `socket`. To be called once the store is open.
    pub fn open_letters(&self, socket: AdminSocket) {
        *lock(&self.0.letters) = Some(socket);
        self.0.letters_open.notify_one();
    }

    /// Serves dead letters as soon as there is a socket.
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

    /// Passes the readiness of this moment on to [`readiness`](Self::readiness), if it has changed.
    pub(super) fn tell_readiness(&self) {
        let now = self.condition().readiness();
        self.0.readiness.send_if_modified(|told| std::mem::replace(told, now) != now);
    }

    pub(super) fn phases(&self) -> watch::Receiver<Phase> {
        self.0.lifecycle.subscribe()
    }

    /// The status of every destination. Of one that was never known, nothing can be said.
    pub(super) fn destinations(&self) -> &Query<Vec<DestinationStatus>> {
        &self.0.destinations
    }

    pub(super) fn chains(&self) -> &Query<Vec<ChainState>> {
        &self.0.chains
    }

    pub(super) fn store(&self) -> &Query<Option<StoreStatus>> {
        &self.0.store
    }

    pub(super) fn exported(&self) -> &Query<Vec<ExportedPoints>> {
        &self.0.exported
    }

    pub(super) fn results(&self) -> &Results {
        &self.0.results
    }

    pub(super) fn heartbeat(&self) -> &Mutex<Heartbeat> {
        &self.0.heartbeat
    }

    pub(super) fn timing(&self) -> Timing {
        self.0.timing
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

    /// The row of the table that holds now.
    pub(super) fn condition(&self) -> Condition {
        let stalled = lock(&self.0.heartbeat).silent_for() > self.0.timing.stalled_after;
        let results = &self.0.results;
        let Some(receiver) = results.get(RECEIVER) else { return Condition::Starting };
        let cannot_accept = receiver.degraded() || self.stuck().is_some();
        Condition::of(self.0.lifecycle.phase(), stalled, cannot_accept, results.any_degraded_but(RECEIVER))
    }

    /// The row in words.
    pub(super) fn why(&self, condition: Condition) -> String {
        match condition {
            Condition::CannotAccept if !self.0.results.degraded(RECEIVER) => {
                let destination = self.stuck().unwrap_or_default();
                format!("the store takes nothing more, and neither does {destination}: see the check {SPILL}")
            }
            Condition::Degraded => {
                let checks = self.0.results.all();
                let failing = checks.iter().filter(|(_, check)| Check::degraded(check)).map(|(name, _)| name.as_str());
                let names: Vec<&str> = failing.take(5).collect();
                format!("working, but needs attention: {}", names.join(", "))
            }
            other => other.text().to_owned(),
        }
    }

    /// A required destination that takes nothing while the store takes nothing either: then nothing can be promised.
    pub(super) fn stuck(&self) -> Option<String> {
        let results = &self.0.results;
        if !results.degraded(SPILL) {
            return None;
        }
        let destinations = self.0.destinations.last();
        let required = destinations.iter().filter(|status| status.role == Role::Required);
        // One that does not take one signal warns, and takes the others.
        let mut down = required.filter(|status| {
            results.degraded(&findings::name_of(status))
                && (status.unimplemented.is_empty() || findings::takes_nothing(status))
        });
        down.next().map(|status| status.name.clone())
    }
}
