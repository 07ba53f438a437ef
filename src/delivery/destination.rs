//! The handle on a destination: what the pipeline, the health check and the service hold.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::actor::{Actor, Command};
use super::backoff::{Backoff, BackoffError};
use super::breaker::Breaker;
use super::caller::Caller;
use super::isolate::{Limit, Refusals};
use super::keeper::Keeper;
use super::lanes::Lanes;
use super::ledger::Books;
use super::meters::Meters;
use super::queue::Queue;
use super::receipt::Receipt;
use super::slot::Slot;
use super::tickets::Tickets;
use super::{DestinationStatus, Parcel, Signal};
use crate::clock::unix_nano;
use crate::config::{self, Role, Temporality};
use crate::lock::lock;
use crate::otlp::{self, PerSignal};
use crate::store::{Count, Kept, Store};
use crate::telemetry::Telemetry;

/// What a debug destination may keep in memory.
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
    /// The same, or less while the destination takes less.
    limit: Arc<AtomicUsize>,
    patience: Option<Duration>,
    inbox: mpsc::UnboundedSender<Command>,
    books: Arc<Mutex<Books>>,
}

/// What an operator has done with dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// They wait to be sent again.
    Revived(Count),
    /// They are gone.
    Purged(Count),
}

/// Why a destination cannot be started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("exporters.{name}: {fault}")]
pub struct DestinationError {
    name: String,
    fault: Fault,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Fault {
    #[error("endpoint {0:?} is not HOST:PORT, such as 127.0.0.1:4317")]
    Endpoint(String),
    #[error("header {0:?} cannot be sent: use lower-case ASCII names and printable ASCII values")]
    Header(String),
    #[error("retry_on_failure: {0}")]
    Backoff(#[from] BackoffError),
    #[error("{0} must be at least 1")]
    Zero(&'static str),
    #[error("what is kept for it cannot be read: {0}")]
    Store(String),
}

impl DestinationError {
    pub(crate) fn endpoint(name: &str, endpoint: &str) -> Self {
        Self { name: name.to_owned(), fault: Fault::Endpoint(endpoint.to_owned()) }
    }

    pub(crate) fn header(name: &str, header: &str) -> Self {
        Self { name: name.to_owned(), fault: Fault::Header(header.to_owned()) }
    }
}

impl Destination {
    /// Starts its task on the current tokio runtime. Nothing is dialled before there is something to send.
    ///
    /// # Errors
    /// An endpoint, a header, a limit or a backoff that cannot work, or a store that cannot say what it holds.
    pub fn start(
        settings: config::Destination,
        telemetry: &Telemetry,
        store: Option<&Store>,
    ) -> Result<Self, DestinationError> {
        let wrong = |fault: Fault| DestinationError { name: settings.name.clone(), fault };
        let caller = Arc::new(Caller::new(&settings)?);
        let backoff = Backoff::new(settings.retry.initial_interval, settings.retry.max_interval)
            .map_err(|error| wrong(error.into()))?;
        if settings.connections == 0 {
            return Err(wrong(Fault::Zero("connections")));
        }
        if settings.max_request_bytes == 0 {
            return Err(wrong(Fault::Zero("max_request_size")));
        }
        if settings.breaker.consecutive_failures == 0 {
            return Err(wrong(Fault::Zero("circuit_breaker.consecutive_failures")));
        }
        let (inbox, commands) = mpsc::unbounded_channel();
        // Nobody waits for a debug destination, so nothing of it is kept.
        let store = store.filter(|_| settings.role == Role::Required);
        let mut tickets = Tickets::default();
        let keeper = match store {
            None => None,
            Some(store) => {
                let kept = kept(store, &settings.name).map_err(wrong)?;
                tickets.books.recover(&kept);
                tickets.books.oldest_kept = PerSignal::from_fn(|_| kept.oldest);
                Some(Keeper::new(store.clone(), &settings.name, inbox.downgrade(), kept.waiting.records > 0))
            }
        };
        let books = Arc::new(Mutex::new(tickets.books.clone()));
        let limit = Arc::new(AtomicUsize::new(settings.max_request_bytes));
        let actor = Actor {
            name: settings.name.clone(),
            role: settings.role,
            max_request_bytes: settings.max_request_bytes,
            debug_queue_bytes: DEBUG_QUEUE_BYTES,
            spill_after: settings.spill_after,
            patience: settings.retry.max_elapsed_time,
            caller,
            backoff,
            breaker: Breaker::new(settings.breaker, Instant::now()),
            lanes: Lanes::new(settings.breaker, Instant::now()),
            refusals: Refusals::default(),
            limit: Limit::new(settings.max_request_bytes, limit.clone()),
            meters: Meters::new(&settings.name, telemetry),
            published: books.clone(),
            slots: (0..settings.connections).map(|_| Slot::default()).collect(),
            queue: Queue::default(),
            tickets,
            keeper,
            sequence: 0,
            not_before: None,
            earliest_deadline: None,
            spill_due: None,
            shed: false,
            stored_turn: false,
            withdrawn: false,
            last_sweep: None,
            draining: Vec::new(),
            clean: true,
            closed: false,
        };
        tokio::spawn(actor.run(commands));
        Ok(Self(Arc::new(Handle {
            name: settings.name,
            role: settings.role,
            signals: settings.signals,
            temporality: settings.temporality,
            timeout: settings.timeout,
            max_request_bytes: settings.max_request_bytes,
            limit,
            patience: settings.retry.max_elapsed_time,
            inbox,
            books,
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

    /// Hands a parcel over; never waits. The receipt resolves when the destination or, where there is a store, the disk has
    /// it, when it is refused, or at `deadline` (or after `max_elapsed_time`, if that is sooner). For a debug destination the receipt has resolved
    /// already, the deadline does not matter, and what finds no room is counted as discarded.
    pub fn hand_over(&self, parcel: Parcel, deadline: Instant) -> Receipt {
        self.take(parcel, deadline, false)
    }

    /// As [`hand_over`](Self::hand_over), but what may have arrived is not sent again: after an attempt whose outcome is
    /// unknown the receipt resolves to [`Undelivered::Ambiguous`]. For deltas, where twice is worse than not at all.
    ///
    /// [`Undelivered::Ambiguous`]: super::Undelivered::Ambiguous
    pub fn hand_over_once(&self, parcel: Parcel, deadline: Instant) -> Receipt {
        self.take(parcel, deadline, true)
    }

    fn take(&self, parcel: Parcel, deadline: Instant, once: bool) -> Receipt {
        if parcel.body.is_empty() {
            return Receipt::settled(Ok(()));
        }
        let Parcel { signal, body, spans } = parcel;
        let limit = self.0.patience.map(|patience| Instant::now() + patience);
        let max = self.0.limit.load(Ordering::Relaxed);
        let whole = (body.len() > max).then(|| body.clone());
        let pieces = cut_to_size(signal, body, spans, max);
        let held = whole.filter(|_| pieces.len() > 1);
        if self.0.role == Role::Debug {
            let deadline = limit;
            let _ = self.0.inbox.send(Command::Take { signal, spans, once, pieces, held, deadline, reply: None });
            return Receipt::settled(Ok(()));
        }
        let deadline = Some(limit.map_or(deadline, |limit| limit.min(deadline)));
        let (reply, answer) = oneshot::channel();
        // Fails only when the runtime is shutting down; the receipt then resolves to `Closed`.
        let _ = self.0.inbox.send(Command::Take { signal, spans, once, pieces, held, deadline, reply: Some(reply) });
        Receipt::waiting(answer, self.0.inbox.clone())
    }

    /// How it is, as one consistent view.
    pub fn status(&self) -> DestinationStatus {
        let books = lock(&self.0.books).clone();
        DestinationStatus {
            name: self.0.name.clone(),
            role: self.0.role,
            spans: books.spans,
            requests: books.requests,
            delivered_late: books.delivered_late,
            queue_bytes: books.queue_bytes,
            backlog_age: {
                let kept = books.oldest_kept.values().flatten().min().copied();
                let kept = kept.map(|oldest| Duration::from_nanos(unix_nano().saturating_sub(oldest)));
                books.oldest.map(|oldest| oldest.elapsed()).max(kept)
            },
            failures: books.failures,
            breaker: books.breaker,
            last_error: books.last_error.map(|error| error.to_string()),
            untaken: {
                let known = books.untaken.into_iter();
                known.filter_map(|(signal, error)| error.map(|error| (signal, error.to_string()))).collect()
            },
        }
    }

    /// Tells the books that an operator has moved dead letters of this destination.
    pub fn moved(&self, moved: Moved) {
        // Fails only when the runtime is shutting down: the next start reads it off the disk.
        let _ = self.0.inbox.send(Command::Moved(moved));
    }

    /// Tries again at once what waits for a pause of its own; one that the destination asked for is kept.
    pub fn hurry(&self) {
        // Fails only when the runtime is shutting down: then nothing waits.
        let _ = self.0.inbox.send(Command::Hurry);
    }

    /// Has everything written that clients still wait for or, without a store, hands it back as [`Undelivered::Closed`]. Goes
    /// on with the rest, and takes more. `true`: something was handed back. Not for debug destinations, where nobody waits.
    ///
    /// [`Undelivered::Closed`]: super::Undelivered::Closed
    pub async fn let_go(&self) -> bool {
        let (done, finished) = oneshot::channel();
        // Fails only when the runtime is shutting down: then nobody waits.
        let _ = self.0.inbox.send(Command::LetGo { done });
        finished.await.unwrap_or(false)
    }

    /// Finishes what is in hand, until `deadline`. With a store, what is left shortly before that (at once, if the
    /// destination is being left alone) is written, and its clients hear OK. What is left then is handed back as
    /// [`Undelivered::Closed`], or discarded where nobody waits. Afterwards nothing more is taken. `true`: no client had to
    /// be told to come again.
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

/// A parcel in pieces that fit a request: between traces where that is possible, through one where it is not. What cannot
/// be cut goes out as it is, for the destination to judge.
pub(super) fn cut_to_size(signal: Signal, body: Bytes, spans: u32, max: usize) -> Vec<otlp::Piece> {
    let whole = |body: &Bytes| vec![otlp::Piece { body: body.clone(), items: spans }];
    if body.len() <= max {
        return whole(&body);
    }
    let Ok(pieces) = otlp::split(&body, max, signal == Signal::Traces) else { return whole(&body) };
    let fit = |piece: otlp::Piece| {
        if piece.body.len() <= max {
            return vec![piece];
        }
        otlp::split(&piece.body, max, false).unwrap_or_else(|_| vec![piece])
    };
    let pieces: Vec<otlp::Piece> = pieces.into_iter().flat_map(fit).collect();
    if pieces.is_empty() { whole(&body) } else { pieces }
}

/// What an earlier process has left for the destination `name`.
fn kept(store: &Store, name: &str) -> Result<Kept, Fault> {
    let all = store.kept().map_err(|error| Fault::Store(error.to_string()))?;
    Ok(all.into_iter().find(|(destination, _)| destination == name).map(|(_, kept)| kept).unwrap_or_default())
}
