//! What is put into the store is there, also after it was opened again, until it is finished, and is counted right.

use std::sync::mpsc::channel;

use chainspan::otlp::Signal;
use chainspan::store::{Count, Kept, NewRecord, NotKept, RecordId, Wanted};

use crate::support::*;

/// Bodies from nothing to several pages, waiting and dead, of every signal: after a restart all of it is as it was put.
#[test]
fn everything_is_there_after_it_was_opened_again() {
    let directory = tempfile::tempdir().expect("directory");
    let records: Vec<NewRecord> = vec![
        record(1, 0),
        record(2, 100),
        record(3, 70_000),
        NewRecord { destination: JAEGER.into(), ..record(4, 20_000) },
        NewRecord { signal: Signal::Metrics, spans: 0, ..record(5, 300) },
        NewRecord { signal: Signal::Logs, spans: 0, ..record(6, 300) },
        dead(7, 5_000, death()),
    ];
    let store = open(directory.path());
    let ids = put(&store, records.clone()).expect("kept");
    assert_eq!(ids, (1..=7).map(RecordId).collect::<Vec<_>>());
    let before = store.kept().expect("sums");
    let used = store.status().used_bytes;
    drop(store);

    let store = open(directory.path());
    assert_eq!(store.kept().expect("sums"), before);
    assert_eq!(store.status().used_bytes, used);
    assert!(used >= records.iter().map(|record| record.body.len() as u64).sum());
    let (waiting, damaged) = read_all(&store, DATADOG);
    assert_eq!(damaged, Count::default());
    assert_eq!(waiting.iter().map(|waiting| waiting.id.0).collect::<Vec<_>>(), [1, 2, 3, 5, 6]);
    for waiting in waiting {
        let put = &records[usize::try_from(waiting.id.0).expect("small") - 1];
        assert_eq!(waiting.body, put.body);
        assert_eq!((waiting.signal, waiting.spans, waiting.received), (put.signal, put.spans, put.received));
    }
    let (letter, body) = store.letter(RecordId(7)).expect("readable").expect("there");
    assert_eq!(body, records[6].body);
    assert_eq!(letter.death, death());
    assert_eq!((letter.bytes, letter.spans, letter.received), (5_000, records[6].spans, records[6].received));
    assert!(store.status().set_aside.is_empty());
}

/// The sums say records, spans, requests and bytes per destination, and how old the oldest is.
#[test]
fn the_sums_are_those_of_what_is_kept() {
    let directory = tempfile::tempdir().expect("directory");
    let store = open(directory.path());
    let logs = NewRecord { signal: Signal::Logs, spans: 0, received: 5, ..record(3, 30) };
    let records = [record(1, 10), record(2, 20), logs, dead(4, 40, death())];
    let ids = put(&store, records.to_vec()).expect("kept");
    let waiting = Count { records: 3, requests: 1, bytes: 60, ..traces(&records[..2]) };
    let expected = Kept { waiting, dead: traces(&records[3..]), discarded: Count::default(), oldest: Some(5) };
    assert_eq!(kept(&store, DATADOG), expected);

    store.finish(vec![ids[2]]);
    eventually("the logs are gone", || kept(&store, DATADOG).waiting.requests == 0);
    assert_eq!(kept(&store, DATADOG).waiting, traces(&records[..2]));
    assert_eq!(kept(&store, DATADOG).oldest, Some(1_000_001));
}

/// Many puts from many threads at once: each is answered, with ids of its own.
#[test]
fn puts_that_share_a_transaction_are_all_answered() {
    let directory = tempfile::tempdir().expect("directory");
    let store = open(directory.path());
    let (sender, receiver) = channel();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (store, sender) = (&store, sender.clone());
            scope.spawn(move || {
                for number in 0..50 {
                    let sender = sender.clone();
                    let records = vec![record(thread * 1000 + number, 50), record(thread * 1000 + number + 500, 60)];
                    store.put(records, move |answer| sender.send(answer).expect("the test waits"));
                }
            });
        }
    });
    drop(sender);
    let mut ids: Vec<RecordId> = receiver.iter().flat_map(|answer| answer.expect("kept")).collect();
    ids.sort_unstable();
    assert_eq!(ids, (1..=800).map(RecordId).collect::<Vec<_>>());
    assert_eq!(kept(&store, DATADOG).waiting.records, 800);
}

/// A number is never used again, also when the row that had it is gone and the store was opened again in between.
#[test]
fn an_id_is_never_used_twice() {
    let directory = tempfile::tempdir().expect("directory");
    let store = open(directory.path());
    let ids = put(&store, vec![record(1, 10), record(2, 10), dead(3, 10, death())]).expect("kept");
    store.finish(ids[..2].to_vec());
    store.purge(&Default::default()).expect("purged");
    eventually("all is gone", || kept(&store, DATADOG).waiting.records == 0);
    drop(store);
    let store = open(directory.path());
    assert_eq!(put_one(&store, record(4, 10)), RecordId(4));
}

/// `read` gives the oldest first, no more bytes than asked for but at least one record, and goes on where it is told.
#[test]
fn the_backlog_is_read_oldest_first_in_portions() {
    let directory = tempfile::tempdir().expect("directory");
    let store = open(directory.path());
    let other = NewRecord { destination: JAEGER.into(), ..record(9, 100) };
    put(&store, vec![record(1, 1000), other, record(2, 1000), dead(3, 1000, death()), record(4, 1000)]).expect("kept");
    let ids = |after, bytes| {
        let (waiting, _) = read(&store, DATADOG, after, bytes).expect("read");
        waiting.into_iter().map(|waiting| waiting.id.0).collect::<Vec<_>>()
    };
    assert_eq!(ids(None, 2500), [1, 3]);
    assert_eq!(ids(Some(RecordId(3)), 2500), [5]);
    assert_eq!(ids(None, 0), [1]);
    assert_eq!(ids(Some(RecordId(5)), 2500), [0_i64; 0]);
}

/// Records of several signals: each signal is read by itself, up to where it is told, and the answer says how far that was.
#[test]
fn each_signal_is_read_by_itself() {
    let directory = tempfile::tempdir().expect("directory");
    let store = open(directory.path());
    let log = |seed| NewRecord { signal: Signal::Logs, spans: 0, ..record(seed, 1000) };
    put(&store, vec![log(1), record(2, 1000), log(3), log(4), record(5, 1000), log(6)]).expect("kept");
    let read = |signal, after: Option<i64>, until: Option<i64>, max_bytes| {
        let (sender, receiver) = channel();
        let (after, until) = (after.map(RecordId), until.map(RecordId));
        let wanted = Wanted { destination: DATADOG.into(), signal, after, until, max_bytes };
        store.read(wanted, move |answer| sender.send(answer).expect("the test waits"));
        let portion = receiver.recv().expect("answered").expect("read");
        assert_eq!(portion.damaged, Default::default());
        (portion.waiting.iter().map(|waiting| waiting.id.0).collect::<Vec<_>>(), portion.seen.map(|id| id.0))
    };
    assert_eq!(read(Signal::Traces, None, None, 9_000), (vec![2, 5], Some(6)));
    assert_eq!(read(Signal::Traces, None, None, 1_000), (vec![2], Some(4)));
    assert_eq!(read(Signal::Logs, Some(1), Some(4), 9_000), (vec![3, 4], Some(4)));
    assert_eq!(read(Signal::Metrics, None, None, 9_000), (vec![], Some(6)));
    assert_eq!(read(Signal::Logs, Some(6), None, 9_000), (vec![], None));
}

/// What stands in the place of a record takes it whole: the record is gone, what is left of it and its letters are there.
#[test]
fn a_record_is_replaced_by_its_parts() {
    let directory = tempfile::tempdir().expect("directory");
    let store = open(directory.path());
    let id = put_one(&store, record(1, 1000));
    let parts = [record(2, 400), dead(3, 300, death())];
    replace(&store, id, parts.to_vec()).expect("replaced");
    drop(store);
    let store = open(directory.path());
    assert_eq!(kept(&store, DATADOG).waiting, traces(&parts[..1]));
    assert_eq!(kept(&store, DATADOG).dead, traces(&parts[1..]));
    assert_eq!(read_all(&store, DATADOG).0[0].body, parts[0].body);
}

/// Closing writes what was put before, and refuses what comes after.
#[test]
fn a_closed_store_has_written_everything_and_takes_nothing() {
    let directory = tempfile::tempdir().expect("directory");
    let store = open(directory.path());
    let (sender, receiver) = channel();
    for seed in 0..20 {
        let sender = sender.clone();
        store.put(vec![record(seed, 10_000)], move |answer| sender.send(answer).expect("the test waits"));
    }
    drop(sender);
    store.close();
    assert_eq!(receiver.iter().filter(Result::is_ok).count(), 20);
    assert_eq!(put(&store, vec![record(1, 1)]), Err(NotKept::Closed));
    assert_eq!(store.status().refusing, Some(NotKept::Closed));
    read(&store, DATADOG, None, 1).expect_err("closed");
    store.letters(&Default::default()).expect_err("closed");
    // The directory is free although `store` still lives.
    assert_eq!(kept(&open(directory.path()), DATADOG).waiting.records, 20);
}

/// After an outage the file gives its pages back.
#[test]
fn the_file_shrinks_when_it_is_empty() {
    let directory = tempfile::tempdir().expect("directory");
    let store = open(directory.path());
    let size = || {
        let length = |name: &str| std::fs::metadata(directory.path().join(name)).map_or(0, |found| found.len());
        length("spill.db") + length("spill.db-wal")
    };
    let ids = put(&store, (0..40).map(|seed| record(seed, 500_000)).collect()).expect("kept");
    assert!(size() > 20_000_000);
    store.finish(ids);
    eventually("the file is small again", || size() < 1_000_000);
}
