//! Dead letters: found by every filter, sent again, given up and counted.

use chainspan::otlp::Signal;
use chainspan::store::{Count, Death, DeathReason, Filter, NewRecord, RecordId, Store};

use crate::support::*;

/// Four letters that differ in everything a filter looks at, and one record that waits.
fn mixed(store: &Store) -> Vec<NewRecord> {
    let letter = |seed, reason, chains: &[&str], last| {
        let chains = chains.iter().map(|&chain| chain.to_owned()).collect();
        dead(seed, 100, Death { reason, chains, last, ..death() })
    };
    let records = vec![
        letter(1, DeathReason::Rejected, &["eip155:1"], 10),
        record(2, 100),
        NewRecord { destination: JAEGER.into(), ..letter(3, DeathReason::TooLarge, &["eip155:1", "eip155:10"], 20) },
        letter(4, DeathReason::Expired, &["eip155:10"], 30),
        NewRecord { signal: Signal::Logs, spans: 0, ..letter(5, DeathReason::Rejected, &[], 40) },
    ];
    put(store, records.clone()).expect("kept");
    records
}

fn ids(store: &Store, filter: &Filter) -> Vec<i64> {
    store.letters(filter).expect("letters").into_iter().map(|letter| letter.id.0).collect()
}

/// Each part of a filter chooses by itself, and all that are given must hold.
#[test]
fn every_filter_finds_what_it_means() {
    let directory = tempfile::tempdir().expect("directory");
    let store = open(directory.path());
    mixed(&store);
    let all = Filter::default();
    let chain = |chain: &str| Filter { chain: Some(chain.to_owned()), ..all.clone() };
    let cases = [
        (all.clone(), vec![1, 3, 4, 5]),
        (Filter { ids: vec![RecordId(4), RecordId(2), RecordId(1), RecordId(99)], ..all.clone() }, vec![1, 4]),
        (chain("eip155:1"), vec![1, 3]),
        (chain("eip155:10"), vec![3, 4]),
        (chain("eip155"), vec![]),
        (Filter { reason: Some(DeathReason::Rejected), ..all.clone() }, vec![1, 5]),
        (Filter { reason: Some(DeathReason::CorruptRecord), ..all.clone() }, vec![]),
        (Filter { destination: Some(JAEGER.to_owned()), ..all.clone() }, vec![3]),
        (Filter { since: Some(20), ..all.clone() }, vec![3, 4, 5]),
        (Filter { until: Some(20), ..all.clone() }, vec![1]),
        (Filter { since: Some(20), until: Some(40), ..all.clone() }, vec![3, 4]),
        (Filter { limit: Some(2), ..all.clone() }, vec![1, 3]),
        (Filter { limit: Some(0), ..all.clone() }, vec![]),
        (Filter { limit: Some(1), ..chain("eip155:10") }, vec![3]),
        (Filter { ids: vec![RecordId(5), RecordId(4)], limit: Some(1), ..all.clone() }, vec![4]),
        (Filter { destination: Some(DATADOG.to_owned()), ..chain("eip155:1") }, vec![1]),
    ];
    for (filter, expected) in cases {
        assert_eq!(ids(&store, &filter), expected, "{filter:?}");
    }
}

/// A letter is shown with its body; what waits, or is not there, is no letter.
#[test]
fn a_letter_is_shown_with_its_body() {
    let directory = tempfile::tempdir().expect("directory");
    let store = open(directory.path());
    let records = mixed(&store);
    let (letter, body) = store.letter(RecordId(3)).expect("readable").expect("there");
    assert_eq!(body, records[2].body);
    assert_eq!(Some(letter.death), records[2].death);
    assert_eq!((letter.destination.as_str(), letter.signal, letter.bytes), (JAEGER, Signal::Traces, 100));
    assert!(store.letter(RecordId(2)).expect("readable").is_none());
    assert!(store.letter(RecordId(99)).expect("readable").is_none());
}

/// Revived letters wait under the same id, with the same body, also after a restart, and are no letters any more.
#[test]
fn revived_letters_wait_again_under_their_ids() {
    let directory = tempfile::tempdir().expect("directory");
    let store = open(directory.path());
    let records = mixed(&store);
    let filter = Filter { chain: Some("eip155:10".to_owned()), ..Filter::default() };
    let sums = store.revive(&filter).expect("revived");
    assert_eq!(sums, [(DATADOG.to_owned(), traces([&records[3]])), (JAEGER.to_owned(), traces([&records[2]]))]);
    assert_eq!(store.revive(&filter).expect("revived"), []);
    drop(store);
    let store = open(directory.path());
    assert_eq!(ids(&store, &Filter::default()), [1, 5]);
    let (waiting, damaged) = read_all(&store, DATADOG);
    assert_eq!(damaged, Count::default());
    assert_eq!(waiting.iter().map(|waiting| waiting.id.0).collect::<Vec<_>>(), [2, 4]);
    assert_eq!(waiting[1].body, records[3].body);
    assert_eq!(kept(&store, DATADOG).waiting, traces([&records[1], &records[3]]));
    // It can die again.
    replace(&store, RecordId(4), vec![records[3].clone()]).expect("replaced");
    assert_eq!(kept(&store, DATADOG).dead.records, 3);
}

/// What is purged is gone and stays in the sums as discarded, across restarts and further purges.
#[test]
fn purged_letters_are_counted_as_discarded() {
    let directory = tempfile::tempdir().expect("directory");
    let store = open(directory.path());
    let records = mixed(&store);
    let first = Filter { reason: Some(DeathReason::Expired), ..Filter::default() };
    assert_eq!(store.purge(&first).expect("purged"), [(DATADOG.to_owned(), traces([&records[3]]))]);
    let limited = Filter { destination: Some(DATADOG.to_owned()), limit: Some(1), ..Filter::default() };
    assert_eq!(store.purge(&limited).expect("purged"), [(DATADOG.to_owned(), traces([&records[0]]))]);
    drop(store);
    let store = open(directory.path());
    let mut sums = store.purge(&Filter::default()).expect("purged");
    assert_eq!(sums.pop(), Some((JAEGER.to_owned(), traces([&records[2]]))));
    assert_eq!(sums, [(DATADOG.to_owned(), Count { records: 1, spans: 0, requests: 1, bytes: 100 })]);
    drop(store);
    let store = open(directory.path());
    let discarded = Count { records: 3, requests: 1, bytes: 0, ..traces([&records[0], &records[3]]) };
    assert_eq!(kept(&store, DATADOG).discarded, discarded);
    assert_eq!(kept(&store, JAEGER).discarded, Count { bytes: 0, ..traces([&records[2]]) });
    assert_eq!(kept(&store, DATADOG).dead, Count::default());
    assert_eq!(ids(&store, &Filter::default()), [0_i64; 0]);
}

/// `finish` speaks of what was delivered: it takes no letter away.
#[test]
fn a_letter_is_not_finished() {
    let directory = tempfile::tempdir().expect("directory");
    let store = open(directory.path());
    mixed(&store);
    store.finish(vec![RecordId(1), RecordId(2), RecordId(77)]);
    eventually("the one that waited is gone", || kept(&store, DATADOG).waiting.records == 0);
    assert_eq!(ids(&store, &Filter::default()), [1, 3, 4, 5]);
}
