//! One destination with a store: what was promised while it was slow, down or flapping arrives, across restarts, and the
//! disk is not touched while all is well.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use chainspan::config;
use chainspan::delivery::{BreakerState, Destination, Parcel, Signal, Undelivered};
use chainspan::store::{NewRecord, RecordId, Store};
use chainspan_testing::server::{Act, FaultServer};
use tempfile::TempDir;
use tokio::time::Instant;
use tonic::Code;

use crate::support::{
    assert_each_once, counted, drained, open, open_with, parcel, settings, soon, start_with, until, waiting,
};

fn directory() -> TempDir {
    TempDir::with_prefix("delivery-").expect("a directory")
}

/// Hands `count` parcels of one span each over, with ids from `from`; all of them are answered OK.
async fn accepted(destination: &Destination, from: u64, count: u64) {
    let receipts: Vec<_> =
        (from..from + count).map(|id| destination.hand_over(parcel(id, 1, "span"), soon())).collect();
    for receipt in receipts {
        assert_eq!(receipt.await, Ok(()));
    }
}

/// Two seconds without data arriving would be a bug, so this is long.
fn slow_to_spill(fault: &FaultServer) -> config::Destination {
    config::Destination { spill_after: Duration::from_secs(60), ..settings(fault) }
}

/// While everything is taken in time nothing is written: the first record ever gets the first number.
#[tokio::test]
async fn the_steady_state_writes_nothing() {
    let (fault, directory) = (FaultServer::start().await, directory());
    let store = open(directory.path());
    let destination = start_with(slow_to_spill(&fault), &store);
    accepted(&destination, 0, 200).await;
    let status = drained(&destination, &store).await;
    assert_eq!((status.spans.delivered, store.status().used_bytes), (200, 0));
    let Parcel { signal, body, spans } = parcel(999, 1, "span");
    let record = NewRecord { destination: "otlp/other".into(), signal, body, spans, received: 1, death: None };
    let (done, answer) = tokio::sync::oneshot::channel();
    store.put(vec![record], move |ids| done.send(ids).expect("awaited"));
    assert_eq!(answer.await.expect("answered"), Ok(vec![RecordId(1)]));
}

/// The destination is down: clients hear OK as soon as the disk has their data, memory is empty, the breaker is open. It
/// comes back: everything arrives once, by itself.
#[tokio::test]
async fn an_outage_is_bridged_by_the_disk_and_ends_by_itself() {
    let (fault, directory) = (FaultServer::start().await, directory());
    let store = open(directory.path());
    let destination = start_with(config::Destination { connections: 3, ..settings(&fault) }, &store);
    fault.stop().await;
    let (body, alive) = counted(parcel(10_000, 1, "span"));
    assert_eq!(destination.hand_over(body, soon()).await, Ok(()));
    accepted(&destination, 0, 300).await;
    let status = until(&destination, "on disk", |status| status.spans.spilled == 301 && status.queue_bytes == 0).await;
    assert_eq!(alive.load(Ordering::SeqCst), 0, "nothing of it is in memory");
    assert_ne!(status.breaker, BreakerState::Closed);
    assert!(status.backlog_age.is_some());
    fault.restart().await;
    let status = drained(&destination, &store).await;
    assert_eq!((status.spans.delivered, status.breaker), (301, BreakerState::Closed));
    assert_eq!((status.backlog_age, status.failures), (None, 0));
    assert_each_once(&fault, 301);
}

/// A destination that is slow, not down: the client hears OK after the grace, and the attempt that is under way counts.
#[tokio::test]
async fn a_slow_destination_delays_an_answer_by_the_grace_and_gets_nothing_twice() {
    let (fault, directory) = (FaultServer::start().await, directory());
    fault.then([Act::Hold]);
    let store = open(directory.path());
    let destination = start_with(settings(&fault), &store);
    let begin = Instant::now();
    accepted(&destination, 0, 1).await;
    assert!(begin.elapsed() >= Duration::from_millis(100));
    assert_eq!(waiting(&store), Some(1));
    // What comes meanwhile goes to the disk, and from there to the destination.
    accepted(&destination, 1, 20).await;
    fault.release(1);
    assert_eq!(drained(&destination, &store).await.spans.delivered, 21);
    assert_each_once(&fault, 21);
}

/// The attempt that was under way when the disk had the data fails: the disk takes over.
#[tokio::test]
async fn what_fails_after_it_was_promised_is_sent_again_from_the_disk() {
    for act in [Act::BlackHole, Act::HoldThenReset] {
        let (fault, directory) = (FaultServer::start().await, directory());
        fault.then([act]);
        let store = open(directory.path());
        let timeout = Duration::from_secs(1);
        let destination = start_with(config::Destination { timeout, ..settings(&fault) }, &store);
        accepted(&destination, 0, 5).await;
        fault.release(1);
        assert_eq!(drained(&destination, &store).await.spans.delivered, 5);
        assert_each_once(&fault, 5);
    }
}

/// No room on the disk: what was promised is kept, the others are told when to retry, at once while the breaker is
/// open, and nothing of theirs arrives.
#[tokio::test]
async fn a_full_store_is_said_at_once_and_loses_nothing_that_was_promised() {
    let (fault, directory) = (FaultServer::start().await, directory());
    let store = open_with(directory.path(), 64 << 10);
    let destination = start_with(settings(&fault), &store);
    fault.stop().await;
    accepted(&destination, 0, 5).await;
    until(&destination, "open", |status| status.breaker != BreakerState::Closed).await;
    let begin = Instant::now();
    let large = "x".repeat(1_000);
    let (mut kept, mut refused) = (5, 0);
    for id in 5..205 {
        match destination.hand_over(parcel(id, 1, &large), soon()).await {
            Ok(()) => kept += 1,
            Err(Undelivered::Full { retry_after, .. }) => {
                assert!((Duration::from_secs(1)..=Duration::from_secs(5)).contains(&retry_after));
                refused += 1;
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(kept > 20 && refused > 20, "{kept} kept, {refused} refused");
    assert!(begin.elapsed() < Duration::from_secs(20), "nobody waits for a deadline");
    fault.restart().await;
    assert_eq!(drained(&destination, &store).await.spans.accepted, kept);
    assert_each_once(&fault, kept);
    // And there is room again.
    fault.stop().await;
    accepted(&destination, 1_000, 5).await;
    fault.restart().await;
    assert_eq!(drained(&destination, &store).await.spans.delivered, kept + 5);
}

/// Without room on the disk a destination that is only slow still delivers from memory.
#[tokio::test]
async fn a_full_store_does_not_keep_a_slow_destination_from_being_waited_for() {
    let (fault, directory) = (FaultServer::start().await, directory());
    fault.then([Act::Hold]);
    let store = open_with(directory.path(), 1);
    let destination = start_with(settings(&fault), &store);
    let waiting = destination.hand_over(parcel(0, 1, "span"), soon());
    fault.arrived(1).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    fault.release(1);
    assert_eq!(waiting.await, Ok(()));
    assert_each_once(&fault, 1);
    assert_eq!(drained(&destination, &store).await.spans.delivered, 1);
}

/// The process ends with a backlog; the next one on the same directory knows of it before it has sent anything, and sends
/// it.
#[tokio::test]
async fn the_next_process_takes_the_backlog_over() {
    let (fault, directory) = (FaultServer::start().await, directory());
    fault.stop().await;
    let store = open(directory.path());
    let destination = start_with(settings(&fault), &store);
    accepted(&destination, 0, 50).await;
    let logs = Parcel { signal: Signal::Logs, body: Bytes::from_static(&[0x0a, 0x00]), spans: 0 };
    assert_eq!(destination.hand_over(logs, soon()).await, Ok(()));
    assert!(destination.drain(soon()).await);
    store.close();
    drop((destination, store));

    let store = open(directory.path());
    let destination = start_with(settings(&fault), &store);
    let status = destination.status();
    assert_eq!((status.spans.accepted, status.spans.spilled, status.requests.spilled), (50, 50, 1));
    assert!(status.backlog_age.is_some());
    fault.restart().await;
    let status = drained(&destination, &store).await;
    assert_eq!((status.spans.delivered, status.requests.delivered), (50, 1));
    assert_eq!(fault.accepted_spans().len(), 50);
}

/// The end comes while the destination is down: it does not wait for it, and clients that still wait hear OK.
#[tokio::test]
async fn a_drain_with_the_destination_down_is_done_early_and_keeps_everything() {
    let (fault, directory) = (FaultServer::start().await, directory());
    fault.stop().await;
    let store = open(directory.path());
    let destination = start_with(settings(&fault), &store);
    accepted(&destination, 0, 1).await;
    until(&destination, "open", |status| status.breaker != BreakerState::Closed).await;
    let receipts: Vec<_> = (1..20).map(|id| destination.hand_over(parcel(id, 1, "span"), soon())).collect();
    let begin = Instant::now();
    assert!(destination.drain(begin + Duration::from_secs(60)).await);
    assert!(begin.elapsed() < Duration::from_secs(20));
    for receipt in receipts {
        assert_eq!(receipt.await, Ok(()));
    }
    let status = destination.status();
    assert_eq!((status.spans.spilled, status.spans.in_flight, status.queue_bytes), (20, 0, 0));
    assert_eq!(destination.hand_over(parcel(99, 1, "span"), soon()).await, Err(Undelivered::Closed));
    assert_eq!(waiting(&store), Some(20));
}

/// The end comes while the destination hangs: shortly before the deadline everything is written.
#[tokio::test]
async fn a_drain_with_the_destination_hanging_ends_in_time_and_keeps_everything() {
    let (fault, directory) = (FaultServer::start().await, directory());
    fault.always(Act::BlackHole);
    let store = open(directory.path());
    let destination = start_with(slow_to_spill(&fault), &store);
    let receipts: Vec<_> = (0..20).map(|id| destination.hand_over(parcel(id, 1, "span"), soon())).collect();
    fault.arrived(1).await;
    let once = destination.hand_over_at_most_once(parcel(99, 1, "once"), soon());
    assert!(destination.drain(Instant::now() + Duration::from_secs(2)).await);
    for receipt in receipts {
        assert_eq!(receipt.await, Ok(()));
    }
    assert_eq!(once.await, Err(Undelivered::Closed), "what must not be sent twice is not written");
    let status = destination.status();
    assert!(status.spans.holds(), "{status:?}");
    assert_eq!((status.spans.spilled, status.spans.in_flight), (20, 0));
    assert_eq!(waiting(&store), Some(20));
}

/// Live traffic beside a backlog: one connection, so they take turns.
#[tokio::test]
async fn the_backlog_has_half_of_the_destination_beside_live_traffic() {
    let (fault, directory) = (FaultServer::start().await, directory());
    let store = open(directory.path());
    let one = parcel(0, 1, "span").body.len();
    let setup = config::Destination { max_request_bytes: one, ..settings(&fault) };
    let destination = start_with(config::Destination { ..setup.clone() }, &store);
    fault.stop().await;
    accepted(&destination, 0, 20).await;
    assert!(destination.drain(soon()).await);
    drop(destination);
    fault.always(Act::Hold).restart().await;
    let spill_after = Duration::from_secs(60);
    let destination = start_with(config::Destination { spill_after, ..setup }, &store);
    fault.arrived(1).await;
    let receipts: Vec<_> = (100..120).map(|id| destination.hand_over(parcel(id, 1, "span"), soon())).collect();
    let is_live = |request: &chainspan_testing::server::Received| request.spans()[0] >= 100_u64.to_be_bytes().to_vec();
    let mut order = Vec::new();
    for seen in 1..=30 {
        fault.arrived(seen).await;
        order = fault.received().iter().map(is_live).collect();
        // One is on its way, the live ones wait, and the disk has had the time to bring another one.
        let live = 20 - order.iter().filter(|live| **live).count();
        until(&destination, "read ahead", |status| status.queue_bytes >= (one * (1 + live + 1)) as u64).await;
        fault.release(1);
    }
    fault.always(Act::Accept).release(1_000);
    for receipt in receipts {
        assert_eq!(receipt.await, Ok(()));
    }
    drained(&destination, &store).await;
    assert_each_once(&fault, 40);
    let share = order.iter().skip(1).filter(|live| **live).count();
    assert!((14..=15).contains(&share), "{share} of 29 are live: {order:?}");
}

/// A destination that is up for a moment and down for a moment, with several connections: whatever was promised arrives,
/// and only what was on its way when it went down may arrive twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_flapping_destination_gets_everything() {
    let (fault, directory) = (FaultServer::start().await, directory());
    let store = open(directory.path());
    let spill_after = Duration::from_millis(5);
    let destination = start_with(config::Destination { connections: 3, spill_after, ..settings(&fault) }, &store);
    let sender = tokio::spawn({
        let destination = destination.clone();
        async move {
            for round in 0..40 {
                accepted(&destination, round * 10, 10).await;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    });
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(60)).await;
        fault.stop().await;
        tokio::time::sleep(Duration::from_millis(60)).await;
        fault.restart().await;
    }
    sender.await.expect("all of them were accepted");
    assert_eq!(drained(&destination, &store).await.spans.delivered, 400);
    assert_eq!(fault.accepted_spans().len(), 400);
}

/// A destination that answers half and resets half of the time: what was reset is sent again.
#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_resets_half_of_the_requests_gets_everything() {
    let (fault, directory) = (FaultServer::start().await, directory());
    fault.then((0..60).map(|n| if n % 2 == 0 { Act::Accept } else { Act::Reset }));
    let store = open(directory.path());
    let spill_after = Duration::from_millis(20);
    let destination = start_with(config::Destination { spill_after, ..settings(&fault) }, &store);
    for round in 0..40 {
        accepted(&destination, round * 5, 5).await;
    }
    assert_eq!(drained(&destination, &store).await.spans.delivered, 200);
    assert_each_once(&fault, 200);
}

/// A request larger than the limit that was delivered in part before the destination went away: only the rest is kept.
#[tokio::test]
async fn of_a_divided_parcel_only_what_has_not_arrived_is_kept() {
    let (fault, directory) = (FaultServer::start().await, directory());
    fault.then([Act::Accept, Act::Accept]).always(Act::Refuse(Code::Unauthenticated, "who are you", None));
    let store = open(directory.path());
    let setup = config::Destination { max_request_bytes: 4_000, ..settings(&fault) };
    let destination = start_with(setup, &store);
    assert_eq!(destination.hand_over(parcel(0, 500, "span"), soon()).await, Ok(()));
    let status = until(&destination, "on disk", |status| status.spans.in_flight == 0 && status.queue_bytes == 0).await;
    assert_eq!(status.spans.delivered + status.spans.spilled, 500);
    assert!(status.spans.delivered > 50, "{status:?}");
    fault.always(Act::Accept);
    assert_eq!(drained(&destination, &store).await.spans.delivered, 500);
    assert_each_once(&fault, 500);
}

/// `max_elapsed_time` is over for something that was promised: it is a dead letter, never dropped.
#[tokio::test]
async fn what_waits_on_the_disk_for_too_long_becomes_a_dead_letter() {
    let (fault, directory) = (FaultServer::start().await, directory());
    fault.stop().await;
    let store = open(directory.path());
    let mut setup = settings(&fault);
    setup.retry.max_elapsed_time = Some(Duration::from_millis(500));
    let destination = start_with(setup, &store);
    accepted(&destination, 0, 3).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    fault.restart().await;
    let status = until(&destination, "dead", |status| status.spans.dead == 3).await;
    assert_eq!((status.spans.accepted, status.spans.spilled), (3, 0));
    let letters = crate::support::letters(&store);
    assert!(letters.iter().all(|letter| letter.death.reason.name() == "expired" && letter.spans == 1), "{letters:?}");
    assert_eq!((letters.len(), fault.received().len()), (3, 0));
}

/// What must not be sent twice waits in memory, whatever happens to others.
#[tokio::test]
async fn what_must_not_be_sent_twice_is_never_written() {
    let (fault, directory) = (FaultServer::start().await, directory());
    fault.stop().await;
    let store: Store = open(directory.path());
    let destination = start_with(settings(&fault), &store);
    let once = destination.hand_over_at_most_once(parcel(0, 1, "once"), soon());
    accepted(&destination, 1, 3).await;
    let status = until(&destination, "on disk", |status| status.spans.spilled == 3).await;
    assert_eq!(status.spans.in_flight, 1);
    fault.restart().await;
    assert_eq!(once.await, Ok(()));
    assert_eq!(drained(&destination, &store).await.spans.delivered, 4);
    assert_each_once(&fault, 4);
}
