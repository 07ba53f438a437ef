//! The memory of trace id → chain that all workers share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use chainspan::chain::{ChainId, Lookup, Recorded, RequestTraces, Traces, valid_trace_id};

const TTL: Duration = Duration::from_secs(300);

fn chain(raw: u64) -> ChainId {
    ChainId::new(raw).expect("a test's chain id is in range")
}

fn id(number: u128) -> [u8; 16] {
    (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes()
}

/// A chain that was recorded is found, for its own trace only.
#[test]
fn a_recorded_trace_is_found() {
    let traces = Traces::new(1_000, TTL);
    assert_eq!(traces.lookup(&id(1), 0), Lookup::Unknown);
    let recorded = traces.record(&id(1), Lookup::Chain(chain(10)), 0);
    assert_eq!(recorded, Recorded { now: Lookup::Chain(chain(10)), became_ambiguous: false });
    assert_eq!(traces.lookup(&id(1), 1), Lookup::Chain(chain(10)));
    assert_eq!(traces.lookup(&id(2), 1), Lookup::Unknown);
}

/// All 128 bits of the id count.
#[test]
fn ids_are_compared_whole() {
    let traces = Traces::new(8, TTL);
    let one = [7_u8; 16];
    traces.record(&one, Lookup::Chain(chain(10)), 0);
    for byte in 0..16 {
        let mut other = one;
        other[byte] ^= 1;
        assert_eq!(traces.lookup(&other, 0), Lookup::Unknown, "byte {byte}");
    }
}

/// A second chain makes a trace ambiguous once, and it stays so until it has expired.
#[test]
fn a_second_chain_makes_a_trace_ambiguous_until_it_expires() {
    let traces = Traces::new(1_000, TTL);
    traces.record(&id(1), Lookup::Chain(chain(10)), 0);
    let second = traces.record(&id(1), Lookup::Chain(chain(1)), 5);
    assert_eq!(second, Recorded { now: Lookup::Ambiguous, became_ambiguous: true });
    for raw in [10, 1, 8453] {
        let later = traces.record(&id(1), Lookup::Chain(chain(raw)), 10);
        assert_eq!(later, Recorded { now: Lookup::Ambiguous, became_ambiguous: false });
    }
    assert_eq!(traces.lookup(&id(1), 10), Lookup::Ambiguous);
    let expired = 10 + TTL.as_millis() as u64;
    assert_eq!(traces.lookup(&id(1), expired), Lookup::Unknown);
    assert_eq!(traces.record(&id(1), Lookup::Chain(chain(1)), expired).now, Lookup::Chain(chain(1)));
    assert_eq!(traces.lookup(&id(1), expired), Lookup::Chain(chain(1)));
}

/// A request that shows two chains at once makes the trace ambiguous at once.
#[test]
fn an_ambiguous_request_makes_the_trace_ambiguous() {
    let traces = Traces::new(1_000, TTL);
    let recorded = traces.record(&id(1), Lookup::Ambiguous, 0);
    assert_eq!(recorded, Recorded { now: Lookup::Ambiguous, became_ambiguous: true });
    assert_eq!(traces.lookup(&id(1), 0), Lookup::Ambiguous);
    assert_eq!(traces.record(&id(2), Lookup::Unknown, 0).now, Lookup::Unknown);
    assert_eq!(traces.lookup(&id(2), 0), Lookup::Unknown);
}

/// A trace is forgotten after its time, counted from when it last showed its chain.
#[test]
fn a_trace_expires_after_it_was_last_seen() {
    let traces = Traces::new(1_000, TTL);
    let ttl = TTL.as_millis() as u64;
    traces.record(&id(1), Lookup::Chain(chain(10)), 0);
    assert_eq!(traces.lookup(&id(1), ttl - 1), Lookup::Chain(chain(10)));
    assert_eq!(traces.lookup(&id(1), ttl), Lookup::Unknown);
    traces.record(&id(2), Lookup::Chain(chain(10)), 0);
    traces.record(&id(2), Lookup::Chain(chain(10)), ttl / 2);
    assert_eq!(traces.lookup(&id(2), ttl + ttl / 4), Lookup::Chain(chain(10)));
    // A clock that another worker read a little earlier does no harm.
    assert_eq!(traces.lookup(&id(2), 0), Lookup::Chain(chain(10)));
}

/// Expired traces make room first, then those that were seen longest ago; the newest are kept.
#[test]
fn a_full_table_forgets_the_oldest() {
    let traces = Traces::new(8, TTL);
    for number in 0..8 {
        traces.record(&id(number), Lookup::Chain(chain(10)), number as u64);
    }
    traces.record(&id(100), Lookup::Chain(chain(1)), 2_000);
    assert_eq!(traces.lookup(&id(0), 2_000), Lookup::Unknown);
    for number in (1..8).chain([100]) {
        assert_ne!(traces.lookup(&id(number), 2_000), Lookup::Unknown, "{number}");
    }
}

/// However many traces come, the table remembers at most its capacity, and of the latest ones most.
#[test]
fn the_memory_is_bounded() {
    let traces = Traces::new(4_096, TTL);
    for number in 0..100_000_u128 {
        traces.record(&id(number), Lookup::Chain(chain(10)), number as u64 / 1_000);
    }
    let known = (0..100_000).filter(|&number| traces.lookup(&id(number), 100) != Lookup::Unknown).count();
    assert!((3_500..=4_096).contains(&known), "{known}");
    let recent = (98_000..100_000).filter(|&number| traces.lookup(&id(number), 100) != Lookup::Unknown).count();
    assert!(recent > 1_800, "{recent}");
}

/// Capacity 0 remembers nothing, and the answer is what the request itself showed.
#[test]
fn no_capacity_remembers_nothing() {
    let traces = Traces::new(0, TTL);
    assert_eq!(traces.record(&id(1), Lookup::Chain(chain(10)), 0).now, Lookup::Chain(chain(10)));
    assert_eq!(traces.lookup(&id(1), 0), Lookup::Unknown);
    let both = traces.record(&id(1), Lookup::Ambiguous, 0);
    assert_eq!(both, Recorded { now: Lookup::Ambiguous, became_ambiguous: true });
}

/// What a span without a chain is given, as the pipeline asks for it.
fn inherited(request: &RequestTraces, traces: &Traces, trace: u8, now: u64) -> Lookup {
    request.get(&id(trace.into())).and(traces.lookup(&id(trace.into()), now))
}

/// Two requests, two chains, one trace: from the second on nothing is inherited, and it is counted once. A trace that
/// only an earlier request knew is passed on, and what was inherited is never recorded.
#[test]
fn requests_and_memory_work_together() {
    let traces = Traces::new(1_000, TTL);
    let mut request = RequestTraces::default();
    request.note(&id(1), chain(10));
    request.note(&id(2), chain(10));
    assert_eq!(request.settle(&traces, 0), 0);
    assert_eq!(inherited(&request, &traces, 1, 0), Lookup::Chain(chain(10)));

    request.clear();
    request.note(&id(1), chain(1));
    assert_eq!(request.get(&id(1)), Lookup::Chain(chain(1)));
    assert_eq!(request.settle(&traces, 1), 1);
    assert_eq!(inherited(&request, &traces, 1, 1), Lookup::Ambiguous);
    assert_eq!(inherited(&request, &traces, 2, 1), Lookup::Chain(chain(10)));
    assert_eq!(inherited(&request, &traces, 3, 1), Lookup::Unknown);

    request.clear();
    request.note(&id(1), chain(1));
    assert_eq!(request.settle(&traces, 2), 0);
    assert_eq!(inherited(&request, &traces, 1, 2), Lookup::Ambiguous);

    let expired = 2 * TTL.as_millis() as u64;
    request.clear();
    assert_eq!(inherited(&request, &traces, 2, expired), Lookup::Unknown);
    assert_eq!(inherited(&request, &traces, 1, expired), Lookup::Unknown);
}

/// Ids of a wrong length or all zero never enter.
#[test]
fn odd_ids_never_enter() {
    for odd in [&[][..], &[1; 8], &[1; 15], &[1; 17], &[0; 16]] {
        assert_eq!(valid_trace_id(odd), None, "{odd:?}");
    }
    assert_eq!(valid_trace_id(&[1; 16]), Some([1; 16]));
    let traces = Traces::new(8, TTL);
    traces.record(&[0; 16], Lookup::Chain(chain(10)), 0);
    assert_eq!(traces.lookup(&[0; 16], 0), Lookup::Unknown);
}

/// Many workers in a table that is far too small: nobody ever sees a trace with the chain of another, and a trace that
/// showed one chain only never looks ambiguous.
#[test]
fn under_contention_no_trace_gets_the_chain_of_another() {
    let traces = Traces::new(16, TTL);
    let clock = AtomicU64::new(0);
    let of = |number: u128| chain(1_000 + number as u64);
    let seen = AtomicU64::new(0);
    thread::scope(|scope| {
        for worker in 0..4_u128 {
            let (traces, clock, seen) = (&traces, &clock, &seen);
            scope.spawn(move || {
                for round in 0..50_000_u128 {
                    let number = (round * 31 + worker * 7) % 64;
                    let now = clock.fetch_add(1, Ordering::Relaxed);
                    let recorded = traces.record(&id(number), Lookup::Chain(of(number)), now);
                    assert_eq!(recorded.now, Lookup::Chain(of(number)));
                    let other = (round * 17 + worker) % 64;
                    match traces.lookup(&id(other), now) {
                        Lookup::Unknown => {}
                        Lookup::Chain(found) => {
                            assert_eq!(found, of(other));
                            seen.fetch_add(1, Ordering::Relaxed);
                        }
                        Lookup::Ambiguous => panic!("trace {other} showed one chain only"),
                    }
                }
            });
        }
    });
    assert!(seen.into_inner() > 1_000);
}

/// Two workers that record different chains of one trace at the same time never leave it with one of them.
#[test]
fn a_race_of_two_chains_is_always_ambiguous() {
    for round in 0..500_u128 {
        let traces = Traces::new(64, TTL);
        let became = thread::scope(|scope| {
            let workers = [1, 10].map(|raw| {
                let traces = &traces;
                scope.spawn(move || traces.record(&id(round), Lookup::Chain(chain(raw)), 0).became_ambiguous)
            });
            workers.map(|worker| worker.join().expect("a worker does not panic"))
        });
        assert_eq!(traces.lookup(&id(round), 0), Lookup::Ambiguous);
        assert_eq!(became.iter().filter(|&&became| became).count(), 1, "counted once");
    }
}
