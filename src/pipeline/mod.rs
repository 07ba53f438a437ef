//! The one place where a request is walked, tagged, handed over, made safe and committed.
//!
//! ```text
//! body ─► inspect: validate, classify, resolve chain, stage observations ─► tag: edit bytes
//!      ─► hand over to every destination ─► delivered, or on disk? ─► commit observations ─► Ok
//! ```
//!
//! Doors come in with a body that is reserved in the [`Budget`]; what leaves is either `Ok`, and everything about the
//! request counts, or a [`Refusal`], and nothing does. Nothing in here may count before the answer is certain.

mod budget;
mod inspect;
mod meaning;
mod refusal;
mod rules;
mod tag;
mod tally;
mod texts;
mod unclassified;
mod work;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use metrics::Counter;
use tokio::sync::Notify;
use tokio::time::Instant;

pub use budget::{Budget, Reservation};
pub use refusal::Refusal;

use crate::chain::Traces;
use crate::clock::unix_nano;
use crate::config::{Chain, Gateway, Role};
use crate::delivery::{Destination, Parcel, Signal};
use crate::otlp::{PerSignal, count_items, walk};
use crate::red::Red;
use crate::telemetry::{ACCEPTED_SPANS, REFUSED_SPANS, Telemetry};
use inspect::Inspector;
use rules::Rules;
use tally::Counters;
use work::{Loan, Room};

/// Bytes above which a request is walked on a thread of its own: it takes three milliseconds and more, and others must not
/// wait for it.
const LARGE: usize = 4 * 1024 * 1024;

/// The most that a request gives up of its time so that its answer comes in time.
const LONGEST_MARGIN: Duration = Duration::from_millis(500);

/// Takes requests from the doors and answers for them. Cloning shares it.
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

impl Parts<'_> {
    /// A pipeline that takes everything and does nothing with it.
    pub fn bare(budget: Budget, telemetry: Telemetry) -> Self {
        Self { budget, chain: None, gateway: None, red: None, destinations: Vec::new(), telemetry }
    }
}

struct Inner {
    budget: Budget,
    rules: Rules,
    traces: Traces,
    red: Option<Arc<Red>>,
    destinations: Vec<Destination>,
    counters: Counters,
    accepted: PerSignal<Counter>,
    refused: PerSignal<Counter>,
    /// How long a request waits for its destinations at the most.
    patience: Duration,
    /// The same when its client does not say how long it waits: a little less. SDKs that do not say so give up after ten
    /// seconds, as our own attempts do, and would just miss the answer that says when to come again.
    unasked: Duration,
    started: Instant,
    draining: AtomicBool,
    in_hand: AtomicUsize,
    /// Told when the last request in hand has ended.
    ended: Notify,
}

/// One request in hand, until it is dropped.
struct InHand<'p>(&'p Inner);

impl<'p> InHand<'p> {
    fn new(inner: &'p Inner) -> Self {
        inner.in_hand.fetch_add(1, Ordering::SeqCst);
        Self(inner)
    }
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        if self.0.in_hand.fetch_sub(1, Ordering::SeqCst) == 1 && self.0.draining.load(Ordering::SeqCst) {
            self.0.ended.notify_waiters();
        }
    }
}

/// A request that is ready to be handed over.
struct Prepared {
    body: Bytes,
    items: u32,
    /// What counts when it is accepted; only for traces.
    work: Option<Loan>,
    /// The budget's share of `work`.
    _held: Option<Reservation>,
}

impl Pipeline {
    /// A pipeline of `parts`.
    pub fn new(parts: Parts<'_>) -> Self {
        let Parts { budget, chain, gateway, red, destinations, telemetry } = parts;
        let by_signal = |name| PerSignal::from_fn(|signal| telemetry.counter(name, &[("signal", signal.name())]));
        let required = destinations.iter().filter(|destination| destination.role() == Role::Required);
        let patience = required.map(Destination::timeout).max().unwrap_or_default();
        Self(Arc::new(Inner {
            rules: Rules::new(chain, gateway),
            traces: chain.map_or_else(
                || Traces::new(0, Duration::ZERO),
                |chain| Traces::new(chain.inherit_traces, chain.inherit_ttl),
            ),
            budget,
            red,
            destinations,
            counters: Counters::new(&telemetry),
            accepted: by_signal(ACCEPTED_SPANS),
            refused: by_signal(REFUSED_SPANS),
            patience,
            unasked: patience - (patience / 10).min(LONGEST_MARGIN),
            started: Instant::now(),
            draining: AtomicBool::new(false),
            in_hand: AtomicUsize::new(0),
            ended: Notify::new(),
        }))
    }

    /// The budget that bodies are received into.
    pub fn budget(&self) -> &Budget {
        &self.0.budget
    }

    /// From now on every new request is refused with [`Refusal::Unavailable`]; those in hand go on.
    pub fn drain(&self) {
        self.0.draining.store(true, Ordering::SeqCst);
    }

    /// Ready when no request is in hand: after [`drain`](Self::drain), when the last one has been committed or refused.
    pub async fn idle(&self) {
        loop {
            // Made before the look, so that an end between the two is not missed.
            let ended = self.0.ended.notified();
            if self.0.in_hand.load(Ordering::SeqCst) == 0 {
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
        // Counted before the look: whoever drains sees this request, or this request sees the drain.
        let _in_hand = InHand::new(inner);
        if inner.draining.load(Ordering::SeqCst) {
            return Err(Refusal::shutting_down());
        }
        let now = Instant::now();
        let deadline = deadline.map_or(now + inner.unasked, |deadline| deadline.min(now + inner.patience));
        let mut prepared = if body.len() > LARGE {
            self.prepare_aside(signal, body, now).await?
        } else {
            inner.prepare(signal, body, now, Loan::take())?
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
        // Lent here, where it is given back: another thread would make a new one each time.
        let work = Loan::take();
        match tokio::task::spawn_blocking(move || pipeline.0.prepare(signal, body, now, work)).await {
            Ok(prepared) => prepared,
            Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
            // The runtime is shutting down.
            Err(_) => Err(Refusal::shutting_down()),
        }
    }
}

impl Inner {
    /// Everything that can be done without waiting.
    fn prepare(&self, signal: Signal, body: Bytes, now: Instant, mut work: Loan) -> Result<Prepared, Refusal> {
        if signal != Signal::Traces {
            // Joined with others on the way out, a damaged frame would damage its neighbours.
            let items = count_items(&body)?;
            return Ok(Prepared { body, items, work: None, _held: None });
        }
        let mut inspector = Inspector::new(&self.rules, &mut work, Room::new(&self.budget));
        let walked = walk(&body, &mut inspector)?;
        let notes = inspector.finish()?;
        let edits = self.reserve(work.edit_bytes())?;
        tag::settle(&mut work, &body, &self.traces, self.milliseconds(now))?;
        let body = if work.edits.is_empty() {
            body
        } else {
            let reservation = self.reserve(work.edits.len_after(body.len()))?;
            reservation.attach(work.edits.apply(&body)?)
        };
        work.edited();
        drop((edits, notes));
        let held = self.reserve(work.held_bytes())?;
        Ok(Prepared { body, items: walked.spans, work: Some(work), _held: Some(held) })
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
        let Some(work) = &mut prepared.work else { return };
        let newly_ambiguous = work.traces.settle(&self.traces, self.milliseconds(now));
        self.counters.add(&work.tally, newly_ambiguous, &self.rules.unclassified);
        if let Some(red) = &self.red {
            red.commit(&work.stage, unix_nano());
        }
    }

    fn reserve(&self, bytes: usize) -> Result<Reservation, Refusal> {
        self.budget.try_reserve(bytes).ok_or_else(Refusal::out_of_memory)
    }

    /// The clock of the trace memory.
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
