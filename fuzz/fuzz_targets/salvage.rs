//! A store with whatever damage: taking over what can be read ends, and its result is a store in order.
//!
//! The input is a list of patches of four bytes, put over a store with a bit of everything in it: flip bits of a byte, fill a
//! sector, or cut the file or its log off.
#![no_main]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, mpsc};

use chainspan::fuzzing::salvage;
use chainspan::otlp::Signal;
use chainspan::store::{Death, DeathReason, Filter, NewRecord, Store, StoreSettings};
use libfuzzer_sys::fuzz_target;

const FILES: [&str; 2] = ["spill.db", "spill.db-wal"];

/// The bytes of the two files while a store is open, and where the damaged ones are put.
static STORE: LazyLock<([Vec<u8>; 2], PathBuf)> = LazyLock::new(|| {
    let memory = if Path::new("/dev/shm").is_dir() { PathBuf::from("/dev/shm") } else { std::env::temp_dir() };
    let directory = memory.join(format!("chainspan-fuzz-salvage-{}", std::process::id()));
    fs::create_dir_all(&directory).expect("a directory for the store");
    let settings = StoreSettings { directory: directory.clone(), max_bytes: 1 << 30, min_free_bytes: 0 };
    // Closed once, so that there is something in the file as well as in its log.
    let store = Store::open(settings.clone()).expect("a new store");
    [record(40, false), record(900, false), record(40_000, false)].into_iter().for_each(|new| put(&store, new));
    store.close();
    let store = Store::open(settings).expect("the same store");
    [record(300, true), record(17_000, false), record(100, true)].into_iter().for_each(|new| put(&store, new));
    store.purge(&Filter { limit: Some(1), ..Filter::default() }).expect("purged");
    let files = FILES.map(|name| fs::read(directory.join(name)).expect("both files are there while it is open"));
    drop(store);
    (files, directory)
});

fn record(length: usize, dead: bool) -> NewRecord {
    let death = Death {
        reason: DeathReason::Rejected,
        code: "INVALID_ARGUMENT".to_owned(),
        message: "the span has no name".to_owned(),
        attempts: 1,
        first: 10,
        last: 20,
        chains: vec!["8453".to_owned()],
        operations: vec!["task".to_owned()],
    };
    NewRecord {
        destination: "otlp/datadog".into(),
        signal: Signal::Traces,
        body: (0..length).map(|at| (at % 251) as u8).collect(),
        spans: 7,
        received: 1_000_000,
        death: dead.then_some(death),
    }
}

fn put(store: &Store, record: NewRecord) {
    let (done, kept) = mpsc::channel();
    store.put(vec![record], move |answer| done.send(answer).expect("this thread waits"));
    kept.recv().expect("an answer").expect("kept");
}

fuzz_target!(|patches: &[u8]| {
    let (files, directory) = &*STORE;
    let mut files = files.clone();
    let mut rest = patches;
    while let Some((&[kind, low, high, value], after)) = rest.split_first_chunk() {
        rest = after;
        let bytes = &mut files[usize::from(kind & 1)];
        let at = usize::from(kind >> 3) << 16 | usize::from(high) << 8 | usize::from(low);
        let at = at % bytes.len();
        match kind >> 1 & 3 {
            0 | 1 => bytes[at] ^= value,
            2 => bytes.iter_mut().skip(at).take(512).for_each(|byte| *byte = value),
            _ => bytes.truncate(at + 1),
        }
    }
    for (name, bytes) in FILES.iter().zip(&files) {
        fs::write(directory.join(name), bytes).expect("written");
    }
    let taken = salvage(directory);
    assert!(taken.is_ok(), "{taken:?}");
});
