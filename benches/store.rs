//! What the spill store costs: accepted spans per second with fsync, the drain, opening, and a salvage.
//!
//! `cargo bench --bench store`. The disk's own fsync rate comes first, in the same run: without it no other figure says
//! anything. `CHAINSPAN_BENCH_MIB` is the size of the store that is opened (default 1024), `CHAINSPAN_BENCH_SECONDS` how long
//! the loops run (default 5), `CHAINSPAN_BENCH_DIR` where (default: below `target`).

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chainspan::otlp::Signal;
use chainspan::store::{NewRecord, NotKept, RecordId, Store, StoreSettings, Wanted};

/// A request of the usual size: 512 spans of 440 bytes.
const SPANS: u32 = 512;
const BODY: usize = 225_000;
const PUTTERS: u64 = 8;
const DESTINATION: &str = "otlp/datadog";
/// What `delivery` asks for at a time.
const PORTION: usize = 4 << 20;

fn main() {
    let root =
        std::env::var("CHAINSPAN_BENCH_DIR").map_or_else(|_| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    let directory = tempfile::tempdir_in(root).expect("a directory to work in");
    let seconds = Duration::from_secs(number("CHAINSPAN_BENCH_SECONDS", 5));
    let mib = number("CHAINSPAN_BENCH_MIB", 1024);

    println!("disk: {:.0} fsync/s (4 KiB and fdatasync, one after the other)", fsyncs(directory.path(), seconds));
    throughput(&directory.path().join("throughput"), seconds);
    large(&directory.path().join("large"), mib);
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

fn fsyncs(directory: &Path, time: Duration) -> f64 {
    let path = directory.join("fsync");
    let file = OpenOptions::new().create(true).truncate(true).write(true).open(&path).expect("create");
    let (start, mut count) = (Instant::now(), 0_u32);
    while start.elapsed() < time {
        file.write_all_at(&[1; 4096], u64::from(count) * 4096).expect("write");
        file.sync_data().expect("fsync");
        count += 1;
    }
    let rate = f64::from(count) / start.elapsed().as_secs_f64();
    fs::remove_file(path).expect("remove");
    rate
}

fn record(body: &Bytes) -> NewRecord {
    NewRecord {
        destination: DESTINATION.into(),
        signal: Signal::Traces,
        body: body.clone(),
        spans: SPANS,
        received: 1,
        death: None,
    }
}

/// Bytes that do not compress, whoever may try.
fn body() -> Bytes {
    let mut random = fastrand::Rng::with_seed(7);
    (0..BODY).map(|_| random.u8(..)).collect()
}

fn open(directory: &Path) -> Store {
    let settings = StoreSettings { directory: directory.to_owned(), max_bytes: 1 << 40, min_free_bytes: 0 };
    Store::open(settings).expect("open")
}

fn put(store: &Store, records: Vec<NewRecord>) -> Result<Vec<RecordId>, NotKept> {
    let (sender, receiver) = channel();
    store.put(records, move |answer| sender.send(answer).expect("waits"));
    receiver.recv().expect("answered")
}

/// Gateways that put and wait, side by side; then one destination that reads and finishes.
fn throughput(directory: &Path, time: Duration) {
    let store = open(directory);
    let body = body();
    let start = Instant::now();
    let mut waits: Vec<Duration> = std::thread::scope(|scope| {
        let putters: Vec<_> = (0..PUTTERS)
            .map(|_| {
                scope.spawn(|| {
                    let mut waits = Vec::new();
                    while start.elapsed() < time {
                        let begin = Instant::now();
                        put(&store, vec![record(&body)]).expect("kept");
                        waits.push(begin.elapsed());
                    }
                    waits
                })
            })
            .collect();
        putters.into_iter().flat_map(|putter| putter.join().expect("no panic")).collect()
    });
    let elapsed = start.elapsed();
    waits.sort_unstable();
    let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize];
    println!(
        "put: {:.0} spans/s accepted with fsync ({:.0} requests/s of {SPANS} spans, {PUTTERS} at a time); \
         a put takes {:.1?} (median), {:.1?} (p99), {:.1?} (longest)",
        waits.len() as f64 * f64::from(SPANS) / elapsed.as_secs_f64(),
        waits.len() as f64 / elapsed.as_secs_f64(),
        at(0.5),
        at(0.99),
        at(1.0),
    );

    let (start, mut records, mut after) = (Instant::now(), 0, None);
    loop {
        let (sender, receiver) = channel();
        let (destination, signal) = (DESTINATION.into(), Signal::Traces);
        let wanted = Wanted { destination, signal, after, until: None, max_bytes: PORTION };
        store.read(wanted, move |answer| sender.send(answer).expect("waits"));
        let waiting = receiver.recv().expect("answered").expect("read").waiting;
        let Some(last) = waiting.last() else { break };
        after = Some(last.id);
        records += waiting.len();
        store.finish(waiting.iter().map(|waiting| waiting.id).collect());
    }
    while store.kept().expect("sums").iter().any(|(_, kept)| kept.waiting.records > 0) {
        std::thread::sleep(Duration::from_millis(1));
    }
    let elapsed = start.elapsed();
    println!(
        "drain: {:.0} spans/s read and finished ({:.0} MiB/s)",
        records as f64 * f64::from(SPANS) / elapsed.as_secs_f64(),
        (records * BODY) as f64 / f64::from(1 << 20) / elapsed.as_secs_f64(),
    );
    drop(store);
    fs::remove_dir_all(directory).expect("remove");
}

/// A full store: opened as it is, and after its header was damaged.
fn large(directory: &Path, mib: u64) {
    let body = body();
    let records = mib * (1 << 20) / BODY as u64;
    {
        let store = open(directory);
        for portion in 0..records.div_ceil(16) {
            let count = (records - portion * 16).min(16);
            put(&store, (0..count).map(|_| record(&body)).collect()).expect("kept");
        }
    }
    let file = directory.join("spill.db");
    println!("store: {records} records, {} MiB in the file for {mib} MiB of bodies", size(&file) >> 20);
    for what in ["opened after it was just written", "opened again"] {
        let (before, start) = (peak(), Instant::now());
        let store = open(directory);
        println!("{what}: {:.2?}, peak memory {} MiB before and {} MiB after", start.elapsed(), before, peak());
        assert!(store.status().set_aside.is_empty());
    }
    let damaged = OpenOptions::new().write(true).open(&file).expect("open");
    damaged.write_all_at(&[0xff; 4], 16).expect("damage");
    let (before, start) = (peak(), Instant::now());
    let store = open(directory);
    let elapsed = start.elapsed();
    let kept: u64 = store.kept().expect("sums").iter().map(|(_, kept)| kept.waiting.records).sum();
    println!("salvaged: {elapsed:.2?}, {kept} records, peak memory {before} MiB before and {} MiB after", peak());
    drop(store);
    fs::remove_dir_all(directory).expect("remove");
}

fn size(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |found| found.len())
}

/// The most memory that this process ever had, MiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) >> 10
}
