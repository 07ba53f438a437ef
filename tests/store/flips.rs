//! One damaged byte costs at most the record that holds it, and says so.
//!
//! Every byte of a small store is flipped, one at a time, in its file and in its log. By default those that carry something
//! are taken in small steps and the zeros between them in large ones; `CHAINSPAN_FLIP_STRIDE=1` takes each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::support::*;
use chainspan::store::{Count, DeathReason, Filter, NewRecord, RecordId, Store};
use proptest::prelude::*;

/// Steps through bytes that carry something and through empty space: primes, so that no column of a table is always missed.
const STEP: usize = 53;
const EMPTY_STEP: usize = 2503;

struct Small {
    /// Its files, as they are when nobody has them open.
    files: BTreeMap<String, Vec<u8>>,
    waiting: BTreeMap<RecordId, NewRecord>,
    dead: BTreeMap<RecordId, NewRecord>,
    /// Was purged. An older image of its page may be the best that is left.
    purged: RecordId,
}

/// Mixed sizes, one longer than a page, one letter, two tables with something in them.
fn small(in_log: bool) -> Small {
    let directory = tempfile::tempdir().expect("directory");
    let store = open(directory.path());
    let records = vec![record(1, 40), record(2, 900), record(3, 17_000), record(4, 300), dead(5, 500, death())];
    let extra = dead(6, 100, death());
    // More than one transaction: a log that is damaged in the middle.
    let mut ids = Vec::new();
    for record in records.iter().chain([&extra]) {
        ids.push(put_one(&store, record.clone()));
    }
    store.purge(&Filter { ids: vec![ids[5]], ..Filter::default() }).expect("purged");
    let copy = |directory: &Path| {
        let mut files = BTreeMap::new();
        for name in ["spill.db", "spill.db-wal"] {
            if let Ok(bytes) = std::fs::read(directory.join(name)) {
                files.insert(name.to_owned(), bytes);
            }
        }
        files
    };
    let files = if in_log {
        copy(directory.path())
    } else {
        store.close();
        copy(directory.path())
    };
    assert_eq!(files.contains_key("spill.db-wal"), in_log);
    let mut small = Small { files, waiting: BTreeMap::new(), dead: BTreeMap::new(), purged: ids[5] };
    for (id, record) in ids.into_iter().zip(records) {
        let part = if record.death.is_some() { &mut small.dead } else { &mut small.waiting };
        part.insert(id, record);
    }
    small
}

/// What is wrong after `file` was damaged at `at`, if anything.
fn damage(small: &Small, scratch: &Path, file: &str, at: usize, mask: u8) -> Result<(), String> {
    let directory = tempfile::tempdir_in(scratch).expect("directory");
    for (name, bytes) in &small.files {
        let mut bytes = bytes.clone();
        if name == file {
            bytes[at] ^= mask;
        }
        std::fs::write(directory.path().join(name), bytes).expect("write");
    }
    let store = Store::open(settings(directory.path())).map_err(|error| format!("not opened: {error}"))?;
    let (waiting, damaged) = read(&store, DATADOG, None, usize::MAX).map_err(|error| format!("not read: {error}"))?;
    let letters = || store.letters(&Filter::default()).map_err(|error| format!("no letters: {error}"));
    let mut bodies = BTreeMap::new();
    for letter in letters()? {
        let found = store.letter(letter.id).map_err(|error| error.to_string())?;
        bodies.insert(letter.id, found.ok_or("the letter is gone")?.1);
    }
    // Looking at one shows whether it is damaged.
    let letters = letters()?;

    let mut found = 0;
    for waiting in &waiting {
        match small.waiting.get(&waiting.id) {
            Some(put) if put.body == waiting.body && put.spans == waiting.spans => found += 1,
            other => return Err(format!("{waiting:?} was put as {other:?}")),
        }
    }
    let mut corrupt = 0;
    for letter in &letters {
        if letter.death.reason == DeathReason::CorruptRecord {
            corrupt += 1;
            continue;
        }
        match small.dead.get(&letter.id) {
            Some(put) if put.death.as_ref() == Some(&letter.death) && put.body == bodies[&letter.id] => found += 1,
            None if letter.id == small.purged && !store.status().set_aside.is_empty() => {}
            other => return Err(format!("{letter:?} was put as {other:?}")),
        }
    }
    let all = small.waiting.len() + small.dead.len();
    let lost = all - found;
    let aside = store.status().set_aside;
    let kept = kept(&store, DATADOG);
    if (kept.waiting.records as usize, kept.dead.records as usize) != (waiting.len(), letters.len()) {
        return Err(format!("counted {kept:?}, there are {} and {}", waiting.len(), letters.len()));
    }
    let listed = corrupt > 0 || !aside.is_empty();
    match lost {
        0 => Ok(()),
        1 if listed => Ok(()),
        1 => Err(format!("one is lost and not listed ({damaged:?})")),
        lost => Err(format!("{lost} are lost")),
    }
}

fn every_byte(small: &Small, file: &str, header: usize) {
    let stride: Option<usize> = std::env::var("CHAINSPAN_FLIP_STRIDE").ok().map(|text| text.parse().expect("a number"));
    let bytes = &small.files[file];
    let mut places = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        places.push(at);
        let near = &bytes[at.saturating_sub(24)..(at + 24).min(bytes.len())];
        at += match stride {
            Some(stride) => stride,
            None if at < header => 1,
            // The heads themselves, where one byte can mean anything.
            None if file == "spill.db"
                && bytes[at.saturating_sub(72)..at].windows(6).any(|bytes| bytes == b"cspnR1") =>
            {
                1
            }
            None if near.iter().all(|&byte| byte == 0) => EMPTY_STEP,
            None => STEP,
        };
    }
    let scratch = tempfile::tempdir_in(memory()).expect("directory");
    let failures: Vec<String> = std::thread::scope(|scope| {
        let halves: Vec<_> = (0..2)
            .map(|half| {
                let (places, scratch) = (&places, scratch.path());
                scope.spawn(move || {
                    let mut failures = Vec::new();
                    for &at in places.iter().skip(half).step_by(2) {
                        // A single bit, another one in each place, and now and then the whole byte.
                        let mask = if at % 9 == 8 { 0xff } else { 1 << (at % 9) };
                        if let Err(what) = damage(small, scratch, file, at, mask) {
                            failures.push(format!("byte {at} of {file} ^ {mask:#04x}: {what}"));
                        }
                    }
                    failures
                })
            })
            .collect();
        halves.into_iter().flat_map(|half| half.join().expect("no panic")).collect()
    });
    println!("{} of {} bytes of {file}", places.len(), bytes.len());
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures[..failures.len().min(40)].join("\n"));
}

/// A file system in memory, where there is one: the test is about bytes, not about a disk.
fn memory() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { memory } else { std::env::temp_dir() }
}

/// G9, in the file.
#[test]
fn a_damaged_byte_of_the_file_costs_at_most_its_record() {
    let small = small(false);
    damage(&small, &memory(), "spill.db", 0, 0).expect("nothing is wrong with the store itself");
    every_byte(&small, "spill.db", 100);
}

/// G9, in the log: SQLite itself drops everything behind a damaged frame without a word.
#[test]
fn a_damaged_byte_of_the_log_costs_at_most_its_record() {
    let small = small(true);
    damage(&small, &memory(), "spill.db-wal", 0, 0).expect("nothing is wrong with the store itself");
    every_byte(&small, "spill.db-wal", 56);
}

/// What was discarded is still known after the file was damaged elsewhere.
#[test]
fn the_sum_of_discarded_letters_survives_damage() {
    let small = small(false);
    let directory = tempfile::tempdir().expect("directory");
    let mut bytes = small.files["spill.db"].clone();
    bytes[40] ^= 0xff;
    bytes[16] ^= 0xff;
    std::fs::write(directory.path().join("spill.db"), bytes).expect("write");
    let store = open(directory.path());
    assert!(!store.status().set_aside.is_empty());
    let discarded = kept(&store, DATADOG).discarded;
    assert_eq!(discarded, Count { records: 1, spans: 7, requests: 0, bytes: 0 });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, ..ProptestConfig::default() })]

    /// However much of it is overwritten with whatever, in the file and in its log: it opens, and what it gives back as sound is
    /// what was put.
    #[test]
    fn a_ruined_store_opens_and_does_not_lie(
        ruins in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>(), any::<u64>(), 1_usize..20_000), 1..6)
    ) {
        let small = small(true);
        let directory = tempfile::tempdir_in(memory()).expect("directory");
        let mut files = small.files.clone();
        for (log, at, seed, length) in ruins {
            let bytes = files.get_mut(if log { "spill.db-wal" } else { "spill.db" }).expect("both are there");
            let at = at.index(bytes.len());
            let end = (at + length).min(bytes.len());
            bytes[at..end].copy_from_slice(&body(seed, end - at));
        }
        for (name, bytes) in files {
            std::fs::write(directory.path().join(name), bytes).expect("write");
        }
        let store = open(directory.path());
        for waiting in read_all(&store, DATADOG).0 {
            prop_assert_eq!(&waiting.body, &small.waiting[&waiting.id].body);
        }
        for letter in store.letters(&Filter::default()).expect("letters") {
            store.letter(letter.id).expect("readable");
        }
        put_one(&store, record(9, 100));
    }
}
