//! A destination that does not take one signal (UNIMPLEMENTED, as Datadog's agent answers logs): that signal waits by
//! itself, and nothing else notices.

use std::time::Duration;

use chainspan::config::{self, Role};
use chainspan::delivery::{BreakerState, Destination, DestinationStatus, Parcel, Signal, Undelivered};
use chainspan::store::Letter;
use chainspan_testing::server::{Act, FaultServer};
use tempfile::TempDir;
use tokio::time::Instant;
use tonic::Code;

use crate::support::{
    assert_each_once, assert_logs_once, conserved, drained, letters, log, open, open_with, parcel, settings, soon,
    start, start_with, until, waiting,
};

const NO_LOGS: &[Signal] = &[Signal::Logs];
const HOUR: Duration = Duration::from_secs(3600);

fn directory() -> TempDir {
    TempDir::with_prefix("delivery-").expect("a directory")
}

/// What is not taken is not tried again within the test, and what is taken is never written for having waited too long.
fn patient(fault: &FaultServer) -> config::Destination {
    let breaker = config::Breaker { consecutive_failures: 5, open_min: HOUR, open_max: HOUR };
    config::Destination { breaker, spill_after: HOUR, ..settings(fault) }
}

fn texts(range: std::ops::Range<u64>) -> impl Iterator<Item = String> {
    range.map(|number| format!("log {number}"))
}

/// Hands over one log per number; each is answered OK.
async fn logs_kept(destination: &Destination, range: std::ops::Range<u64>) {
    let receipts: Vec<_> = texts(range).map(|text| destination.hand_over(log(&text), soon())).collect();
    for receipt in receipts {
        assert_eq!(receipt.await, Ok(()));
    }
}

async fn traces_taken(destination: &Destination, range: std::ops::Range<u64>) {
    for id in range {
        assert_eq!(destination.hand_over(parcel(id, 1, "span"), soon()).await, Ok(()));
    }
}

fn unimplemented(status: &DestinationStatus) -> Vec<Signal> {
    assert!(
        status.unimplemented.iter().all(|(_, why)| why.starts_with("UNIMPLEMENTED: unknown service")),
        "{status:?}"
    );
    status.unimplemented.iter().map(|(signal, _)| *signal).collect()
}

/// Scenario: logs and traces, and a destination that serves no logs; one connection, then several. Guarantee: each trace is
/// delivered from memory and none ever written; the logs are on the disk, tried once, and nothing of them is in memory; the
/// breaker of the destination stays closed and nothing counts as its failure. The next process sends the logs once they are
/// served.
#[tokio::test]
async fn a_signal_that_is_not_taken_is_kept_and_the_others_do_not_notice() {
    for connections in [1, 3] {
        let (fault, directory) = (FaultServer::start().await, directory());
        fault.unserved(NO_LOGS);
        let store = open(directory.path());
        let setup = config::Destination { connections, ..patient(&fault) };
        let destination = start_with(setup.clone(), &store);
        logs_kept(&destination, 0..1).await;
        for round in 1..20 {
            logs_kept(&destination, round..round + 1).await;
            traces_taken(&destination, round..round + 1).await;
            assert_eq!(fault.accepted_spans().len() as u64, round, "at once");
        }
        let status = until(&destination, "in order", |status| status.queue_bytes == 0).await;
        assert_eq!((status.spans.delivered, status.requests.spilled, status.requests.dead), (19, 20, 0));
        assert_eq!((status.breaker, status.failures, status.last_error.as_ref()), (BreakerState::Closed, 0, None));
        assert_eq!((unimplemented(&status), waiting(&store)), (vec![Signal::Logs], Some(20)));
        let refused = fault.received().iter().filter(|request| !request.accepted).count();
        assert_eq!(refused, 1, "left alone after the first");
        assert!(destination.drain(soon()).await);
        drop(destination);

        fault.unserved(&[]);
        let destination = start_with(setup, &store);
        let status = drained(&destination, &store).await;
        assert_eq!((status.requests.delivered, unimplemented(&status)), (20, vec![]));
        assert_logs_once(&fault, texts(0..20));
        assert_each_once_from(&fault, 1..20);
        assert_eq!(letters(&store), []);
    }
}

fn assert_each_once_from(fault: &FaultServer, ids: std::ops::Range<u64>) {
    let spans = fault.accepted_spans();
    assert!(ids.clone().all(|id| spans.get(id.to_be_bytes().as_slice()) == Some(&1)), "{spans:?}");
    assert_eq!(spans.len() as u64, ids.end - ids.start);
}

/// Scenario: the same, and the destination begins to serve logs after it was tried in vain several times. Guarantee: what
/// waits goes out by itself, each once, and status forgets it.
#[tokio::test]
async fn what_was_not_taken_goes_out_by_itself_once_it_is() {
    let (fault, directory) = (FaultServer::start().await, directory());
    fault.unserved(NO_LOGS);
    let store = open(directory.path());
    let destination = start_with(config::Destination { spill_after: HOUR, ..settings(&fault) }, &store);
    logs_kept(&destination, 0..100).await;
    let mut sent = 0;
    while fault.received().iter().filter(|request| !request.accepted).count() < 4 {
        traces_taken(&destination, sent..sent + 1).await;
        sent += 1;
    }
    let status = destination.status();
    assert_eq!((status.breaker, status.spans.delivered, status.requests.spilled), (BreakerState::Closed, sent, 100));
    fault.unserved(&[]);
    let status = drained(&destination, &store).await;
    assert_eq!((status.requests.delivered, status.requests.dead, unimplemented(&status)), (100, 0, vec![]));
    logs_kept(&destination, 100..110).await;
    assert_eq!(drained(&destination, &store).await.requests.delivered, 110);
    assert_logs_once(&fault, texts(0..110));
    assert_each_once(&fault, sent);
}

/// Scenario: the same without a store. Guarantee: the client of the log hears that its time is over and why, traces are
/// delivered meanwhile; and once logs are served and somebody asks for haste, they arrive in the order in which they came.
#[tokio::test]
async fn without_a_store_only_the_client_of_that_signal_waits() {
    let fault = FaultServer::start().await;
    fault.unserved(NO_LOGS);
    let destination = start(patient(&fault));
    let short = destination.hand_over(log("in vain"), Instant::now() + Duration::from_secs(1));
    until(&destination, "not taken", |status| !status.unimplemented.is_empty()).await;
    traces_taken(&destination, 0..20).await;
    match short.await {
        Err(Undelivered::Timeout { last_error, .. }) => assert_eq!(last_error, "UNIMPLEMENTED: unknown service"),
        other => panic!("{other:?}"),
    }
    let receipts: Vec<_> = texts(0..5).map(|text| destination.hand_over(log(&text), soon())).collect();
    traces_taken(&destination, 20..40).await;
    let status = destination.status();
    assert_eq!(
        (status.breaker, status.failures, unimplemented(&status)),
        (BreakerState::Closed, 0, vec![Signal::Logs])
    );
    fault.unserved(&[]);
    destination.retry_now();
    for receipt in receipts {
        assert_eq!(receipt.await, Ok(()));
    }
    let of_logs = fault.received().into_iter().filter(|request| request.path == Signal::Logs.grpc_path());
    let order: Vec<String> = of_logs.skip(1).flat_map(|request| request.logs()).collect();
    assert_eq!(order, texts(0..5).collect::<Vec<_>>());
    assert_each_once(&fault, 40);
    assert_eq!(conserved(&destination).requests.delivered, 5);
}

/// Scenario: logs that are not taken fill many reads of the disk; traces are written after them, while the destination is
/// down. Guarantee: when it is back the traces drain, past the logs, which stay and are not read into memory; the same in
/// the next process.
#[tokio::test]
async fn a_backlog_that_is_not_taken_does_not_stand_before_others() {
    let (fault, directory) = (FaultServer::start().await, directory());
    fault.unserved(NO_LOGS);
    let store = open(directory.path());
    let setup = config::Destination { max_request_bytes: 1_000, connections: 2, ..settings(&fault) };
    let mut sent = 0;
    for round in 0..2 {
        let destination = start_with(setup.clone(), &store);
        logs_kept(&destination, round * 200..(round + 1) * 200).await;
        fault.stop().await;
        let receipts: Vec<_> =
            (sent..sent + 50).map(|id| destination.hand_over(parcel(id, 1, "span"), soon())).collect();
        for receipt in receipts {
            assert_eq!(receipt.await, Ok(()));
        }
        sent += 50;
        let status = until(&destination, "on disk", |status| status.queue_bytes == 0).await;
        assert_eq!((status.spans.spilled, status.requests.spilled), (50, (round + 1) * 200));
        if round == 1 {
            assert!(destination.drain(soon()).await);
        }
        let destination = if round == 0 { destination } else { start_with(setup.clone(), &store) };
        fault.restart().await;
        let status = until(&destination, "traces drained", |status| status.spans.spilled == 0).await;
        assert_eq!(status.requests.spilled, (round + 1) * 200);
        let status = until(&destination, "one request", |status| status.queue_bytes <= 1_000).await;
        assert_eq!(status.requests.dead, 0);
        assert!(destination.drain(soon()).await);
        // The next one must not find what has arrived.
        until(&destination, "forgotten", |_| waiting(&store) == Some((round + 1) * 200)).await;
    }
    assert_each_once(&fault, 100);
    fault.unserved(&[]);
    let destination = start_with(setup, &store);
    assert_eq!(drained(&destination, &store).await.requests.delivered, 400);
    assert_logs_once(&fault, texts(0..400));
}

/// Scenario: nothing is served, as by a proxy with a wrong route. Guarantee: all of it is kept, each signal is tried by
/// itself, nothing dies, and it goes out once the route is right.
#[tokio::test]
async fn a_destination_that_serves_nothing_gets_everything_once_it_does() {
    let (fault, directory) = (FaultServer::start().await, directory());
    fault.unserved(&Signal::ALL);
    let store = open(directory.path());
    let destination = start_with(settings(&fault), &store);
    let metrics = Parcel { signal: Signal::Metrics, ..log("metrics") };
    assert_eq!(destination.hand_over(metrics, soon()).await, Ok(()));
    logs_kept(&destination, 0..10).await;
    traces_taken(&destination, 0..10).await;
    let tried = |signal: Signal| fault.received().iter().filter(|r| r.path == signal.grpc_path()).count();
    let status = until(&destination, "tried", |_| Signal::ALL.into_iter().all(|signal| tried(signal) > 2)).await;
    assert_eq!((status.breaker, unimplemented(&status)), (BreakerState::Closed, Signal::ALL.to_vec()));
    assert_eq!((status.spans.spilled, status.requests.spilled), (10, 11));
    fault.unserved(&[]);
    let status = drained(&destination, &store).await;
    assert_eq!((status.spans.delivered, status.requests.delivered, unimplemented(&status)), (10, 11, vec![]));
    assert_logs_once(&fault, texts(0..10));
    assert_each_once(&fault, 10);
    assert_eq!(letters(&store), []);
}

/// Scenario: the end comes while a signal, or each of them, is not taken; among what waits is something that must not be
/// sent twice. Guarantee: nobody waits for the deadline, which is in an hour; what was promised is on the disk, the others
/// are told.
#[tokio::test]
async fn a_drain_does_not_wait_for_what_is_not_taken() {
    for unserved in [NO_LOGS, &Signal::ALL] {
        let (fault, directory) = (FaultServer::start().await, directory());
        fault.unserved(unserved);
        let store = open(directory.path());
        let destination = start_with(patient(&fault), &store);
        logs_kept(&destination, 0..1).await;
        let traces = destination.hand_over(parcel(0, 1, "span"), soon());
        let once = destination.hand_over_at_most_once(log("once"), soon());
        let last = destination.hand_over(log("log 1"), soon());
        assert!(destination.drain(Instant::now() + HOUR).await);
        assert_eq!((traces.await, last.await, once.await), (Ok(()), Ok(()), Err(Undelivered::Closed)));
        let status = conserved(&destination);
        let traces = u64::from(unserved.len() == 3);
        assert_eq!((status.spans.spilled, status.spans.delivered), (traces, 1 - traces));
        assert_eq!((status.requests.spilled, waiting(&store)), (2, Some(2 + traces)));
    }
}

/// Scenario: without a store, the end comes while logs are not taken. Guarantee: they are handed back at the deadline, and
/// what is taken arrives before.
#[tokio::test]
async fn a_drain_without_a_store_hands_back_what_is_not_taken() {
    let fault = FaultServer::start().await;
    fault.unserved(NO_LOGS);
    let destination = start(patient(&fault));
    let logs = destination.hand_over(log("in vain"), soon());
    let traces = destination.hand_over(parcel(0, 1, "span"), soon());
    assert!(!destination.drain(Instant::now() + Duration::from_secs(1)).await);
    assert_eq!((traces.await, logs.await), (Ok(()), Err(Undelivered::Closed)));
    assert_eq!(conserved(&destination).spans.delivered, 1);
}

/// Scenario: logs that are not taken have filled the store. Guarantee: who sends more of them hears when to retry, and
/// traces are delivered.
#[tokio::test]
async fn a_store_full_of_what_is_not_taken_refuses_that_alone() {
    let (fault, directory) = (FaultServer::start().await, directory());
    fault.unserved(NO_LOGS);
    let store = open_with(directory.path(), 64 << 10);
    let destination = start_with(patient(&fault), &store);
    let large = "x".repeat(4_000);
    while destination.hand_over(log(&large), soon()).await.is_ok() {}
    let answer = destination.hand_over(log(&large), soon()).await;
    assert!(matches!(answer, Err(Undelivered::Full { .. })), "{answer:?}");
    traces_taken(&destination, 0..20).await;
    assert_each_once(&fault, 20);
    let status = until(&destination, "in order", |status| status.queue_bytes == 0).await;
    assert_eq!((status.spans.spilled, status.breaker), (0, BreakerState::Closed));
}

/// Scenario: of two requests on their way at the same time one is answered "no such service", then the other is taken.
/// Guarantee: the signal is taken after all, at once, and the first one is sent again.
#[tokio::test]
async fn a_success_that_comes_late_counts() {
    let (fault, directory) = (FaultServer::start().await, directory());
    fault.then([Act::Hold, Act::Refuse(Code::Unimplemented, "unknown service", None)]);
    let store = open(directory.path());
    let destination = start_with(config::Destination { connections: 2, ..patient(&fault) }, &store);
    let first = destination.hand_over(log("log 0"), soon());
    fault.arrived(1).await;
    logs_kept(&destination, 1..2).await;
    assert_eq!(unimplemented(&destination.status()), NO_LOGS);
    fault.release(1);
    assert_eq!(first.await, Ok(()));
    let status = drained(&destination, &store).await;
    assert_eq!((status.requests.delivered, unimplemented(&status)), (2, vec![]));
    assert_logs_once(&fault, texts(0..2));
}

/// Scenario: "no such service, retry later". Guarantee: the signal rests for as long as was asked, with and
/// without haste; others do not.
#[tokio::test]
async fn what_is_asked_for_holds_for_that_signal_alone() {
    let fault = FaultServer::start().await;
    let pause = Duration::from_millis(600);
    fault.then([Act::Refuse(Code::Unimplemented, "unknown service", Some(pause))]);
    let destination = start(settings(&fault));
    let begin = Instant::now();
    let logs = destination.hand_over(log("log 0"), soon());
    until(&destination, "not taken", |status| !status.unimplemented.is_empty()).await;
    destination.retry_now();
    traces_taken(&destination, 0..5).await;
    assert_eq!(logs.await, Ok(()));
    assert!(begin.elapsed() >= pause, "{:?}", begin.elapsed());
    assert_logs_once(&fault, texts(0..1));
    conserved(&destination);
}

/// Scenario: `max_elapsed_time` is over for logs that were never taken. Guarantee: they are dead letters that can be purged,
/// not a backlog for ever.
#[tokio::test]
async fn what_is_not_taken_for_too_long_becomes_dead_letters() {
    let (fault, directory) = (FaultServer::start().await, directory());
    fault.unserved(NO_LOGS);
    let store = open(directory.path());
    let mut setup = config::Destination { max_request_bytes: 500, ..settings(&fault) };
    setup.retry.max_elapsed_time = Some(Duration::from_millis(500));
    let destination = start_with(setup, &store);
    logs_kept(&destination, 0..50).await;
    let status = until(&destination, "given up", |status| status.requests.dead == 50).await;
    assert_eq!((status.requests.spilled, status.breaker), (0, BreakerState::Closed));
    let letters = letters(&store);
    assert!(letters.iter().all(|letter| letter.death.reason.name() == "expired"), "{letters:?}");
    let tells = |letter: &Letter| letter.death.message.contains("UNIMPLEMENTED: unknown service");
    assert!(letters.iter().all(tells), "{letters:?}");
}

/// Scenario: a debug destination that serves no logs, and more of them than it may keep. Guarantee: spans are not dropped to
/// make room for them.
#[tokio::test]
async fn a_debug_destination_drops_what_it_does_not_take_first() {
    let fault = FaultServer::start().await;
    fault.unserved(NO_LOGS);
    let destination = start(config::Destination { role: Role::Debug, ..patient(&fault) });
    let large = "x".repeat(1 << 20);
    for _ in 0..20 {
        assert_eq!(destination.hand_over(log(&large), soon()).await, Ok(()));
    }
    until(&destination, "full", |status| status.requests.discarded > 0 && !status.unimplemented.is_empty()).await;
    for id in 0..20 {
        assert_eq!(destination.hand_over(parcel(id, 1, &large), soon()).await, Ok(()));
        until(&destination, "delivered", |status| status.spans.delivered == id + 1).await;
    }
    assert_each_once(&fault, 20);
}

/// Scenario: a trace is on the disk for a while before a log gets there that is not taken; then traces drain. Guarantee: the
/// age that is shown is that of the log, not of what is gone.
#[tokio::test]
async fn the_age_of_the_backlog_is_that_of_what_still_waits() {
    let (fault, directory) = (FaultServer::start().await, directory());
    fault.unserved(NO_LOGS);
    let store = open(directory.path());
    let destination = start_with(settings(&fault), &store);
    fault.stop().await;
    traces_taken(&destination, 0..3).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let between = Instant::now();
    logs_kept(&destination, 0..1).await;
    let age = destination.status().backlog_age.expect("something waits");
    assert!(age >= Duration::from_millis(900), "{age:?}");
    fault.restart().await;
    until(&destination, "the log is left", |status| {
        let since = between.elapsed() + Duration::from_millis(500);
        status.spans.spilled == 0 && status.requests.spilled == 1 && status.backlog_age.is_some_and(|age| age <= since)
    })
    .await;
}
