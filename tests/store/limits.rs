//! Limits and faults: nothing is lost, nothing hangs, and the store recovers by itself.
//!
//! Faults are made by what the system offers to an ordinary user: a limit on the size of files (`RLIMIT_FSIZE`), which makes
//! every write beyond it fail. The limit holds for a whole process, so the test starts itself again under it.

use std::path::Path;
use std::process::Command;

use crate::support::*;
use chainspan::store::{Filter, NotKept, Store, StoreSettings};

fn limited(directory: &Path, max_bytes: u64, min_free_bytes: u64) -> Store {
    Store::open(StoreSettings { directory: directory.to_owned(), max_bytes, min_free_bytes }).expect("open")
}

/// A put that does not fit is refused as a whole; the status says so until there is room again, and then it fits.
#[test]
fn a_full_store_refuses_and_heals_when_room_is_made() {
    let directory = tempfile::tempdir().expect("directory");
    let store = limited(directory.path(), 100_000, 0);
    let first = put_one(&store, record(1, 60_000));
    let ids = put(&store, vec![record(2, 10_000), record(3, 60_000)]);
    assert_eq!(ids, Err(NotKept::Full));
    assert_eq!(kept(&store, DATADOG).waiting.records, 1, "half of a put was kept");
    assert_eq!(store.status().refusing, Some(NotKept::Full));
    // What is smaller still fits.
    put_one(&store, record(4, 10_000));
    assert_eq!(store.status().refusing, Some(NotKept::Full));
    store.finish(vec![first]);
    eventually("there is room again", || store.status().refusing.is_none());
    put(&store, vec![record(2, 10_000), record(3, 60_000)]).expect("it fits now");
    assert!(store.status().used_bytes <= 100_000);
}

/// What takes data away, moves it or names it anew works in a full store: it is how it gets empty.
#[test]
fn a_full_store_can_still_be_emptied() {
    let directory = tempfile::tempdir().expect("directory");
    let store = limited(directory.path(), 10_000, 0);
    let id = put_one(&store, record(1, 9_000));
    assert_eq!(put(&store, vec![record(2, 9_000)]), Err(NotKept::Full));
    replace(&store, id, vec![record(3, 9_000), dead(4, 9_000, death())]).expect("not held against the limit");
    assert_eq!(store.revive(&Filter::default()).expect("revived").len(), 1);
    let ids = read_all(&store, DATADOG).0.iter().map(|waiting| waiting.id).collect();
    store.finish(ids);
    eventually("it is empty", || store.status().used_bytes == 0);
    put_one(&store, record(2, 9_000));
}

/// The budget counts what was in the store before it was opened, and dead letters too.
#[test]
fn what_was_there_before_counts() {
    let directory = tempfile::tempdir().expect("directory");
    put(&open(directory.path()), vec![record(1, 40_000), dead(2, 40_000, death())]).expect("kept");
    let store = limited(directory.path(), 100_000, 0);
    assert_eq!(put(&store, vec![record(3, 40_000)]), Err(NotKept::Full));
    store.purge(&Filter::default()).expect("purged");
    put_one(&store, record(3, 40_000));
}

/// A disk with less free than the floor takes nothing, and that is known before anybody tries.
#[test]
fn the_floor_of_free_disk_is_kept() {
    let directory = tempfile::tempdir().expect("directory");
    let store = limited(directory.path(), 1 << 30, u64::MAX);
    assert_eq!(store.status().refusing, Some(NotKept::DiskFull));
    assert_eq!(put(&store, vec![record(1, 10)]), Err(NotKept::DiskFull));
    assert_eq!(store.kept().expect("sums"), []);
    drop(store);
    let store = limited(directory.path(), 1 << 30, 1);
    assert_eq!(store.status().refusing, None);
    assert!(store.status().free_bytes > 1);
    put_one(&store, record(1, 10));
}

/// A small disk of its own that gets full: puts are refused, what was answered stays, and it goes on when there is room.
/// Needs the right to mount; says so where it cannot run.
#[test]
fn a_disk_that_is_full_loses_nothing_and_heals() {
    let directory = tempfile::tempdir().expect("directory");
    let mount = ["-t", "tmpfs", "-o", "size=4m", "tmpfs"];
    let mounted = Command::new("mount").args(mount).arg(directory.path()).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        println!("skipped: a file system cannot be mounted here");
        return;
    }
    let outcome = std::panic::catch_unwind(|| full_disk(directory.path()));
    let unmount = |options: &[&str]| {
        let output = Command::new("umount").args(options).arg(directory.path()).output().expect("umount");
        output.status.success()
    };
    if let Err(panic) = outcome {
        unmount(&["--lazy"]);
        std::panic::resume_unwind(panic);
    }
    // Not at once: a program that another test starts has a copy of what is open here until it has become that program.
    eventually("nothing is open there any more", || unmount(&[]));
}

fn full_disk(directory: &Path) {
    let store = limited(directory, 1 << 30, 0);
    let mut ids = Vec::new();
    let refused = (0..100).find_map(|seed| match put(&store, vec![record(seed, 200_000)]) {
        Ok(put) => {
            ids.extend(put);
            None
        }
        Err(why) => Some(why),
    });
    assert_eq!(refused, Some(NotKept::DiskFull));
    assert!(!ids.is_empty());
    assert_eq!(store.status().refusing, Some(NotKept::DiskFull));
    let (waiting, damaged) = read_all(&store, DATADOG);
    assert_eq!(waiting.iter().map(|waiting| waiting.id).collect::<Vec<_>>(), ids);
    assert_eq!(damaged.records, 0);
    // Somebody makes room: a destination is back. Nobody asks for anything in the meantime.
    store.finish(ids[1..].to_vec());
    eventually("it takes something again", || put(&store, vec![record(500, 1000)]).is_ok());
    eventually("the status says so", || store.status().refusing.is_none());
    drop(store);
    let (waiting, _) = read_all(&limited(directory, 1 << 30, 0), DATADOG);
    assert!(waiting.iter().any(|waiting| waiting.id == ids[0]));
}

/// Writes begin to fail with an I/O error, and later work again: no lost answer, no crash, and it recovers by itself.
#[test]
fn failing_writes_lose_nothing_and_it_heals() {
    if !Command::new("prlimit").arg("--version").output().is_ok_and(|output| output.status.success()) {
        println!("skipped: there is no prlimit here");
        return;
    }
    let name = "limits::under_a_limit_on_the_size_of_files";
    let directory = tempfile::tempdir().expect("directory");
    // The signal that comes with such an error ends a process that does not ignore it.
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().expect("this program"))
        .args([name, "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env("CHAINSPAN_TEST_STORE", directory.path())
        .output()
        .expect("start this program again");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "{text}");
    // And all of it is there for the next process.
    let (waiting, damaged) = read_all(&open(directory.path()), DATADOG);
    assert_eq!((waiting.len(), damaged.records), (2, 0));
}

/// The other half of `failing_writes_lose_nothing_and_it_heals`.
#[test]
#[ignore = "started by another test, in a process of its own"]
fn under_a_limit_on_the_size_of_files() {
    let Ok(directory) = std::env::var("CHAINSPAN_TEST_STORE") else { return };
    let limit = |bytes: &str| {
        let pid = std::process::id().to_string();
        let set = Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={bytes}:")]).status();
        assert!(set.expect("prlimit").success());
    };
    let store = open(Path::new(&directory));
    let first = put_one(&store, record(1, 50_000));
    limit("200000");
    let answers: Vec<_> = (0..5).map(|seed| put(&store, vec![record(seed, 300_000)])).collect();
    assert!(answers.iter().all(|answer| matches!(answer, Err(NotKept::Failed(_) | NotKept::DiskFull))), "{answers:?}");
    assert!(store.status().refusing.is_some());
    assert_eq!(kept(&store, DATADOG).waiting.records, 1);
    limit("unlimited");
    eventually("it says that it works again", || store.status().refusing.is_none());
    let second = put_one(&store, record(2, 300_000));
    let ids: Vec<_> = read_all(&store, DATADOG).0.iter().map(|waiting| waiting.id).collect();
    assert_eq!(ids, [first, second]);
}
