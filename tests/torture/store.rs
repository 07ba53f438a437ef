//! The store alone on a full disk, which is where it must still be able to write that something was delivered.

use std::path::Path;
use std::sync::mpsc::channel;
use std::time::Duration;

use chainspan::otlp::Signal;
use chainspan::store::{NewRecord, NotKept, RecordId, Store, StoreSettings};
use chainspan_testing::torture::tmpfs::Tmpfs;

fn open(directory: &Path) -> Store {
    let settings = StoreSettings { directory: directory.to_owned(), max_bytes: 1 << 40, min_free_bytes: 0 };
    Store::open(settings).expect("a store can be opened on a full disk")
}

fn put(store: &Store, bytes: usize) -> Result<Vec<RecordId>, NotKept> {
    let record = NewRecord {
        destination: "otlp/datadog".into(),
        signal: Signal::Traces,
        body: vec![7; bytes].into(),
        spans: 1,
        received: 1,
        death: None,
    };
    let (answer, answered) = channel();
    store.put(vec![record], move |result| _ = answer.send(result));
    answered.recv().expect("every put is answered")
}

fn waiting(store: &Store) -> u64 {
    store.kept().expect("readable").iter().map(|(_, kept)| kept.waiting.records).sum()
}

/// Small and large records until the disk is full, then all are delivered, again and again, with a restart in the full state:
/// the store can always be opened, forgets what was delivered, and takes records again.
#[test]
fn a_store_that_filled_its_disk_can_be_opened_emptied_and_filled_again() {
    let Some(tmpfs) = Tmpfs::mount() else { return };
    for (round, bytes) in [700, 5_000, 90_000, 1_000, 200_000].into_iter().enumerate() {
        let store = open(&tmpfs.directory());
        let mut ids = Vec::new();
        // A file of free pages is made smaller step by step, beside those who reconnect.
        let mut refused = 0;
        while refused < 50 {
            match put(&store, bytes) {
                Ok(more) => {
                    ids.extend(more);
                    refused = 0;
                }
                Err(why) => {
                    assert_eq!(why, NotKept::DiskFull, "round {round}");
                    refused += 1;
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
        }
        let kept: usize = ids.len() * bytes;
        assert!(kept > 1_000_000, "round {round}: an eighth of the disk is too little: {kept}");
        store.close();
        drop(store);
        let store = open(&tmpfs.directory());
        assert_eq!(waiting(&store), ids.len() as u64, "round {round}");
        store.finish(ids);
        store.close();
        drop(store);
        assert_eq!(waiting(&open(&tmpfs.directory())), 0, "round {round}: what was delivered is forgotten");
    }
}
