//! Puts the rooms together and runs them until told to stop. Tests and the demo start the same service as the binary.

mod measuring;
mod shown;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout_at};

use crate::admin::{self, AdminError, Lifecycle, Phase};
use crate::clock::unix_nano;
use crate::config::{self, Config, Gateway, Role};
use crate::delivery::{Destination, DestinationError, DestinationStatus};
use crate::export::{otlp::Pusher, prometheus};
use crate::pipeline::{Budget, Parts, Pipeline};
use crate::receiver;
use crate::red::{self, Red, Snapshot};
use crate::store::{self, Store, StoreError};
use crate::telemetry::Telemetry;
use measuring::Measuring;
use shown::{Opened, sources};

/// What is left of the shutdown time for closing connections once the destinations had theirs.
const CLOSING: Duration = Duration::from_millis(500);

/// How long the end of the process may wait for a debug destination.
const DEBUG_GRACE: Duration = Duration::from_secs(1);

/// What is left of the shutdown time for delivering the last windows when requests are still in hand.
const MEASURING: Duration = Duration::from_secs(2);

/// A running chainspan.
#[derive(Debug)]
pub struct Service {
    listening: BTreeMap<String, SocketAddr>,
    shutdown_timeout: Duration,
    pipeline: Pipeline,
    destinations: Vec<Destination>,
    store: Option<Store>,
    red: Option<Arc<Red>>,
    lifecycle: Lifecycle,
    /// Set when no request may come in any more.
    stop_receiving: watch::Sender<bool>,
    /// Set when nobody needs to look any more.
    stop_showing: watch::Sender<bool>,
    receiver: JoinHandle<()>,
    admin: JoinHandle<Result<(), AdminError>>,
    prometheus: Option<JoinHandle<()>>,
    measuring: Option<Measuring>,
}

/// Why a service could not start or could not end well.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// An address could not be bound.
    #[error("{component}: cannot listen on {address}")]
    Bind {
        /// Component name.
        component: &'static str,
        /// The configured address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The store could not be opened.
    #[error("extensions.file_storage: {0}")]
    Store(StoreError),
    /// Dead letters could not be made accessible.
    #[error("extensions.file_storage: {0}")]
    Socket(admin::SocketError),
    /// A destination could not be set up.
    #[error(transparent)]
    Destination(#[from] DestinationError),
    /// The health server ended with an error.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// Requests were still unanswered at the deadline.
    #[error(
        "{destination} did not take everything within shutdown_timeout ({timeout:?}); the clients of what was left were \
         told to send it again"
    )]
    NotDrained {
        /// Component name.
        destination: String,
        /// The time there was.
        timeout: Duration,
    },
}

impl Service {
    /// Binds every endpoint and starts working, on the runtime that this is called on.
    ///
    /// # Errors
    ///
    /// When an address is taken or a destination cannot be set up. Nothing keeps running then.
    pub async fn start(config: Config) -> Result<Self, ServiceError> {
        let mut listening = BTreeMap::new();
        let grpc = bind("otlp/grpc", config.receiver.grpc, &mut listening).await?;
        let scrapes = bind_if("prometheus", config.prometheus, &mut listening).await?;
        let health = bind_if("health_check", config.health_check, &mut listening).await?;

        let telemetry = Telemetry::new();
        let lifecycle = Lifecycle::new();
        let budget = Budget::new(config.receiver.memory_limit_bytes);
        let red = config.gateway.as_ref().map(|gateway| Arc::new(Red::new(red_settings(gateway))));
        let (stop_receiving, receiving) = watch::channel(false);
        let (stop_showing, showing) = watch::channel(false);

        // Health answers while the store recovers; everything that there is to say comes later. When the start fails, what
        // is shown ends together with `stop_showing`.
        let opened = Arc::new(OnceLock::new());
        let sources = sources(opened.clone(), red.clone(), telemetry.clone());
        let state = admin::State::new(listening.clone(), sources, budget.clone(), lifecycle.clone());
        let readiness = state.readiness();
        let admin = tokio::spawn(admin::serve(health, state.clone(), until(showing.clone())));

        let store = match &config.file_storage {
            Some(storage) => Some(open_store(storage.clone()).await?),
            None => None,
        };
        let destinations = config
            .destinations
            .iter()
            .map(|settings| Destination::start(settings.clone(), &telemetry, store.as_ref()))
            .collect::<Result<Vec<_>, _>>()?;
        let pipeline = Pipeline::new(Parts {
            budget: budget.clone(),
            chain: config.chain.as_ref(),
            gateway: config.gateway.as_ref(),
            red: red.clone(),
            destinations: destinations.clone(),
            telemetry: telemetry.clone(),
        });
        let instance = config.gateway.as_ref().filter(|gateway| gateway.instance).map(|_| instance(&listening));
        let pusher = Pusher::new(&destinations, instance.as_deref(), telemetry.clone());
        let measuring = red.clone().map(|red| Measuring::start(red, pusher));
        if let (Some(store), Some(storage)) = (&store, &config.file_storage) {
            let desk = admin::Desk::running(store.clone(), &destinations);
            state.open_letters(admin::Socket::bind(&storage.directory, desk).map_err(ServiceError::Socket)?);
        }
        // The one time that it is set.
        let _ = opened.set(Opened { destinations: destinations.clone(), store: store.clone() });
        let prometheus = scrapes.map(|listener| {
            let scrape = scrape(red.clone(), telemetry.clone());
            tokio::spawn(prometheus::serve(listener, scrape, until(showing)))
        });
        let settings = config.receiver.clone();
        let door = pipeline.clone();
        let receiver = tokio::spawn(async move {
            receiver::serve(grpc, door, &settings, &telemetry, readiness, until(receiving)).await;
        });
        advance(&lifecycle, Phase::Running);
        Ok(Self {
            listening,
            shutdown_timeout: config.shutdown_timeout,
            pipeline,
            destinations,
            store,
            red,
            lifecycle,
            stop_receiving,
            stop_showing,
            receiver,
            admin,
            prometheus,
            measuring,
        })
    }

    /// The bound address of each component: `otlp/grpc`, `prometheus`, `health_check`.
    pub fn listening(&self) -> &BTreeMap<String, SocketAddr> {
        &self.listening
    }

    /// What has been measured so far; `None` when nothing is.
    pub fn snapshot(&self) -> Option<Snapshot> {
        self.red.as_ref().map(|red| red.snapshot())
    }

    /// Where every span is now, per destination.
    pub fn destinations(&self) -> Vec<DestinationStatus> {
        self.destinations.iter().map(Destination::status).collect()
    }

    /// Drains and stops, within the configured `shutdown_timeout`: not ready, no new request. Requests in hand are finished
    /// and counted; those that are not two seconds before the end are written to the store or, without one, go back to their
    /// clients. Then the open windows are sent, what still waits is written to the store where there is one, and the doors
    /// close.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotDrained`] when requests had to be handed back, or the error with which a door ended.
    pub async fn shut_down(self) -> Result<(), ServiceError> {
        let end = Instant::now() + self.shutdown_timeout;
        let deadline = end.checked_sub(CLOSING.min(self.shutdown_timeout / 4)).unwrap_or(end);
        advance(&self.lifecycle, Phase::Draining);
        self.pipeline.drain();
        self.stop_receiving.send_replace(true);
        self.destinations.iter().for_each(Destination::hurry);
        // With the last commit the open windows are complete; they need some of the time to be delivered.
        let last_commit = deadline.checked_sub(MEASURING.min(self.shutdown_timeout / 4)).unwrap_or(deadline);
        let mut left = None;
        if timeout_at(last_commit, self.pipeline.idle()).await.is_err() {
            // Answered later, they would be counted in windows that nobody sends any more.
            left = let_go(&self.destinations).await;
            let _ = timeout_at(deadline, self.pipeline.idle()).await;
        }
        let measured = match self.measuring {
            Some(measuring) => measuring.flush(deadline).await,
            None => None,
        };
        let left = left.or(drain(&self.destinations, Role::Required, deadline).await.into_iter().next());
        // No promise was made for these: what they do not take now is discarded by design.
        for exporter in drain(&self.destinations, Role::Debug, deadline.min(Instant::now() + DEBUG_GRACE)).await {
            tracing::info!(exporter, "a debug destination was not there for the rest of its data");
        }
        if let Some(measured) = measured {
            let _ = timeout_at(end, measured).await;
        }
        // Connections of clients who keep theirs open: they have had their GOAWAY and their answers.
        let _ = timeout_at(end, self.receiver).await;
        self.stop_showing.send_replace(true);
        if let Some(prometheus) = self.prometheus {
            let _ = timeout_at(end, prometheus).await;
        }
        let shown = timeout_at(end, self.admin).await;
        if let Some(store) = self.store {
            // What was promised is on the disk already; this is tidying up, and a disk that hangs must not hold up the end.
            let closed = tokio::task::spawn_blocking(move || store.close());
            let _ = timeout_at(end.max(Instant::now() + CLOSING), closed).await;
        }
        if let Some(destination) = left {
            return Err(ServiceError::NotDrained { destination, timeout: self.shutdown_timeout });
        }
        if let Ok(Ok(result)) = shown {
            result?;
        }
        Ok(())
    }
}

/// Has what is in hand written or handed back. The name of a destination for which something was handed back.
async fn let_go(destinations: &[Destination]) -> Option<String> {
    let mut name = None;
    for destination in destinations.iter().filter(|destination| destination.role() == Role::Required) {
        if destination.let_go().await {
            name = Some(destination.name().to_owned());
        }
    }
    name
}

/// Drains all destinations of `role` at the same time. The names of those that had to hand something back.
async fn drain(destinations: &[Destination], role: Role, deadline: Instant) -> Vec<String> {
    let mut drains = JoinSet::new();
    for destination in destinations.iter().filter(|destination| destination.role() == role) {
        let destination = destination.clone();
        drains.spawn(async move { (!destination.drain(deadline).await).then(|| destination.name().to_owned()) });
    }
    drains.join_all().await.into_iter().flatten().collect()
}

/// Recovery may take a while: it has a thread of its own.
async fn open_store(storage: config::FileStorage) -> Result<Store, ServiceError> {
    let config::FileStorage { directory, max_bytes, min_free_bytes } = storage;
    let settings = store::StoreSettings { directory, max_bytes, min_free_bytes };
    let opened = tokio::task::spawn_blocking(move || Store::open(settings)).await;
    opened.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())).map_err(ServiceError::Store)
}

async fn bind(
    component: &'static str,
    address: SocketAddr,
    listening: &mut BTreeMap<String, SocketAddr>,
) -> Result<TcpListener, ServiceError> {
    let failed = |source| ServiceError::Bind { component, address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    // At once: health answers while the store still recovers.
    tracing::info!(component, address = %bound, "listening");
    listening.insert(component.to_owned(), bound);
    Ok(listener)
}

async fn bind_if(
    component: &'static str,
    address: Option<SocketAddr>,
    listening: &mut BTreeMap<String, SocketAddr>,
) -> Result<Option<TcpListener>, ServiceError> {
    match address {
        Some(address) => bind(component, address, listening).await.map(Some),
        None => Ok(None),
    }
}

fn red_settings(gateway: &Gateway) -> red::RedSettings {
    red::RedSettings {
        namespace: gateway.namespace.clone(),
        dimensions: gateway.dimensions.clone(),
        chains: gateway.chains.keys().copied().collect(),
        max_chains: gateway.max_chains,
        max_series: gateway.max_series,
        span_metrics: gateway.span_metrics,
        committers: Handle::current().metrics().num_workers(),
        start_unix_nano: unix_nano(),
        series_idle: gateway.series_idle,
        exemplars: gateway.exemplars,
        health: thresholds(gateway, None),
        chain_health: gateway.chains.iter().map(|(id, info)| (*id, thresholds(gateway, info.block_time))).collect(),
    }
}

/// A chain is not down before it has had five blocks to succeed in.
fn thresholds(gateway: &Gateway, block_time: Option<Duration>) -> red::Thresholds {
    let config::Health { error_ratio, quorum_failure_ratio, no_success } = gateway.health;
    let no_success = block_time.map_or(no_success, |time| no_success.max(time.saturating_mul(5)));
    red::Thresholds { error_ratio, quorum_failure_ratio, no_success }
}

/// Tells several chainspans apart, and stays the same over a restart: the host and the port of the receiver.
fn instance(listening: &BTreeMap<String, SocketAddr>) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| std::env::var("HOSTNAME"));
    let host = host.ok().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    let port = listening.get("otlp/grpc").map_or(0, SocketAddr::port);
    format!("{}:{port}", host.as_deref().unwrap_or("localhost"))
}

/// What one scrape shows.
fn scrape(
    red: Option<Arc<Red>>,
    telemetry: Telemetry,
) -> impl Fn(prometheus::Format) -> String + Clone + Send + Sync + 'static {
    move |format| {
        let snapshot = red.as_ref().map(|red| red.snapshot_at(unix_nano()));
        prometheus::render_as(format, snapshot.as_ref(), &telemetry.samples())
    }
}

/// Ready when `stop` has been set.
async fn until(mut stop: watch::Receiver<bool>) {
    // An error means that the service is gone: reason enough to stop.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// The service goes through its phases in order, so none is refused.
fn advance(lifecycle: &Lifecycle, phase: Phase) {
    if let Err(error) = lifecycle.advance(phase) {
        tracing::error!(%error, "this is a bug");
    }
}
