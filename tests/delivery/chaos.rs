//! Everything at once, at random: a destination that is up, down, slow, busy, resets, refuses, does not take spans or logs;
//! poison; clients that go away; a disk with little room; restarts. An oracle knows every span and every log, and what its
//! client was told.
//!
//! `CHAOS=seed` repeats one run, `CHAOS_RUNS=n` makes more of them.

use std::collections::BTreeSet;
use std::time::Duration;

use chainspan::config;
use chainspan::delivery::{Destination, Signal, Undelivered};
use chainspan::store::Store;
use chainspan_testing::server::{Act, FaultServer};
use fastrand::Rng;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tonic::Code;

use crate::support::{letters, log, open_with, parcel, settings, start_with, until};

/// What a client was told of the spans `from..from + count`, or of the log `from` (`count` is 0).
type Told = (u64, u64, Result<(), Undelivered>);

fn any_act(random: &mut Rng) -> Act {
    match random.u8(0..14) {
        0 => Act::Reset,
        1 => Act::BlackHole,
        2 => Act::GoAway,
        3 => Act::Refuse(Code::Unavailable, "busy", None),
        4 => Act::Refuse(Code::Unavailable, "later", Some(Duration::from_millis(20))),
        5 => Act::Refuse(Code::Unauthenticated, "who are you", None),
        6 => Act::Refuse(Code::ResourceExhausted, "quota", Some(Duration::from_millis(5))),
        7 => Act::Refuse(Code::Unimplemented, "unknown service", None),
        _ => Act::Accept,
    }
}

async fn trouble(fault: &FaultServer, random: &mut Rng) {
    match random.u8(0..8) {
        0 => _ = fault.unserved(&[Signal::Logs]),
        1 => _ = fault.unserved(&[Signal::Traces]),
        2 => _ = fault.unserved(&Signal::ALL),
        3 | 4 => _ = fault.unserved(&[]),
        _ => {}
    }
    fault.then((0..random.usize(0..6)).map(|_| any_act(random)));
    sleep(Duration::from_millis(random.u64(1..15))).await;
    if random.u8(0..4) == 0 {
        fault.stop().await;
        sleep(Duration::from_millis(random.u64(1..40))).await;
        fault.restart().await;
    }
}

fn send(
    clients: &mut JoinSet<Option<Told>>,
    destination: &Destination,
    next: &mut u64,
    poison: &mut BTreeSet<u64>,
    random: &mut Rng,
) {
    for _ in 0..random.usize(0..10) {
        let (from, mut count) = (*next, random.u64(1..40));
        *next += count;
        let name = if random.u8(0..25) == 0 { "poison-span" } else { "span" };
        let is_log = random.u8(0..4) == 0;
        count = if is_log { 0 } else { count };
        poison.extend((from..from + count).filter(|_| name == "poison-span"));
        let patience = Duration::from_millis(random.u64(20..2_000));
        let goes_away = (random.u8(0..12) == 0).then(|| Duration::from_millis(random.u64(0..20)));
        let parcel = if is_log { log(&from.to_string()) } else { parcel(from, count, name) };
        let receipt = destination.hand_over(parcel, Instant::now() + patience);
        clients.spawn(async move {
            match goes_away {
                Some(after) => tokio::time::timeout(after, receipt).await.ok().map(|answer| (from, count, answer)),
                None => Some((from, count, receipt.await)),
            }
        });
    }
}

fn spans_of(store: &Store) -> BTreeSet<u64> {
    let ids = |id| {
        let (_, body) = store.letter(id).expect("readable").expect("there");
        let request = ExportTraceServiceRequest::decode(&body[..]).expect("valid");
        let spans = request.resource_spans.into_iter().flat_map(|r| r.scope_spans).flat_map(|s| s.spans);
        spans.map(|span| u64::from_be_bytes(span.span_id.try_into().expect("8 bytes"))).collect::<Vec<_>>()
    };
    letters(store).into_iter().flat_map(|letter| ids(letter.id)).collect()
}

async fn run(seed: u64) {
    let mut random = Rng::with_seed(seed);
    let (fault, directory) = (FaultServer::start().await, TempDir::with_prefix("chaos-").expect("a directory"));
    fault.poison("poison-span", Code::InvalidArgument);
    let room = if random.bool() { 1 << 30 } else { 40 << 10 };
    let setup = config::Destination {
        connections: random.usize(1..4),
        max_request_bytes: random.usize(500..20_000),
        timeout: Duration::from_millis(150),
        spill_after: Duration::from_millis(random.u64(0..60)),
        breaker: config::Breaker {
            consecutive_failures: random.u32(1..6),
            open_min: Duration::from_millis(5),
            open_max: Duration::from_millis(40),
        },
        ..settings(&fault)
    };
    let (mut clients, mut next, mut told) = (JoinSet::new(), 0, Vec::<Told>::new());
    let mut poison = BTreeSet::new();
    for _ in 0..3 {
        let store = open_with(directory.path(), room);
        let destination = start_with(setup.clone(), &store);
        for _ in 0..12 {
            send(&mut clients, &destination, &mut next, &mut poison, &mut random);
            trouble(&fault, &mut random).await;
            let status = destination.status();
            assert!(status.spans.holds() && status.requests.holds(), "seed {seed}: {status:?}");
        }
        // An end that is in order, or the disk gone from one moment to the next.
        let in_order = random.u8(0..3) > 0;
        if in_order {
            destination.drain(Instant::now() + Duration::from_millis(random.u64(1..1_000))).await;
        } else {
            store.close();
        }
        while let Some(answer) = clients.join_next().await {
            told.extend(answer.expect("no panic"));
        }
        let status = destination.status();
        assert!(status.spans.holds() && status.requests.holds(), "seed {seed}: {status:?}");
        let idle = (status.spans.in_flight, status.requests.in_flight, status.queue_bytes) == (0, 0, 0);
        assert!(!in_order || idle, "seed {seed}: {status:?}");
        store.close();
    }
    fault.unserved(&[]);
    let store = open_with(directory.path(), room);
    let destination = start_with(setup, &store);
    // Where nothing but poison is left, the destination would be taken to refuse everything: there is sound data, too.
    let sound = tokio::spawn({
        let destination = destination.clone();
        async move {
            for id in 1_000_000.. {
                let _ = destination.hand_over(parcel(id, 1, "span"), Instant::now() + Duration::from_secs(1)).await;
                sleep(Duration::from_millis(20)).await;
            }
        }
    });
    until(&destination, "the backlog drained", |status| status.spans.spilled < 3 && status.spans.delivered > 20).await;
    sound.abort();
    let status = until(&destination, "drained", |status| {
        let waits = status.spans.spilled + status.spans.in_flight + status.requests.spilled + status.requests.in_flight;
        (waits, status.queue_bytes) == (0, 0)
    })
    .await;
    assert_eq!(crate::support::drained(&destination, &store).await.spans.dead, status.spans.dead, "seed {seed}");
    let (arrived, dead) = (fault.accepted_spans(), spans_of(&store));
    let arrived: BTreeSet<u64> =
        arrived.into_keys().map(|id| u64::from_be_bytes(id.try_into().expect("8 bytes"))).collect();
    assert_eq!(status.spans.dead, dead.len() as u64, "seed {seed}");
    assert!(dead.is_subset(&poison) && arrived.is_disjoint(&poison), "seed {seed}: only poison is refused");
    let (mut promised, logs) = (0, fault.accepted_logs());
    assert_eq!(status.requests.dead, 0, "seed {seed}: nothing is wrong with a log");
    for (from, count, answer) in told {
        if answer.is_ok() {
            assert!(count > 0 || logs.contains_key(&from.to_string()), "seed {seed}: the log {from} was promised");
            let lost: Vec<u64> =
                (from..from + count).filter(|id| !arrived.contains(id) && !dead.contains(id)).collect();
            assert!(lost.is_empty(), "seed {seed}: {lost:?} of {from}..{} were promised", from + count);
            promised += count;
        }
    }
    assert!(promised > 0, "seed {seed}: nothing was promised");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_promised_arrives_or_is_a_dead_letter_whatever_happens() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    if let Some(seed) = number("CHAOS") {
        return run(seed).await;
    }
    for _ in 0..number("CHAOS_RUNS").unwrap_or(8) {
        let seed = fastrand::u64(..);
        eprintln!("CHAOS={seed}");
        run(seed).await;
    }
}
