//! A request's way through the pipeline.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use metrics::Counter;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::budget::{Budget, Reservation};
use super::counts::PipelineCounters;
use super::inspect::Inspector;
use super::notes::NoteBudget;
use super::refusal::Refusal;
use super::rules::Rules;
use super::scratch::PooledScratch;
use super::tag;
use crate::chain::Traces;
use crate::clock::unix_nano;
use crate::config::{Chain, Gateway, Role};
use crate::delivery::{Destination, Parcel, Signal};
use crate::otlp::{PerSignal, count_items, walk};
use crate::red::Red;
use crate::telemetry::{ACCEPTED_SPANS, REFUSED_SPANS, Telemetry};

/// Bytes above which a request is walked on a thread of its own: that takes three milliseconds and more, and others must not
/// wait for it.
const WALK_ASIDE_BYTES: usize = 4 * 1024 * 1024;

/// The largest part of its time that a request gives up, so that its answer arrives before its client gives up.
const MAX_MARGIN: Duration = Duration::from_millis(500);

/// Takes requests from the receivers and answers for them. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Pipeline(Arc<Inner>);

/// What a pipeline is made of.
#[derive(Debug)]
pub struct Parts<'c> {
    /// The budget that bodies are received into.
    pub budget: Budget,
    /// `processors.chain`; absent: no span is tagged.
    pub chain: Option<&'c Chain>,
    /// `connectors.gateway`; absent: nothing is measured.
    pub gateway: Option<&'c Gateway>,
    /// Where observations are committed.
    pub red: Option<Arc<Red>>,
    /// Where requests go.
    pub destinations: Vec<Destination>,
    /// Our own counters.
    pub telemetry: Telemetry,
}

struct Inner {
    budget: Budget,
    rules: Rules,
    traces: Traces,
    red: Option<Arc<Red>>,
    destinations: Vec<Destination>,
    counters: PipelineCounters,
    accepted: PerSignal<Counter>,
    refused: PerSignal<Counter>,
    /// How long a request waits for its destinations at the most.
    max_wait: Duration,
    /// The same for a client that does not say how long it waits: a little less. SDKs that do not say so give up after ten
    /// seconds, as our own attempts do, and would just miss the answer that says when to send again.
    default_wait: Duration,
    started: Instant,
    draining: AtomicBool,
    open: AtomicUsize,
    /// Notified when the last open request has ended.
    ended: Notify,
}

/// One request that is being answered, until it is dropped.
struct OpenRequest<'p>(&'p Inner);

impl<'p> OpenRequest<'p> {
    fn new(inner: &'p Inner) -> Self {
        inner.open.fetch_add(1, Ordering::SeqCst);
        Self(inner)
    }
}

impl Drop for OpenRequest<'_> {
    fn drop(&mut self) {
        if self.0.open.fetch_sub(1, Ordering::SeqCst) == 1 && self.0.draining.load(Ordering::SeqCst) {
            self.0.ended.notify_waiters();
        }
    }
}

/// A request that is ready to be handed over.
struct Prepared {
    body: Bytes,
    items: u32,
    /// What counts when it is accepted; only for traces.
    scratch: Option<PooledScratch>,
    /// The budget's share of `scratch`.
    _held: Option<Reservation>,
}

impl Pipeline {
    /// A pipeline of `parts`.
    pub fn new(parts: Parts<'_>) -> Self {
        let Parts { budget, chain, gateway, red, destinations, telemetry } = parts;
        let by_signal = |name| PerSignal::from_fn(|signal| telemetry.counter(name, &[("signal", signal.name())]));
        let required = destinations.iter().filter(|destination| destination.role() == Role::Required);
        let max_wait = required.map(Destination::timeout).max().unwrap_or_default();
        Self(Arc::new(Inner {
            rules: Rules::new(chain, gateway),
            traces: chain.map_or_else(
                || Traces::new(0, Duration::ZERO),
                |chain| Traces::new(chain.inherit.traces, chain.inherit.ttl),
            ),
            budget,
            red,
            destinations,
            counters: PipelineCounters::new(&telemetry),
            accepted: by_signal(ACCEPTED_SPANS),
            refused: by_signal(REFUSED_SPANS),
            max_wait,
            default_wait: max_wait - (max_wait / 10).min(MAX_MARGIN),
            started: Instant::now(),
            draining: AtomicBool::new(false),
            open: AtomicUsize::new(0),
            ended: Notify::new(),
        }))
    }

    /// The budget that bodies are received into.
    pub fn budget(&self) -> &Budget {
        &self.0.budget
    }

    /// From now on every new request is refused with [`Refusal::Unavailable`]; open ones go on.
    pub fn drain(&self) {
        self.0.draining.store(true, Ordering::SeqCst);
    }

    /// Ready when no request is open: after [`drain`](Self::drain), when the last one has been committed or refused.
    pub async fn idle(&self) {
        loop {
            // Created before the check, so that an end between the two is not missed.
            let ended = self.0.ended.notified();
            if self.0.open.load(Ordering::SeqCst) == 0 {
                return;
            }
            ended.await;
        }
    }

    /// Takes one request. `Ok` means: every required destination has it, or the disk has it for that destination, and it has
    /// been counted. Dropping the future (the client went away) leaves nothing counted. `deadline` is when the client stops
    /// waiting, where it said so.
    ///
    /// # Errors
    ///
    /// See [`Refusal`]; nothing of a refused request is counted, and it may be sent again unless it is malformed or
    /// rejected.
    pub async fn accept(&self, signal: Signal, body: Bytes, deadline: Option<Instant>) -> Result<(), Refusal> {
        let inner = &*self.0;
        // Counted before it looks: either the drain sees this request, or this request sees the drain.
        let _open = OpenRequest::new(inner);
        if inner.draining.load(Ordering::SeqCst) {
            return Err(Refusal::shutting_down());
        }
        let now = Instant::now();
        let deadline = deadline.map_or(now + inner.default_wait, |deadline| deadline.min(now + inner.max_wait));
        let mut prepared = if body.len() > WALK_ASIDE_BYTES {
            self.prepare_aside(signal, body, now).await?
        } else {
            inner.prepare(signal, body, now, PooledScratch::take())?
        };
        match inner.deliver(signal, &prepared, deadline).await {
            Ok(()) => {
                inner.commit(signal, &mut prepared, now);
                Ok(())
            }
            Err(refusal) => {
                inner.refused[signal].increment(u64::from(prepared.items));
                Err(refusal)
            }
        }
    }

    async fn prepare_aside(&self, signal: Signal, body: Bytes, now: Instant) -> Result<Prepared, Refusal> {
        let pipeline = self.clone();
        // Taken here, where it is given back: another thread would make a new one each time.
        let scratch = PooledScratch::take();
        match tokio::task::spawn_blocking(move || pipeline.0.prepare(signal, body, now, scratch)).await {
            Ok(prepared) => prepared,
            Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
            // The runtime is shutting down.
            Err(_) => Err(Refusal::shutting_down()),
        }
    }
}

impl Inner {
    /// Everything that can be done without waiting: walk, settle, edit.
    fn prepare(
        &self,
        signal: Signal,
        body: Bytes,
        now: Instant,
        mut scratch: PooledScratch,
    ) -> Result<Prepared, Refusal> {
        if signal != Signal::Traces {
            // Joined with others on the way out, a damaged frame would damage its neighbours.
            let items = count_items(&body)?;
            return Ok(Prepared { body, items, scratch: None, _held: None });
        }
        let mut inspector = Inspector::new(&self.rules, &mut scratch, NoteBudget::new(&self.budget));
        let walked = walk(&body, &mut inspector)?;
        let notes = inspector.finish()?;
        let edits = self.reserve(scratch.edit_bytes())?;
        tag::settle(&mut scratch, &body, &self.traces, self.milliseconds(now))?;
        let body = if scratch.edits.is_empty() {
            body
        } else {
            let reservation = self.reserve(scratch.edits.len_after(body.len()))?;
            reservation.attach(scratch.edits.apply(&body)?)
        };
        scratch.edited();
        drop((edits, notes));
        let held = self.reserve(scratch.held_bytes())?;
        Ok(Prepared { body, items: walked.spans, scratch: Some(scratch), _held: Some(held) })
    }

    /// Hands the request to every destination of its signal and waits for the required ones. The first that fails decides;
    /// the others are then withdrawn.
    async fn deliver(&self, signal: Signal, prepared: &Prepared, deadline: Instant) -> Result<(), Refusal> {
        if prepared.body.is_empty() {
            return Ok(());
        }
        let spans = if signal == Signal::Traces { prepared.items } else { 0 };
        let receipts: Vec<_> = self
            .destinations
            .iter()
            .filter(|destination| destination.takes(signal))
            .map(|destination| destination.hand_over(Parcel { signal, body: prepared.body.clone(), spans }, deadline))
            .collect();
        for receipt in receipts {
            receipt.await?;
        }
        Ok(())
    }

    /// Counts an accepted request. Never waits.
    fn commit(&self, signal: Signal, prepared: &mut Prepared, now: Instant) {
        self.accepted[signal].increment(u64::from(prepared.items));
        let Some(scratch) = &mut prepared.scratch else { return };
        let newly_ambiguous = scratch.traces.settle(&self.traces, self.milliseconds(now));
        self.counters.add(&scratch.counts, newly_ambiguous, &self.rules.unclassified);
        if let Some(red) = &self.red {
            red.commit(&scratch.stage, unix_nano());
        }
    }

    fn reserve(&self, bytes: usize) -> Result<Reservation, Refusal> {
        self.budget.try_reserve(bytes).ok_or_else(Refusal::out_of_memory)
    }

    /// The clock of the trace memory: milliseconds since the start.
    fn milliseconds(&self, now: Instant) -> u64 {
        now.duration_since(self.started).as_millis() as u64
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipeline")
            .field("budget", &self.budget)
            .field("destinations", &self.destinations.len())
            .finish()
    }
}
