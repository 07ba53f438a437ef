//! The circuit breaker as it is seen from outside: in the status, in the metrics, and at the destination.

use std::time::Duration;

use chainspan::config;
use chainspan::delivery::{BreakerState, Destination};
use chainspan::telemetry::Telemetry;
use chainspan_testing::server::{Act, FaultServer};
use tempfile::TempDir;
use tokio::time::Instant;
use tonic::Code;

use crate::support::{assert_each_once, conserved, drained, open, parcel, settings, soon, start, start_with, until};

fn breaker(consecutive_failures: u32, open: Duration) -> config::Breaker {
    config::Breaker { consecutive_failures, open_min: open, open_max: open }
}

/// Five failures in a row, not four; then nothing is dialled; then one request tries; then it closes. The metric follows.
#[tokio::test]
async fn it_opens_after_five_failures_and_one_success_closes_it() {
    let fault = FaultServer::start().await;
    let refusals = |count| std::iter::repeat_n(Act::Refuse(Code::Unavailable, "busy", None), count);
    fault.then(refusals(4));
    let setup = config::Destination { breaker: breaker(5, Duration::from_secs(2)), ..settings(&fault) };
    let telemetry = Telemetry::new();
    let destination = Destination::start(setup, &telemetry, None).expect("sound settings");
    let gauge = || {
        let samples = telemetry.samples();
        samples.into_iter().find(|s| s.name == "chainspan_exporter_breaker_state").map(|s| s.value)
    };
    assert_eq!(destination.hand_over(parcel(0, 1, "span"), soon()).await, Ok(()));
    assert_eq!((destination.status().breaker, gauge()), (BreakerState::Closed, Some(0.0)));

    fault.then(refusals(5));
    let waiting = destination.hand_over(parcel(1, 1, "span"), soon());
    fault.arrived(10).await;
    until(&destination, "open", |status| status.breaker == BreakerState::Open).await;
    let opened = Instant::now();
    assert_eq!(gauge(), Some(2.0));
    let second = destination.hand_over(parcel(2, 1, "span"), soon());
    assert_eq!((waiting.await, second.await), (Ok(()), Ok(())));
    assert!(opened.elapsed() > Duration::from_millis(1200), "it was left alone");
    let status = conserved(&destination);
    assert_eq!((status.breaker, status.failures, gauge()), (BreakerState::Closed, 0, Some(0.0)));
    assert_each_once(&fault, 3);
    assert_eq!(fault.received().len(), 4 + 1 + 5 + 1, "what waited goes out with the one that tries");
}

/// Codes that waiting does not mend open it at once, and the data is kept, not made dead letters.
#[tokio::test]
async fn a_destination_that_is_set_up_wrongly_is_left_alone_at_once() {
    for code in [Code::Unauthenticated, Code::PermissionDenied] {
        let (fault, directory) = (FaultServer::start().await, TempDir::with_prefix("delivery-").expect("a directory"));
        fault.then([Act::Refuse(code, "no", None)]);
        let store = open(directory.path());
        let breaker = breaker(5, Duration::from_secs(2));
        let destination = start_with(config::Destination { breaker, ..settings(&fault) }, &store);
        assert_eq!(destination.hand_over(parcel(0, 5, "span"), soon()).await, Ok(()));
        let status = destination.status();
        assert_eq!((status.breaker, status.failures), (BreakerState::Open, 1), "{code:?}");
        assert!(status.last_error.is_some_and(|error| error.contains("no")));
        assert_eq!(drained(&destination, &store).await.spans.delivered, 5);
        assert_eq!(fault.received().len(), 2, "{code:?}");
        assert_eq!(crate::support::letters(&store), []);
    }
}

/// While it is open no connection is made; when its time is over exactly one request goes out, however many connections
/// and requests wait; after that each success doubles the number in flight: one, two, and after two more eight.
#[tokio::test]
async fn one_real_batch_tries_and_concurrency_ramps_up() {
    let fault = FaultServer::start().await;
    let one = parcel(0, 1, "span").body.len();
    let breaker = breaker(1, Duration::from_millis(300));
    let setup = config::Destination { connections: 8, max_request_bytes: one, breaker, ..settings(&fault) };
    let destination = start(setup);
    fault.then([Act::Refuse(Code::Unavailable, "busy", None)]).always(Act::Hold);
    let first = destination.hand_over(parcel(0, 1, "span"), soon());
    until(&destination, "open", |status| status.breaker == BreakerState::Open).await;
    let (dialled, received) = (fault.connections(), fault.received().len());
    let receipts: Vec<_> = (1..40).map(|id| destination.hand_over(parcel(id, 1, "span"), soon())).collect();
    assert_eq!((fault.connections(), fault.received().len()), (dialled, received));
    let mut seen = received;
    for (step, in_flight) in [1, 1, 2, 8].into_iter().enumerate() {
        fault.arrived(seen + in_flight).await;
        // Nobody else comes, however long one waits.
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(fault.received().len(), seen + in_flight);
        if step == 0 {
            assert_eq!(destination.status().breaker, BreakerState::HalfOpen);
        }
        fault.release(in_flight);
        seen += in_flight;
    }
    fault.always(Act::Accept).release(1_000);
    assert_eq!(first.await, Ok(()));
    for receipt in receipts {
        assert_eq!(receipt.await, Ok(()));
    }
    assert_each_once(&fault, 40);
    conserved(&destination);
}

/// What the destination asks for holds, breaker or not.
#[tokio::test]
async fn retry_info_is_longer_than_the_breaker() {
    let fault = FaultServer::start().await;
    let pause = Duration::from_millis(600);
    fault.then([Act::Refuse(Code::Unavailable, "later", Some(pause))]);
    let breaker = breaker(1, Duration::from_millis(20));
    let destination = start(config::Destination { breaker, ..settings(&fault) });
    let begin = Instant::now();
    let receipt = destination.hand_over(parcel(0, 1, "span"), soon());
    until(&destination, "open", |status| status.breaker == BreakerState::Open).await;
    destination.retry_now();
    assert_eq!(receipt.await, Ok(()));
    assert!(begin.elapsed() >= pause, "{:?}", begin.elapsed());
    assert_eq!(fault.received().len(), 2);
    conserved(&destination);
}

/// Refusing data and taking some of it are no failures of a destination.
#[tokio::test]
async fn refusals_of_data_do_not_open_it() {
    let fault = FaultServer::start().await;
    fault.poison("poison", Code::InvalidArgument);
    let destination = start(config::Destination { breaker: breaker(2, Duration::from_secs(60)), ..settings(&fault) });
    for id in 0..10 {
        destination.hand_over(parcel(id, 1, "poison"), soon()).await.expect_err("refused");
    }
    fault.then([Act::Partial(1, "one too many"), Act::Partial(1, "one too many")]);
    for id in 10..13 {
        assert_eq!(destination.hand_over(parcel(id, 1, "span"), soon()).await, Ok(()));
    }
    let status = conserved(&destination);
    assert_eq!((status.breaker, status.failures), (BreakerState::Closed, 0));
}

/// Without a store, clients that give up while the destination is being tried do not take the answer with them.
#[tokio::test]
async fn the_request_that_tries_the_destination_goes_on_when_its_client_gives_up() {
    let fault = FaultServer::start().await;
    fault.then([Act::Refuse(Code::Unavailable, "busy", None), Act::Hold]);
    let destination = start(config::Destination { breaker: breaker(1, Duration::from_millis(50)), ..settings(&fault) });
    let answer = destination.hand_over(parcel(0, 1, "span"), Instant::now() + Duration::from_secs(2));
    fault.arrived(2).await;
    answer.await.expect_err("its time is over");
    assert_eq!(destination.status().breaker, BreakerState::HalfOpen);
    fault.release(1);
    let status = until(&destination, "closed", |status| status.breaker == BreakerState::Closed).await;
    assert_eq!((status.spans.accepted, status.delivered_late), (0, 1));
    conserved(&destination);
}
