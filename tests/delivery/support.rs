//! What the tests of one destination share: settings that make time pass quickly, parcels whose spans can be told apart, a
//! store in a directory of its own.
#![allow(dead_code)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use chainspan::config::{self, Retry, Secret, Signals};
use chainspan::delivery::{Destination, DestinationStatus, Parcel, Signal};
use chainspan::store::{Filter, Letter, Store, StoreSettings};
use chainspan::telemetry::Telemetry;
use chainspan_testing::server::FaultServer;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tokio::time::Instant;

pub(crate) fn settings(fault: &FaultServer) -> config::Destination {
    config::Destination {
        name: "otlp/test".to_owned(),
        endpoint: fault.address().to_string(),
        headers: vec![("x-token".to_owned(), Secret::new("secret"))],
        connections: 1,
        retry: Retry {
            initial_interval: Duration::from_millis(5),
            max_interval: Duration::from_millis(20),
            max_elapsed_time: None,
        },
        breaker: config::Breaker {
            consecutive_failures: 5,
            open_min: Duration::from_millis(20),
            open_max: Duration::from_millis(100),
        },
        signals: Signals { traces: true, metrics: true, logs: true, derived: true },
        ..config::Destination::default()
    }
}

pub(crate) fn start(settings: config::Destination) -> Destination {
    Destination::start(settings, &Telemetry::new(), None).expect("sound settings")
}

/// A parcel of spans with the ids `from..from + count`, each in a trace of its own, named `name`.
pub(crate) fn parcel(from: u64, count: u64, name: &str) -> Parcel {
    let spans = (from..from + count).map(|id| Span {
        trace_id: u128::from(id + 1).to_be_bytes().to_vec(),
        span_id: id.to_be_bytes().to_vec(),
        name: name.to_owned(),
        ..Span::default()
    });
    let scope_spans = vec![ScopeSpans { spans: spans.collect(), ..ScopeSpans::default() }];
    let request =
        ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] };
    Parcel { signal: Signal::Traces, body: request.encode_to_vec().into(), spans: count as u32 }
}

/// A parcel of one log record whose body is `text`.
pub(crate) fn log(text: &str) -> Parcel {
    let body = chainspan_testing::otlp::logs("gateway", text).encode_to_vec();
    Parcel { signal: Signal::Logs, body: body.into(), spans: 0 }
}

pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

/// The end of every test: the equation holds, and nothing is left in memory.
pub(crate) fn conserved(destination: &Destination) -> DestinationStatus {
    let status = destination.status();
    assert!(status.spans.holds() && status.requests.holds(), "{status:?}");
    assert_eq!((status.spans.in_flight, status.requests.in_flight, status.queue_bytes), (0, 0, 0), "{status:?}");
    status
}

pub(crate) fn assert_each_once(fault: &FaultServer, count: u64) {
    let spans = fault.accepted_spans();
    assert_eq!(spans.len() as u64, count);
    assert!(spans.values().all(|times| *times == 1));
}

/// Logs with these texts were accepted, each once, and no others.
pub(crate) fn assert_logs_once(fault: &FaultServer, texts: impl IntoIterator<Item = String>) {
    let logs = fault.accepted_logs();
    let expected: Vec<String> = texts.into_iter().collect();
    assert!(expected.iter().all(|text| logs.get(text) == Some(&1)), "{logs:?}");
    assert_eq!(logs.len(), expected.len(), "{logs:?}");
}

struct Counted(Bytes, Arc<AtomicUsize>);

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The parcel, and how many bodies of it are alive.
pub(crate) fn counted(parcel: Parcel) -> (Parcel, Arc<AtomicUsize>) {
    let alive = Arc::new(AtomicUsize::new(1));
    (Parcel { body: Bytes::from_owner(Counted(parcel.body, alive.clone())), ..parcel }, alive)
}

/// A store in `directory`.
pub(crate) fn open(directory: &Path) -> Store {
    open_with(directory, 1 << 30)
}

/// The same, for at most `max_bytes`.
pub(crate) fn open_with(directory: &Path, max_bytes: u64) -> Store {
    Store::open(StoreSettings { directory: directory.to_owned(), max_bytes, min_free_bytes: 0 }).expect("a store")
}

/// A destination with a store.
pub(crate) fn start_with(settings: config::Destination, store: &Store) -> Destination {
    Destination::start(settings, &Telemetry::new(), Some(store)).expect("sound settings")
}

/// Every dead letter.
pub(crate) fn letters(store: &Store) -> Vec<Letter> {
    store.letters(&Filter::default()).expect("readable")
}

/// Waits until `condition` holds of what `destination` says; after 30 s the test has failed.
pub(crate) async fn until(
    destination: &Destination,
    what: &str,
    mut condition: impl FnMut(&DestinationStatus) -> bool,
) -> DestinationStatus {
    let deadline = soon();
    loop {
        let status = destination.status();
        assert!(status.spans.holds() && status.requests.holds(), "{status:?}");
        if condition(&status) {
            return status;
        }
        assert!(Instant::now() < deadline, "not within 30 s: {what}: {status:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Waits until nothing is in memory and nothing waits on the disk; in the books and in the store.
pub(crate) async fn drained(destination: &Destination, store: &Store) -> DestinationStatus {
    until(destination, "drained", |status| {
        let Some(waiting) = waiting(store) else { return true };
        let idle = (status.spans.in_flight, status.requests.in_flight, status.queue_bytes) == (0, 0, 0);
        idle && (status.spans.spilled, status.requests.spilled, waiting) == (0, 0, 0)
    })
    .await
}

/// Records that wait in `store`.
pub(crate) fn waiting(store: &Store) -> Option<u64> {
    Some(store.kept().ok()?.iter().map(|(_, kept)| kept.waiting.records).sum())
}
