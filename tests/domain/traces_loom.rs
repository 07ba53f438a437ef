//! All interleavings, and all orders the memory model allows, of workers that meet in one set of the trace table.
//!
//! The file under test is compiled into this one with loom's atomics in place of the real ones.

mod sync {
    pub(super) use loom::sync::atomic::{AtomicU64, Ordering};

    pub(super) fn pause(_attempt: u32) {
        loom::thread::yield_now();
    }
}

#[path = "../../src/chain/set.rs"]
#[allow(dead_code)]
mod set;

use loom::sync::Arc;
use loom::thread;
use set::{AMBIGUOUS, Id, Set};

const ONE: Id = Id { high: 1, low: 11 };
const TWO: Id = Id { high: 2, low: 12 };
const TTL: u64 = 1_000;

/// A trace is thrown out by another while a reader looks for both: it sees each with its own chain or not at all.
#[test]
fn a_reader_never_sees_a_chain_beside_the_id_of_another_trace() {
    loom::model(|| {
        let set = Arc::new(Set::<1>::new());
        set.write(ONE, 100, 1, TTL);
        let writer = {
            let set = Arc::clone(&set);
            thread::spawn(move || set.write(TWO, 200, 2, TTL))
        };
        for (id, state) in [(ONE, 100), (TWO, 200)] {
            if let Some(entry) = set.read(id) {
                assert_eq!(entry.state, state);
            }
        }
        writer.join().expect("the writer does not panic");
        assert_eq!(set.read(TWO).map(|entry| entry.state), Some(200));
        assert_eq!(set.read(ONE), None);
    });
}

/// Ids that share a half: a reader never takes the state of one for the other.
#[test]
fn a_reader_never_mixes_the_halves_of_two_ids() {
    const MIXED: Id = Id { high: 1, low: 12 };
    loom::model(|| {
        let set = Arc::new(Set::<1>::new());
        set.write(ONE, 100, 1, TTL);
        let writer = {
            let set = Arc::clone(&set);
            thread::spawn(move || set.write(TWO, 200, 2, TTL))
        };
        assert_eq!(set.read(MIXED), None);
        writer.join().expect("the writer does not panic");
    });
}

/// Two workers record different chains of one trace: whoever comes second makes it ambiguous, always and once.
#[test]
fn two_writers_never_lose_an_ambiguity() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let set = Arc::new(Set::<1>::new());
        let writer = {
            let set = Arc::clone(&set);
            thread::spawn(move || set.write(ONE, 100, 1, TTL))
        };
        let mine = set.write(ONE, 200, 1, TTL);
        let theirs = writer.join().expect("the writer does not panic");
        if let (Some(mine), Some(theirs)) = (mine, theirs) {
            assert_eq!(set.read(ONE).map(|entry| entry.state), Some(AMBIGUOUS));
            assert!((mine.1 == AMBIGUOUS) != (theirs.1 == AMBIGUOUS));
        }
    });
}
