//! What the tests of the store share: records that can be told apart, and calls that wait for their answer.

// Each test program uses a part of it.
#![allow(dead_code)]

use std::path::Path;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chainspan::otlp::Signal;
use chainspan::store::{
    Count, Death, DeathReason, Kept, NewRecord, NotKept, Portion, RecordId, Store, StoreError, StoreSettings, Waiting,
    Wanted,
};

/// Longer than any disk takes; only a hang reaches it.
const LONG: Duration = Duration::from_secs(120);

pub(crate) const DATADOG: &str = "otlp/datadog";
pub(crate) const JAEGER: &str = "otlp/jaeger";

pub(crate) fn settings(directory: &Path) -> StoreSettings {
    StoreSettings { directory: directory.to_owned(), max_bytes: 1 << 30, min_free_bytes: 0 }
}

pub(crate) fn open(directory: &Path) -> Store {
    Store::open(settings(directory)).expect("open the store")
}

/// `length` bytes that depend on `seed` in every place.
pub(crate) fn body(seed: u64, length: usize) -> Bytes {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..length).map(|_| random.u8(..)).collect()
}

pub(crate) fn record(seed: u64, length: usize) -> NewRecord {
    NewRecord {
        destination: DATADOG.into(),
        signal: Signal::Traces,
        body: body(seed, length),
        spans: u32::try_from(seed % 500 + 1).expect("at most 500"),
        received: 1_000_000 + seed,
        death: None,
    }
}

pub(crate) fn dead(seed: u64, length: usize, death: Death) -> NewRecord {
    NewRecord { death: Some(death), ..record(seed, length) }
}

pub(crate) fn death() -> Death {
    Death {
        reason: DeathReason::Rejected,
        code: "INVALID_ARGUMENT".to_owned(),
        message: "the span has no name".to_owned(),
        attempts: 3,
        first: 10,
        last: 20,
        chains: vec!["eip155:1".to_owned(), "eip155:8453".to_owned()],
        operations: vec!["rpc.request".to_owned()],
    }
}

/// Puts and waits.
pub(crate) fn put(store: &Store, records: Vec<NewRecord>) -> Result<Vec<RecordId>, NotKept> {
    let (sender, receiver) = channel();
    store.put(records, move |answer| sender.send(answer).expect("the test waits"));
    receiver.recv_timeout(LONG).expect("a put is answered")
}

pub(crate) fn put_one(store: &Store, record: NewRecord) -> RecordId {
    put(store, vec![record]).expect("it is kept")[0]
}

/// Replaces and waits.
pub(crate) fn replace(store: &Store, id: RecordId, parts: Vec<NewRecord>) -> Result<Vec<RecordId>, NotKept> {
    let (sender, receiver) = channel();
    store.replace(id, parts, move |answer| sender.send(answer).expect("the test waits"));
    receiver.recv_timeout(LONG).expect("a replace is answered")
}

/// Reads of one signal and waits.
pub(crate) fn portion(
    store: &Store,
    destination: &str,
    signal: Signal,
    after: Option<RecordId>,
    max_bytes: usize,
) -> Result<Portion, StoreError> {
    let (sender, receiver) = channel();
    let wanted = Wanted { destination: destination.into(), signal, after, until: None, max_bytes };
    store.read(wanted, move |answer| sender.send(answer).expect("the test waits"));
    receiver.recv_timeout(LONG).expect("a read is answered")
}

/// The same of each signal, together in the order in which it was put, and how much of it was damaged.
pub(crate) fn read(
    store: &Store,
    destination: &str,
    after: Option<RecordId>,
    max_bytes: usize,
) -> Result<(Vec<Waiting>, Count), StoreError> {
    let (mut all, mut sum) = (Vec::new(), Count::default());
    for signal in Signal::ALL {
        let Portion { waiting, damaged, .. } = portion(store, destination, signal, after, max_bytes)?;
        all.extend(waiting);
        sum.records += damaged.records;
        sum.spans += damaged.spans;
        sum.requests += damaged.requests;
        sum.bytes += damaged.bytes;
    }
    all.sort_by_key(|record| record.id);
    Ok((all, sum))
}

/// Everything that waits for `destination`, and how much of it was damaged.
pub(crate) fn read_all(store: &Store, destination: &str) -> (Vec<Waiting>, Count) {
    read(store, destination, None, usize::MAX).expect("it can be read")
}

/// The sums of one destination.
pub(crate) fn kept(store: &Store, destination: &str) -> Kept {
    let all = store.kept().expect("sums");
    all.into_iter().find(|(name, _)| name == destination).map(|(_, kept)| kept).unwrap_or_default()
}

/// Waits until `condition` holds.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The sum of so many records of traces.
pub(crate) fn traces<'a>(records: impl IntoIterator<Item = &'a NewRecord>) -> Count {
    let mut count = Count::default();
    for record in records {
        count.records += 1;
        count.spans += u64::from(record.spans);
        count.bytes += record.body.len() as u64;
    }
    count
}
