//! A running service: how it starts, and what is asked of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::error::ServiceError;
use super::listen::{bind, bind_if};
use super::measuring::red_settings;
use super::sources::{Opened, sources};
use super::windows::WindowPush;
use crate::admin::{self, AdminError, Lifecycle, Phase};
use crate::clock::unix_nano;
use crate::config::{self, Config};
use crate::delivery::Destination;
use crate::export::{otlp::Pusher, prometheus};
use crate::pipeline::{Budget, Parts, Pipeline};
use crate::receiver;
use crate::red::Red;
use crate::store::{self, Store};
use crate::telemetry::Telemetry;

/// A running chainspan.
#[derive(Debug)]
pub struct Service {
    listening: BTreeMap<String, SocketAddr>,
    pub(super) shutdown_timeout: Duration,
    pub(super) pipeline: Pipeline,
    pub(super) destinations: Vec<Destination>,
    pub(super) store: Option<Store>,
    pub(super) lifecycle: Lifecycle,
    /// Set when no request may come in any more.
    pub(super) stop_receiving: watch::Sender<bool>,
    /// Set when health and metrics need not be shown any more.
    pub(super) stop_showing: watch::Sender<bool>,
    pub(super) receiver: JoinHandle<()>,
    pub(super) admin: JoinHandle<Result<(), AdminError>>,
    pub(super) prometheus: Option<JoinHandle<()>>,
    pub(super) windows: Option<WindowPush>,
}

impl Service {
    /// Binds every endpoint and starts working, on the runtime that this is called on.
    ///
    /// # Errors
    ///
    /// When an address is taken or a destination cannot be set up. Nothing keeps running then.
    pub async fn start(config: Config) -> Result<Self, ServiceError> {
        let mut listening = BTreeMap::new();
        let grpc = bind("otlp/grpc", config.receiver.protocols.grpc.endpoint, &mut listening).await?;
        let scrapes =
            bind_if("prometheus", config.prometheus.map(|exporter| exporter.endpoint), &mut listening).await?;
        let health =
            bind_if("health_check", config.health_check.map(|extension| extension.endpoint), &mut listening).await?;

        let telemetry = Telemetry::new();
        let lifecycle = Lifecycle::new();
        let budget = Budget::new(config.receiver.memory_limit_bytes);
        let red = config.gateway.as_ref().map(|gateway| Arc::new(Red::new(red_settings(gateway))));
        let (stop_receiving, receiving) = watch::channel(false);
        let (stop_showing, showing) = watch::channel(false);

        // Health answers while the store recovers; what it shows of the rest comes later. When the start fails, it ends
        // together with `stop_showing`.
        let opened = Arc::new(OnceLock::new());
        let sources = sources(opened.clone(), red.clone(), telemetry.clone());
        let monitor = admin::Monitor::new(listening.clone(), sources, budget.clone(), lifecycle.clone());
        let readiness = monitor.readiness();
        let admin = tokio::spawn(admin::serve(health, monitor.clone(), until(showing.clone())));

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
        let windows = red.clone().map(|red| WindowPush::start(red, pusher));
        if let (Some(store), Some(storage)) = (&store, &config.file_storage) {
            let letters = admin::DeadLetterAdmin::running(store.clone(), &destinations);
            monitor.open_letters(admin::AdminSocket::bind(&storage.directory, letters).map_err(ServiceError::Socket)?);
        }
        // Set here and nowhere else, so it is still empty.
        let _ = opened.set(Opened { destinations: destinations.clone(), store: store.clone() });
        let prometheus = scrapes.map(|listener| {
            let scrape = scrape(red.clone(), telemetry.clone());
            tokio::spawn(prometheus::serve(listener, scrape, until(showing)))
        });
        let settings = config.receiver.clone();
        let accepting = pipeline.clone();
        let receiver = tokio::spawn(async move {
            receiver::serve(grpc, accepting, &settings, &telemetry, readiness, until(receiving)).await;
        });
        advance(&lifecycle, Phase::Running);
        Ok(Self {
            listening,
            shutdown_timeout: config.shutdown_timeout,
            pipeline,
            destinations,
            store,
            lifecycle,
            stop_receiving,
            stop_showing,
            receiver,
            admin,
            prometheus,
            windows,
        })
    }

    /// The bound address of each component: `otlp/grpc`, `prometheus`, `health_check`.
    pub fn listening(&self) -> &BTreeMap<String, SocketAddr> {
        &self.listening
    }
}

/// Recovery may take a while: it has a thread of its own.
async fn open_store(storage: config::FileStorage) -> Result<Store, ServiceError> {
    let config::FileStorage { directory, max_bytes, min_free_bytes } = storage;
    let settings = store::StoreSettings { directory, max_bytes, min_free_bytes };
    let opened = tokio::task::spawn_blocking(move || Store::open(settings)).await;
    opened.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())).map_err(ServiceError::Store)
}

/// Tells several chainspans apart and stays the same over a restart: the host, and the port of the receiver.
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
        let snapshot = red.as_ref().map(|red| red.snapshot(unix_nano()));
        prometheus::render(format, snapshot.as_ref(), &telemetry.samples())
    }
}

/// Ready when `stop` has been set.
async fn until(mut stop: watch::Receiver<bool>) {
    // An error means that the service is gone: reason enough to stop.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// The service goes through its phases in order, so none is refused.
pub(super) fn advance(lifecycle: &Lifecycle, phase: Phase) {
    if let Err(error) = lifecycle.advance(phase) {
        tracing::error!(%error, "this is a bug");
    }
}
