//! Hands the requests of each window over to the destinations, and accounts for every point.
//!
//! Deltas are sent at most once: one that may have arrived is counted as lost, and never sent a second time. Running totals
//! are sent as often as it takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::request::{Period, PushRequest, PushSettings, requests};
use crate::config::Temporality;
use crate::delivery::{Destination, Parcel, Receipt, Signal, Undelivered};
use crate::red::{Snapshot, Window};
use crate::telemetry::{LOST_POINTS, SENT_POINTS, Telemetry};

/// How long deltas wait for a destination that does not take them; then they are lost. Datadog takes points of the last
/// hour.
const DELTA_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// How long running totals wait; the next ones say all that these say.
const TOTALS_TIMEOUT: Duration = Duration::from_secs(20);
/// Bytes that may wait for one destination: about 40 windows of 1,000 series. What comes on top is lost.
const MAX_WAITING_BYTES: usize = 32 << 20;

/// Sends what is measured to the destinations of `metrics/gateway`.
#[derive(Debug)]
pub struct Pusher {
    targets: Vec<Target>,
    telemetry: Telemetry,
    receipts: JoinSet<()>,
}

#[derive(Clone, Debug)]
struct Target {
    destination: Destination,
    settings: PushSettings,
    waiting: Arc<AtomicUsize>,
}

/// Encodes for every destination, on a thread that may be busy for a while.
#[derive(Clone, Debug)]
pub struct Encoder(Vec<Target>);

/// Requests, each with the index of the destination that it is for.
#[derive(Debug, Default)]
pub struct Encoded(Vec<(usize, PushRequest)>);

impl Pusher {
    /// For those of `destinations` that take measurements. `instance` becomes `chainspan.instance`.
    pub fn new(destinations: &[Destination], instance: Option<&str>, telemetry: Telemetry) -> Self {
        let target = |destination: &Destination| {
            Some(Target {
                settings: PushSettings {
                    temporality: destination.derived()?,
                    instance: instance.map(str::to_owned),
                    max_request_bytes: destination.max_request_bytes(),
                },
                destination: destination.clone(),
                waiting: Arc::default(),
            })
        };
        Self { targets: destinations.iter().filter_map(target).collect(), telemetry, receipts: JoinSet::new() }
    }

    /// What encodes for its destinations.
    pub fn encoder(&self) -> Encoder {
        Encoder(self.targets.clone())
    }

    /// Hands `encoded` over; never waits. To be called on a tokio runtime.
    pub fn send(&mut self, encoded: Encoded) {
        for (place, PushRequest { body, points }) in encoded.0 {
            let Target { destination, settings, waiting } = &self.targets[place];
            let bytes = body.len();
            if waiting.load(Ordering::Relaxed) + bytes > MAX_WAITING_BYTES {
                lose(&self.telemetry, destination.name(), points, "full");
                continue;
            }
            waiting.fetch_add(bytes, Ordering::Relaxed);
            let parcel = Parcel { signal: Signal::Metrics, body, spans: 0 };
            let receipt = match settings.temporality {
                Temporality::Delta => destination.hand_over_at_most_once(parcel, Instant::now() + DELTA_TIMEOUT),
                Temporality::Cumulative => destination.hand_over(parcel, Instant::now() + TOTALS_TIMEOUT),
            };
            let (telemetry, name, waiting) = (self.telemetry.clone(), destination.name().to_owned(), waiting.clone());
            self.receipts.spawn(async move {
                account(&telemetry, &name, points, receipt).await;
                waiting.fetch_sub(bytes, Ordering::Relaxed);
            });
        }
        while self.receipts.try_join_next().is_some() {}
    }

    /// Waits until every point has arrived or is lost: when the destinations have drained at the latest.
    pub async fn finish(mut self) {
        while self.receipts.join_next().await.is_some() {}
    }
}

impl Encoder {
    /// Whether any destination wants running totals.
    pub fn wants_totals(&self) -> bool {
        self.0.iter().any(|target| target.settings.temporality == Temporality::Cumulative)
    }

    /// Encodes `windows` for the destinations that want deltas, and `totals`, with the time that they were taken at, for the
    /// others.
    pub fn encode(&self, windows: &[Window], totals: Option<(&Snapshot, u64)>) -> Encoded {
        let mut encoded = Vec::new();
        for (place, Target { settings, .. }) in self.0.iter().enumerate() {
            let mut add = |snapshot: &Snapshot, period: Period| {
                encoded.extend(requests(snapshot, period, settings).into_iter().map(|request| (place, request)));
            };
            match settings.temporality {
                Temporality::Delta => {
                    windows.iter().for_each(|w| add(&w.snapshot, Period::Window(w.start_unix_nano, w.end_unix_nano)))
                }
                Temporality::Cumulative => totals.iter().for_each(|(totals, now)| add(totals, Period::Until(*now))),
            }
        }
        Encoded(encoded)
    }
}

async fn account(telemetry: &Telemetry, destination: &str, points: u64, receipt: Receipt) {
    let reason = match receipt.await {
        Ok(()) => return telemetry.counter(SENT_POINTS, &[("exporter", destination)]).increment(points),
        Err(Undelivered::Ambiguous { .. }) => "ambiguous",
        Err(Undelivered::Timeout { .. }) => "expired",
        Err(Undelivered::Rejected { .. }) => "rejected",
        Err(Undelivered::Full { .. }) => "full",
        Err(Undelivered::Closed) => "shutdown",
    };
    lose(telemetry, destination, points, reason);
}

fn lose(telemetry: &Telemetry, destination: &str, points: u64, reason: &str) {
    telemetry.counter(LOST_POINTS, &[("exporter", destination), ("reason", reason)]).increment(points);
    tracing::warn!(
        exporter = destination,
        points,
        reason,
        "metric points were lost: their history has a gap at this destination"
    );
}
