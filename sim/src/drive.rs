//! Sends what a fleet makes, at a rate or as fast as the other side takes it, and adds up the truth of what was
//! acknowledged.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::client::{Answer, Client};
use super::fleet::{Answers, Fleet, Sealed, now_unix_nano};
use super::histogram::Fine;
use super::trouble::Trouble;
use super::truth::Truth;

/// How long after the last answer a batch without an answer may be committed, for the bounds on late spans: a minute.
const STRAY_NANO: u64 = 60_000_000_000;

/// How long and how fast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// Spans a second; `None`: as fast as they are taken.
    pub rate: Option<f64>,
    /// How long requests are begun; those in flight then are waited for.
    pub duration: Duration,
    /// Requests in flight at most. When all are out, an open loop falls behind its schedule, and the latency shows it.
    pub in_flight: usize,
}

/// Figures of a run while it runs. All counts are spans unless they say otherwise.
#[derive(Debug)]
pub struct Progress {
    sent: AtomicU64,
    acknowledged: AtomicU64,
    refused: AtomicU64,
    ambiguous: AtomicU64,
    resent: AtomicU64,
    requests: AtomicU64,
    book: Mutex<Book>,
}

#[derive(Debug)]
struct Book {
    truth: Truth,
    latency: Fine,
    last_trouble: Option<String>,
}

/// The figures of a run at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Spans in requests that were begun.
    pub sent: u64,
    /// Spans acknowledged, for certain and once.
    pub acknowledged: u64,
    /// Spans refused for good.
    pub refused: u64,
    /// Spans of which nobody can know how often they count; the truth bounds it.
    pub ambiguous: u64,
    /// Spans of acknowledged batches that were sent a second time; they are counted above as often as they were sent.
    pub resent: u64,
    /// Requests answered, one way or the other.
    pub requests: u64,
    /// Nanoseconds from the scheduled start of a request to its final answer, median.
    pub latency_p50_nano: Option<u64>,
    /// The same, 99th percentile.
    pub latency_p99_nano: Option<u64>,
    /// The last answer that was no acknowledgement.
    pub last_trouble: Option<String>,
}

impl Progress {
    /// A run that has not begun; `truth` takes in what is acknowledged.
    pub fn new(truth: Truth) -> Self {
        Self {
            sent: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            ambiguous: AtomicU64::new(0),
            resent: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            book: Mutex::new(Book { truth, latency: Fine::default(), last_trouble: None }),
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // The book is only ever added to, so one that a panic left behind is still readable.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Spans acknowledged so far, without the cost of a whole report.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// The figures now.
    pub fn report(&self) -> Report {
        let book = self.book();
        Report {
            sent: self.sent.load(Ordering::Relaxed),
            acknowledged: self.acknowledged.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            ambiguous: self.ambiguous.load(Ordering::Relaxed),
            resent: self.resent.load(Ordering::Relaxed),
            requests: self.requests.load(Ordering::Relaxed),
            latency_p50_nano: book.latency.quantile(0.5),
            latency_p99_nano: book.latency.quantile(0.99),
            last_trouble: book.last_trouble.clone(),
        }
    }

    /// Takes in how `batch` was answered, and tells its gateway. Whether it was acknowledged, once and for certain.
    fn enter(&self, batch: &Sealed, answer: Answer, sent: u64, latency: Duration, answers: &Answers) -> bool {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let answered = now_unix_nano();
        let mut book = self.book();
        book.latency.add(latency.as_nanos() as u64);
        let (counter, accepted, certain) = match answer {
            Answer::Acknowledged => {
                book.truth.acknowledge(&batch.facts, sent, answered);
                (&self.acknowledged, true, true)
            }
            Answer::Ambiguous { status, at_least, at_most } => {
                book.last_trouble = Some(format!("no certain answer: {:?}: {}", status.code(), status.message()));
                for _ in 0..at_least {
                    book.truth.acknowledge(&batch.facts, sent, answered);
                }
                // An attempt without an answer may still be worked on: nobody knows when it is committed.
                book.truth.suspect(&batch.facts, at_most - at_least, sent, answered.saturating_add(STRAY_NANO));
                (&self.ambiguous, at_least > 0, false)
            }
            Answer::Refused(status) => {
                book.last_trouble = Some(format!("refused: {:?}: {}", status.code(), status.message()));
                (&self.refused, false, false)
            }
        };
        counter.fetch_add(batch.facts.spans, Ordering::Relaxed);
        answers.tell(batch.gateway, batch.id, accepted);
        certain
    }

    /// Looks at the truth so far; batches answered meanwhile wait until `look` returns.
    pub fn with_truth<T>(&self, look: impl FnOnce(&Truth) -> T) -> T {
        look(&self.book().truth)
    }
}

/// Runs `fleet` against `client` by `plan`, keeping `progress` up to date. Returns when every request is answered.
pub async fn drive(fleet: Fleet, client: Arc<Client>, plan: Plan, progress: Arc<Progress>) {
    drive_through(fleet, client, plan, progress, &Trouble::default()).await;
}

/// The same, and some of the acknowledged batches are sent again as `trouble` says. The other troubles are put
/// [upon the gateways](Trouble::upon) and into a [`Relay`](super::Relay).
pub async fn drive_through(
    mut fleet: Fleet,
    client: Arc<Client>,
    plan: Plan,
    progress: Arc<Progress>,
    trouble: &Trouble,
) {
    let begun = tokio::time::Instant::now();
    let room = Arc::new(Semaphore::new(plan.in_flight.max(1)));
    let mut flights = JoinSet::new();
    let mut due = begun;
    while begun.elapsed() < plan.duration && due < begun + plan.duration {
        let Some(batch) = fleet.next().await else { break };
        tokio::time::sleep_until(due).await;
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { break };
        let scheduled: Instant = match plan.rate {
            Some(rate) => {
                let scheduled = due;
                due += Duration::from_secs_f64(batch.facts.spans as f64 / rate);
                scheduled.into_std()
            }
            None => Instant::now(),
        };
        progress.sent.fetch_add(batch.facts.spans, Ordering::Relaxed);
        let (client, progress, answers) = (Arc::clone(&client), Arc::clone(&progress), fleet.answers());
        let again = trouble.resends(batch.gateway, batch.id);
        flights.spawn(async move {
            let sent = now_unix_nano();
            let answer = client.export(batch.body.clone()).await;
            if progress.enter(&batch, answer, sent, scheduled.elapsed(), &answers) && again {
                progress.sent.fetch_add(batch.facts.spans, Ordering::Relaxed);
                progress.resent.fetch_add(batch.facts.spans, Ordering::Relaxed);
                let (sent, begun) = (now_unix_nano(), Instant::now());
                let answer = client.export(batch.body.clone()).await;
                progress.enter(&batch, answer, sent, begun.elapsed(), &answers);
            }
            drop(permit);
        });
        while flights.try_join_next().is_some() {}
    }
    while flights.join_next().await.is_some() {}
}
