//! Opening: who may, what others see, newer files, and what a dying process leaves.

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

use chainspan::store::{Count, Filter, RecordId, Store};
use rusqlite::Connection;

use crate::support::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

/// A second store on the same directory is refused and told which and what to do; when the first is gone it works.
#[test]
fn a_second_owner_of_the_directory_is_refused() {
    let directory = tempfile::tempdir().expect("directory");
    let store = open(directory.path());
    let error = Store::open(settings(directory.path())).expect_err("it is taken").to_string();
    assert!(error.contains(&directory.path().display().to_string()), "{error}");
    assert!(error.contains("in use by another chainspan") && error.contains("file_storage.directory"), "{error}");
    put_one(&store, record(1, 10));
    drop(store);
    assert_eq!(kept(&open(directory.path()), DATADOG).waiting.records, 1);
}

/// Nobody else can look in: neither into the directory nor into any of the files.
#[test]
fn the_files_are_private() {
    let parent = tempfile::tempdir().expect("directory");
    let directory = parent.path().join("a/b");
    let store = open(&directory);
    put_one(&store, record(1, 10));
    assert_eq!(mode(&directory), 0o700);
    for name in ["spill.db", "spill.db-wal", "spill.db-shm", "spill.lock"] {
        assert_eq!(mode(&directory.join(name)), 0o600, "{name}");
    }
    drop(store);
    // Somebody opened them up in between.
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).expect("chmod");
    fs::set_permissions(directory.join("spill.db"), fs::Permissions::from_mode(0o644)).expect("chmod");
    let _store = open(&directory);
    assert_eq!((mode(&directory), mode(&directory.join("spill.db"))), (0o700, 0o600));
}

/// A directory that holds other things too is not closed to their owners.
#[test]
fn a_shared_directory_is_left_as_it_is() {
    let directory = tempfile::tempdir().expect("directory");
    fs::write(directory.path().join("notes.txt"), "mine").expect("write");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
    let _store = open(directory.path());
    assert_eq!(mode(directory.path()), 0o755);
    assert_eq!(mode(&directory.path().join("spill.db")), 0o600);
}

/// A directory that cannot be used is an error that names it.
#[test]
fn a_directory_that_is_a_file_is_refused() {
    let parent = tempfile::tempdir().expect("directory");
    let file = parent.path().join("file");
    fs::write(&file, "").expect("write");
    let error = Store::open(settings(&file)).expect_err("not a directory").to_string();
    assert!(error.contains(&file.display().to_string()), "{error}");
}

/// A store of a version that is not known is refused with words, and not touched.
#[test]
fn a_newer_store_is_refused_and_not_touched() {
    let directory = tempfile::tempdir().expect("directory");
    put_one(&open(directory.path()), record(1, 10));
    let file = directory.path().join("spill.db");
    {
        let connection = Connection::open(&file).expect("open");
        connection
            .execute_batch("PRAGMA user_version = 3; UPDATE meta SET value = 3 WHERE name = 'version'")
            .expect("from the future");
    }
    let before = fs::read(&file).expect("read");
    let error = Store::open(settings(directory.path())).expect_err("too new").to_string();
    assert!(error.contains("version 3") && error.contains("start the newer chainspan again"), "{error}");
    assert_eq!(fs::read(&file).expect("read"), before);
    assert!(!directory.path().join("spill.db-wal").exists());
}

/// A file that was never a store is set aside, not overwritten and not trusted.
#[test]
fn a_file_that_is_no_store_is_set_aside() {
    let directory = tempfile::tempdir().expect("directory");
    let file = directory.path().join("spill.db");
    fs::write(&file, [b'x'; 5000]).expect("write");
    let store = open(directory.path());
    let aside = store.status().set_aside;
    assert_eq!(aside.len(), 1);
    assert!(aside[0].file_name().expect("a name").to_string_lossy().starts_with("spill.db.damaged-"));
    assert_eq!(fs::read(&aside[0]).expect("read"), [b'x'; 5000]);
    assert_eq!(store.kept().expect("sums"), []);
    put_one(&store, record(1, 10));
}

/// Half of the file is zeros: the records of the other half are there.
#[test]
fn half_a_file_gives_its_half_of_the_records() {
    let directory = tempfile::tempdir().expect("directory");
    put(&open(directory.path()), (0..100).map(|seed| record(seed, 40_000)).collect()).expect("kept");
    let file = directory.path().join("spill.db");
    let mut bytes = fs::read(&file).expect("read");
    let half = bytes.len() / 2;
    bytes[..half].fill(0);
    fs::write(&file, bytes).expect("write");
    let store = open(directory.path());
    let (waiting, damaged) = read_all(&store, DATADOG);
    assert_eq!(damaged, Count::default());
    assert!(waiting.len() >= 45, "{}", waiting.len());
    for waiting in &waiting {
        assert_eq!(waiting.body, body(waiting.id.0.unsigned_abs() - 1, 40_000));
    }
    assert_eq!(store.status().set_aside.len(), 1);
}

/// A process died while it replaced a damaged file: before the new one was complete, it begins anew; afterwards, it goes on.
#[test]
fn a_replacement_that_was_interrupted_is_finished() {
    let directory = tempfile::tempdir().expect("directory");
    let at = |name: &str| directory.path().join(name);
    put_one(&open(directory.path()), record(1, 10));
    // Not complete.
    fs::write(at("spill.db.new"), "a beginning").expect("write");
    assert_eq!(kept(&open(directory.path()), DATADOG).waiting.records, 1);
    // Complete, and the log of the damaged file was moved already, or the file too.
    for moved in [false, true] {
        fs::copy(at("spill.db"), at("spill.db.ready")).expect("copy");
        if moved {
            fs::remove_file(at("spill.db")).expect("moved");
        } else {
            fs::write(at("spill.db"), "damaged").expect("write");
        }
        let store = open(directory.path());
        assert_eq!(store.status().set_aside.len(), usize::from(!moved));
        assert_eq!(kept(&store, DATADOG).waiting.records, 1);
        assert!(!at("spill.db.ready").exists());
    }
}

/// The file is damaged while it is open: it is replaced under way, what is whole is delivered, and new records are taken.
#[test]
fn a_file_that_is_damaged_while_it_is_open_is_replaced() {
    let directory = tempfile::tempdir().expect("directory");
    put(&open(directory.path()), (0..100).map(|seed| record(seed, 40_000)).collect()).expect("kept");
    let store = open(directory.path());
    let file = fs::OpenOptions::new().write(true).open(directory.path().join("spill.db")).expect("open");
    let length = file.metadata().expect("metadata").len();
    file.write_all_at(&vec![0xa5; 500_000], length / 2).expect("damage");
    let (waiting, _) = read_all(&store, DATADOG);
    assert!((70..100).contains(&waiting.len()), "{}", waiting.len());
    for waiting in &waiting {
        assert_eq!(waiting.body, body(waiting.id.0.unsigned_abs() - 1, 40_000));
    }
    // Whatever cannot be told apart by a checksum of its own was found by SQLite.
    let letters = store.letters(&Filter::default()).expect("letters").len() as u64;
    assert!(letters > 0 || !store.status().set_aside.is_empty());
    let sums = kept(&store, DATADOG);
    assert_eq!((sums.waiting.records, sums.dead.records), (waiting.len() as u64, letters));
    assert_eq!(put_one(&store, record(7, 7)), RecordId(101));
    store.finish(waiting.iter().map(|waiting| waiting.id).collect());
    eventually("all but the new one is delivered", || kept(&store, DATADOG).waiting.records == 1);
}
