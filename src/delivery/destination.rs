//! The handle on a destination: what the pipeline, the health check and the service hold.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::actor::Actor;
use super::client::Client;
use super::command::{Command, Moved};
use super::error::DestinationError;
use super::inflight::{Accounting, InFlight, cut_to_size};
use super::meters::Meters;
use super::parcel::Parcel;
use super::parts::Parts;
use super::policy::{Backoff, Policy, RequestLimit};
use super::receipt::Receipt;
use super::spool::{NoSpool, Spool, SpoolSettings, StoreClient, StoreSpool};
use super::status::DestinationStatus;
use crate::clock::unix_nano;
use crate::config::{self, Role, Temporality};
use crate::lock::lock;
use crate::otlp::{PerSignal, Signal};
use crate::store::{Kept, Store};
use crate::telemetry::Telemetry;

/// Bytes that a debug destination may hold in memory; what does not fit is discarded.
const DEBUG_QUEUE_BYTES: u64 = 16 << 20;

/// One `exporters.otlp/NAME` at work. Cloning shares it; its tasks end when the last clone and the last receipt are gone.
#[derive(Clone, Debug)]
pub struct Destination(Arc<Handle>);

#[derive(Debug)]
struct Handle {
    name: String,
    role: Role,
    signals: config::Signals,
    temporality: Temporality,
    timeout: Duration,
    max_request_bytes: usize,
    /// The same, or less while the destination takes less; see `RequestLimit`.
    limit: Arc<AtomicUsize>,
    max_elapsed_time: Option<Duration>,
    inbox: mpsc::UnboundedSender<Command>,
    published: Arc<Mutex<Accounting>>,
}

/// Everything that the task of a destination begins with, but for its spool.
struct Start {
    policy: Policy,
    inflight: InFlight,
    meters: Meters,
    client: Client,
    role: Role,
    published: Arc<Mutex<Accounting>>,
    commands: mpsc::UnboundedReceiver<Command>,
}

impl Start {
    fn spawn<S: Spool>(self, spool: S) {
        let Self { policy, inflight, meters, client, role, published, commands } = self;
        let parts = Parts { policy, inflight, spool, meters };
        let max_queue_bytes = (role == Role::Debug).then_some(DEBUG_QUEUE_BYTES);
        tokio::spawn(Actor::new(parts, client, max_queue_bytes, published).run(commands));
    }
}

impl Destination {
    /// Starts its task on the current tokio runtime. Nothing is dialled before there is something to send.
    ///
    /// # Errors
    /// An endpoint, a header, a limit or a backoff that cannot work, or a store that cannot be read.
    pub fn start(
        settings: config::Destination,
        telemetry: &Telemetry,
        store: Option<&Store>,
    ) -> Result<Self, DestinationError> {
        let name = &settings.name;
        let client = Client::new(&settings)?;
        let backoff = Backoff::new(settings.retry.initial_interval, settings.retry.max_interval)
            .map_err(|error| DestinationError::backoff(name, error))?;
        if settings.connections == 0 {
            return Err(DestinationError::zero(name, "connections"));
        }
        if settings.max_request_bytes == 0 {
            return Err(DestinationError::zero(name, "max_request_size"));
        }
        if settings.breaker.consecutive_failures == 0 {
            return Err(DestinationError::zero(name, "circuit_breaker.consecutive_failures"));
        }
        let (inbox, commands) = mpsc::unbounded_channel();
        let mut inflight = InFlight::new(name, settings.connections);
        // Nobody waits for a debug destination, so nothing of it is kept.
        let spool = match store.filter(|_| settings.role == Role::Required) {
            None => None,
            Some(store) => {
                let kept = kept(store, name)?;
                let accounting = &mut inflight.entries.accounting;
                accounting.recover(&kept);
                accounting.oldest_spilled = PerSignal::from_fn(|_| kept.oldest);
                let client = StoreClient::new(store.clone(), name, inbox.downgrade());
                let how = SpoolSettings {
                    spill_after: settings.spill_after,
                    max_elapsed_time: settings.retry.max_elapsed_time,
                    max_request_bytes: settings.max_request_bytes,
                };
                Some(StoreSpool::new(how, client, kept.waiting.records > 0))
            }
        };
        let limit = Arc::new(AtomicUsize::new(settings.max_request_bytes));
        let request_limit = RequestLimit::new(settings.max_request_bytes, limit.clone());
        let policy = Policy::new(backoff, settings.breaker, request_limit, Instant::now());
        let meters = Meters::new(name, telemetry);
        let published = Arc::new(Mutex::new(inflight.entries.accounting.clone()));
        let start =
            Start { policy, inflight, meters, client, role: settings.role, published: published.clone(), commands };
        match spool {
            None => start.spawn(NoSpool),
            Some(spool) => start.spawn(spool),
        }
        Ok(Self(Arc::new(Handle {
            name: settings.name,
            role: settings.role,
            signals: settings.signals,
            temporality: settings.temporality,
            timeout: settings.timeout,
            max_request_bytes: settings.max_request_bytes,
            limit,
            max_elapsed_time: settings.retry.max_elapsed_time,
            inbox,
            published,
        })))
    }

    /// Component name, `otlp/datadog`.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Whether acknowledgements wait for it.
    pub fn role(&self) -> Role {
        self.0.role
    }

    /// Whether a pipeline sends `signal` here.
    pub fn takes(&self, signal: Signal) -> bool {
        match signal {
            Signal::Traces => self.0.signals.traces,
            Signal::Metrics => self.0.signals.metrics,
            Signal::Logs => self.0.signals.logs,
        }
    }

    /// Whether the pipeline `metrics/gateway` sends here, and in which form.
    pub fn derived(&self) -> Option<Temporality> {
        self.0.signals.derived.then_some(self.0.temporality)
    }

    /// The most bytes of one request.
    pub fn max_request_bytes(&self) -> usize {
        self.0.max_request_bytes
    }

    /// How long one attempt may take.
    pub fn timeout(&self) -> Duration {
        self.0.timeout
    }

    /// Hands a parcel over; never waits. The receipt resolves when the destination has it (or the disk, with a store), when it
    /// is refused, or at `deadline` (or after `max_elapsed_time`, if that is sooner). For a debug destination the receipt has
    /// resolved already, `deadline` does not matter, and what finds no room is counted as discarded.
    pub fn hand_over(&self, parcel: Parcel, deadline: Instant) -> Receipt {
        self.take(parcel, deadline, false)
    }

    /// As [`hand_over`](Self::hand_over), but what may have arrived is not sent again: after an attempt whose outcome is
    /// unknown the receipt resolves to [`Undelivered::Ambiguous`]. For deltas, where twice is worse than not at all.
    ///
    /// [`Undelivered::Ambiguous`]: super::Undelivered::Ambiguous
    pub fn hand_over_at_most_once(&self, parcel: Parcel, deadline: Instant) -> Receipt {
        self.take(parcel, deadline, true)
    }

    fn take(&self, parcel: Parcel, deadline: Instant, at_most_once: bool) -> Receipt {
        if parcel.body.is_empty() {
            return Receipt::settled(Ok(()));
        }
        let Parcel { signal, body, spans } = parcel;
        let limit = self.0.max_elapsed_time.map(|limit| Instant::now() + limit);
        let max = self.0.limit.load(Ordering::Relaxed);
        let whole = (body.len() > max).then(|| body.clone());
        let pieces = cut_to_size(signal, body, spans, max);
        let held = whole.filter(|_| pieces.len() > 1);
        if self.0.role == Role::Debug {
            let deadline = limit;
            let _ =
                self.0.inbox.send(Command::Take { signal, spans, at_most_once, pieces, held, deadline, reply: None });
            return Receipt::settled(Ok(()));
        }
        let deadline = Some(limit.map_or(deadline, |limit| limit.min(deadline)));
        let (reply, answer) = oneshot::channel();
        // Fails only when the runtime is shutting down; the receipt then resolves to `Closed`.
        let _ = self.0.inbox.send(Command::Take {
            signal,
            spans,
            at_most_once,
            pieces,
            held,
            deadline,
            reply: Some(reply),
        });
        Receipt::waiting(answer, self.0.inbox.clone())
    }

    /// Its state at one moment.
    pub fn status(&self) -> DestinationStatus {
        let accounting = lock(&self.0.published).clone();
        DestinationStatus {
            name: self.0.name.clone(),
            role: self.0.role,
            spans: accounting.spans,
            requests: accounting.requests,
            delivered_late: accounting.delivered_late,
            queue_bytes: accounting.queue_bytes(),
            backlog_age: {
                let spilled = accounting.oldest_spilled.values().flatten().min().copied();
                let spilled = spilled.map(|oldest| Duration::from_nanos(unix_nano().saturating_sub(oldest)));
                accounting.oldest.map(|oldest| oldest.elapsed()).max(spilled)
            },
            failures: accounting.failures,
            breaker: accounting.breaker,
            last_error: accounting.last_error.map(|error| error.to_string()),
            unimplemented: {
                let known = accounting.unimplemented.into_iter();
                known.filter_map(|(signal, error)| error.map(|error| (signal, error.to_string()))).collect()
            },
        }
    }

    /// Tells the accounting that an operator has moved dead letters of this destination.
    pub fn moved(&self, moved: Moved) {
        // Fails only when the runtime is shutting down: the next start reads it off the disk.
        let _ = self.0.inbox.send(Command::Moved(moved));
    }

    /// Ends pauses after failures, so that everything is tried again at once; a pause that the destination asked for is kept.
    pub fn retry_now(&self) {
        // Fails only when the runtime is shutting down: then nothing waits.
        let _ = self.0.inbox.send(Command::RetryNow);
    }

    /// Answers every client that still waits: what they wait for is written or, without a store, handed back as
    /// [`Undelivered::Closed`]. Delivery goes on. `true`: something was handed back. Not for debug destinations, where nobody
    /// waits.
    ///
    /// [`Undelivered::Closed`]: super::Undelivered::Closed
    pub async fn flush_waiters(&self) -> bool {
        let (done, finished) = oneshot::channel();
        // Fails only when the runtime is shutting down: then nobody waits.
        let _ = self.0.inbox.send(Command::FlushWaiters { done });
        finished.await.unwrap_or(false)
    }

    /// Delivers what is in flight, until `deadline`. With a store, what is left shortly before that is written (at once, if
    /// delivery is paused), and its clients hear OK. What is left then is handed back as [`Undelivered::Closed`], or discarded
    /// where nobody waits. Afterwards nothing more is taken. `true`: no client had to be told to retry.
    ///
    /// [`Undelivered::Closed`]: super::Undelivered::Closed
    pub async fn drain(&self, deadline: Instant) -> bool {
        let (done, finished) = oneshot::channel();
        if self.0.inbox.send(Command::Drain { deadline, done }).is_err() {
            return false;
        }
        finished.await.unwrap_or(false)
    }
}

/// What an earlier process has left for the destination `name`.
fn kept(store: &Store, name: &str) -> Result<Kept, DestinationError> {
    let all = store.kept().map_err(|error| DestinationError::store(name, &error))?;
    Ok(all.into_iter().find(|(destination, _)| destination == name).map(|(_, kept)| kept).unwrap_or_default())
}
