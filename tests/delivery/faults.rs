//! One destination against a server that misbehaves: what is delivered, what is refused, what is handed back, and that
//! nothing vanishes on the way.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use chainspan::config::{self, Compression, Role};
use chainspan::delivery::{Parcel, Signal, Undelivered};
use chainspan_testing::server::{Act, FaultServer};
use tokio::time::Instant;
use tonic::Code;

use crate::support::{assert_each_once, conserved, counted, parcel, settings, soon, start};

#[tokio::test]
async fn a_parcel_arrives_as_it_was_with_our_headers_under_each_compression() {
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let fault = FaultServer::start().await;
        let destination = start(config::Destination { compression, ..settings(&fault) });
        let sent = parcel(0, 20, "span");
        assert_eq!(destination.hand_over(sent.clone(), soon()).await, Ok(()));
        let received = &fault.received()[0];
        assert_eq!(received.body, sent.body);
        assert_eq!(received.path, Signal::Traces.grpc_path());
        assert_eq!(received.headers["x-token"], "secret");
        assert_eq!(received.headers["te"], "trailers");
        assert_eq!(conserved(&destination).spans.delivered, 20);
    }
}

/// Each code that may be tried again is tried again, and the data arrives once.
#[tokio::test]
async fn retryable_codes_are_retried_until_the_destination_takes_the_data() {
    let codes =
        [Code::Cancelled, Code::DeadlineExceeded, Code::Aborted, Code::OutOfRange, Code::Unavailable, Code::DataLoss];
    for code in codes.into_iter().chain([Code::Unimplemented, Code::Unauthenticated, Code::PermissionDenied]) {
        let fault = FaultServer::start().await;
        fault.then([Act::Refuse(code, "not now", None), Act::Refuse(code, "not now", None)]);
        let destination = start(settings(&fault));
        assert_eq!(destination.hand_over(parcel(0, 3, "span"), soon()).await, Ok(()), "{code:?}");
        assert_eq!(fault.received().len(), 3, "{code:?}");
        assert_each_once(&fault, 3);
        assert_eq!(conserved(&destination).failures, 0);
    }
}

#[tokio::test]
async fn permanent_codes_are_answered_to_the_client_after_one_attempt() {
    for code in [
        Code::InvalidArgument,
        Code::Unknown,
        Code::NotFound,
        Code::AlreadyExists,
        Code::FailedPrecondition,
        Code::Internal,
    ] {
        let fault = FaultServer::start().await;
        fault.always(Act::Refuse(code, "never", None));
        let destination = start(settings(&fault));
        let answer = destination.hand_over(parcel(0, 3, "span"), soon()).await;
        let expected = Undelivered::Rejected { destination: "otlp/test".to_owned(), code, message: "never".to_owned() };
        assert_eq!(answer, Err(expected));
        assert_eq!(fault.received().len(), 1, "{code:?}");
        assert_eq!(conserved(&destination).spans.accepted, 0);
    }
}

#[tokio::test]
async fn retry_info_is_honoured_also_for_resource_exhausted() {
    let fault = FaultServer::start().await;
    let pause = Duration::from_millis(300);
    fault.then([Act::Refuse(Code::ResourceExhausted, "later", Some(pause))]);
    let destination = start(config::Destination { connections: 3, ..settings(&fault) });
    let begin = Instant::now();
    let (first, second) = (parcel(0, 3, "span"), parcel(3, 3, "span"));
    let first = destination.hand_over(first, soon());
    fault.arrived(1).await;
    let second = destination.hand_over(second, soon());
    assert_eq!((first.await, second.await), (Ok(()), Ok(())));
    assert!(begin.elapsed() >= pause);
    assert_each_once(&fault, 6);
    conserved(&destination);
}

/// A reset, a GOAWAY, a server that goes away and comes back: a new connection is made and nothing is lost.
#[tokio::test]
async fn broken_connections_are_replaced() {
    let fault = FaultServer::start().await;
    fault.then([Act::Reset, Act::Accept, Act::GoAway]);
    let destination = start(settings(&fault));
    let mut sent = 0;
    // After the reset and the GOAWAY (which leaves the old connection open for a moment) there is a third connection.
    while fault.connections() < 3 {
        assert_eq!(destination.hand_over(parcel(sent, 1, "span"), soon()).await, Ok(()));
        sent += 1;
    }
    fault.stop().await;
    let waiting = destination.hand_over(parcel(sent, 1, "span"), soon());
    while destination.status().failures < 2 {
        tokio::task::yield_now().await;
    }
    assert!(destination.status().last_error.is_some());
    fault.restart().await;
    assert_eq!(waiting.await, Ok(()));
    assert_each_once(&fault, sent + 1);
    assert_eq!(conserved(&destination).spans.delivered, sent + 1);
}

/// A destination that never answers costs an attempt timeout, not the data.
#[tokio::test]
async fn a_black_hole_is_left_after_the_attempt_timeout() {
    let fault = FaultServer::start().await;
    fault.then([Act::BlackHole]);
    let destination = start(config::Destination { timeout: Duration::from_secs(1), ..settings(&fault) });
    assert_eq!(destination.hand_over(parcel(0, 2, "span"), soon()).await, Ok(()));
    assert_eq!((fault.received().len(), fault.connections()), (2, 2));
    conserved(&destination);
}

/// A parcel that is to go out once: refusals that leave no doubt are retried, silence is not, and its neighbours in the
/// same request are sent again as ever.
#[tokio::test]
async fn what_may_have_arrived_is_not_sent_twice_when_that_was_asked() {
    let fault = FaultServer::start().await;
    fault.then([Act::Refuse(Code::Unavailable, "busy", None)]);
    let destination = start(settings(&fault));
    assert_eq!(destination.hand_over_at_most_once(parcel(0, 1, "once"), soon()).await, Ok(()));
    assert_eq!(fault.received().len(), 2);

    for act in [Act::Reset, Act::Refuse(Code::DeadlineExceeded, "upstream", None)] {
        let fault = FaultServer::start().await;
        fault.then([act]);
        let destination = start(settings(&fault));
        let once = destination.hand_over_at_most_once(parcel(0, 1, "once"), soon());
        let again = destination.hand_over(parcel(1, 1, "again"), soon());
        assert!(matches!(once.await, Err(Undelivered::Ambiguous { .. })));
        assert_eq!(again.await, Ok(()));
        assert_each_once(&fault, 1);
        conserved(&destination);
    }
}

#[tokio::test]
async fn a_parcel_whose_time_is_over_is_handed_back_with_the_last_error_and_its_memory_is_free() {
    let fault = FaultServer::start().await;
    fault.always(Act::Refuse(Code::Unavailable, "closed for lunch", None));
    let destination = start(settings(&fault));
    let (sent, alive) = counted(parcel(0, 2, "span"));
    let answer = destination.hand_over(sent, Instant::now() + Duration::from_millis(500)).await;
    let Err(Undelivered::Timeout { last_error, .. }) = answer else { panic!("{answer:?}") };
    assert!(last_error.contains("closed for lunch"), "{last_error}");
    assert_eq!(alive.load(Ordering::SeqCst), 0);
    assert_eq!(conserved(&destination).spans.accepted, 0);
}

/// While a request is in flight the next one grows: 200 parcels go out in a handful of requests, none above the limit.
#[tokio::test]
async fn small_parcels_are_coalesced_up_to_the_limit() {
    let fault = FaultServer::start().await;
    fault.then([Act::Hold]);
    let one = parcel(0, 4, "span").body.len();
    let max_request_bytes = one * 50;
    let destination = start(config::Destination { max_request_bytes, ..settings(&fault) });
    let mut receipts = vec![destination.hand_over(parcel(0, 4, "span"), soon())];
    fault.arrived(1).await;
    receipts.extend((1..=200).map(|n| destination.hand_over(parcel(n * 4, 4, "span"), soon())));
    fault.release(1);
    for receipt in receipts {
        assert_eq!(receipt.await, Ok(()));
    }
    let received = fault.received();
    assert_eq!(received.len(), 1 + 4);
    assert!(received.iter().all(|request| request.body.len() <= max_request_bytes));
    assert_each_once(&fault, 804);
    conserved(&destination);
}

#[tokio::test]
async fn an_oversized_parcel_is_split_and_delivered_when_all_its_pieces_are() {
    let fault = FaultServer::start().await;
    let destination = start(config::Destination { max_request_bytes: 4_000, ..settings(&fault) });
    assert_eq!(destination.hand_over(parcel(0, 500, "span"), soon()).await, Ok(()));
    let received = fault.received();
    assert!(received.len() > 3 && received.iter().all(|request| request.body.len() <= 4_000));
    assert_each_once(&fault, 500);
    assert_eq!(conserved(&destination).spans.delivered, 500);
}

#[tokio::test]
async fn a_destination_with_a_lower_limit_gets_halves_and_a_single_span_too_large_is_rejected() {
    let fault = FaultServer::start().await;
    fault.limit(1_000);
    let destination = start(settings(&fault));
    assert_eq!(destination.hand_over(parcel(0, 200, "span"), soon()).await, Ok(()));
    assert_each_once(&fault, 200);
    let answer = destination.hand_over(parcel(200, 1, &"long".repeat(500)), soon()).await;
    assert!(matches!(answer, Err(Undelivered::Rejected { code: Code::ResourceExhausted, .. })), "{answer:?}");
    assert_eq!(conserved(&destination).spans.delivered, 200);
}

/// One offender among 64 coalesced clients: it alone hears of it, in at most 2 log2 n more requests.
#[tokio::test]
async fn poison_is_isolated_to_the_client_that_sent_it() {
    let fault = FaultServer::start().await;
    fault.then([Act::Hold]).poison("poison-span", Code::InvalidArgument);
    let destination = start(settings(&fault));
    let first = destination.hand_over(parcel(1_000, 1, "span"), soon());
    fault.arrived(1).await;
    let name = |n| if n == 37 { "poison-span" } else { "span" };
    let receipts: Vec<_> = (0..64).map(|n| destination.hand_over(parcel(n, 1, name(n)), soon())).collect();
    fault.release(1);
    assert_eq!(first.await, Ok(()));
    for (n, receipt) in receipts.into_iter().enumerate() {
        let answer = receipt.await;
        assert_eq!(
            matches!(answer, Err(Undelivered::Rejected { code: Code::InvalidArgument, .. })),
            n == 37,
            "{n}: {answer:?}"
        );
        assert_eq!(answer.is_ok(), n != 37, "{n}");
    }
    assert_each_once(&fault, 64);
    assert!(fault.received().len() <= 2 + 2 * 6);
    assert_eq!(conserved(&destination).spans.delivered, 64);
}

#[tokio::test]
async fn partial_success_is_counted_never_retried() {
    let fault = FaultServer::start().await;
    fault.then([Act::Partial(2, "two too many"), Act::Partial(99, "all")]);
    let destination = start(settings(&fault));
    assert_eq!(destination.hand_over(parcel(0, 5, "span"), soon()).await, Ok(()));
    assert_eq!(destination.hand_over(parcel(5, 5, "span"), soon()).await, Ok(()));
    assert_eq!(fault.received().len(), 2);
    let spans = conserved(&destination).spans;
    assert_eq!((spans.accepted, spans.delivered, spans.rejected), (10, 3, 7));
}

/// A withdrawn parcel is not sent, queued or in flight its memory is free at once, and it has never been accepted.
#[tokio::test]
async fn withdrawn_parcels_are_not_sent_and_hold_no_memory() {
    let fault = FaultServer::start().await;
    fault.then([Act::BlackHole]);
    let destination = start(settings(&fault));
    let (first, first_alive) = counted(parcel(0, 1, "span"));
    let (second, second_alive) = counted(parcel(1, 1, "span"));
    let first = destination.hand_over(first, soon());
    fault.arrived(1).await;
    let second = destination.hand_over(second, soon());
    drop((first, second));
    while first_alive.load(Ordering::SeqCst) + second_alive.load(Ordering::SeqCst) > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(destination.hand_over(parcel(2, 1, "span"), soon()).await, Ok(()));
    assert_eq!(fault.received().len(), 2);
    assert_each_once(&fault, 1);
    assert_eq!(conserved(&destination).spans.accepted, 1);
}

/// A debug destination that is down takes parcels without waiting, up to 16 MiB; the rest is discarded and counted.
#[tokio::test]
async fn a_debug_destination_never_delays_and_counts_its_drops() {
    let fault = FaultServer::start().await;
    fault.stop().await;
    let destination = start(config::Destination { role: Role::Debug, ..settings(&fault) });
    let body = parcel(0, 1_000, &"x".repeat(1_000));
    for _ in 0..20 {
        assert_eq!(destination.hand_over(body.clone(), Instant::now()).await, Ok(()));
    }
    while destination.status().spans.accepted < 20_000 {
        tokio::task::yield_now().await;
    }
    let spans = destination.status().spans;
    assert!(spans.holds() && spans.discarded >= 3_000 && spans.in_flight > 10_000, "{spans:?}");
    assert!(!destination.drain(Instant::now()).await);
    assert_eq!(conserved(&destination).spans.discarded, 20_000);
}

#[tokio::test]
async fn a_drain_finishes_what_is_queued_and_then_takes_nothing_more() {
    let fault = FaultServer::start().await;
    fault.then([Act::Refuse(Code::Unavailable, "wait", None)]);
    let destination = start(settings(&fault));
    let receipts: Vec<_> = (0..10).map(|n| destination.hand_over(parcel(n, 1, "span"), soon())).collect();
    assert!(destination.drain(soon()).await);
    for receipt in receipts {
        assert_eq!(receipt.await, Ok(()));
    }
    assert_eq!(destination.hand_over(parcel(99, 1, "span"), soon()).await, Err(Undelivered::Closed));
    assert_each_once(&fault, 10);
    conserved(&destination);
}

#[tokio::test]
async fn metrics_and_logs_are_counted_as_requests() {
    let fault = FaultServer::start().await;
    let destination = start(settings(&fault));
    for signal in [Signal::Metrics, Signal::Logs] {
        let parcel = Parcel { signal, body: Bytes::from_static(&[0x0a, 0x00]), spans: 0 };
        assert_eq!(destination.hand_over(parcel, soon()).await, Ok(()));
    }
    let paths: Vec<String> = fault.received().into_iter().map(|request| request.path).collect();
    assert_eq!(paths, [Signal::Metrics.grpc_path(), Signal::Logs.grpc_path()]);
    assert_eq!(conserved(&destination).requests.delivered, 2);
}

/// A parcel in pieces of which one arrived before its time was over: its client may send it again, and the piece that
/// arrived is counted as late.
#[tokio::test]
async fn what_arrives_of_a_parcel_that_was_handed_back_is_counted_as_late() {
    let fault = FaultServer::start().await;
    fault.then([Act::Accept]).always(Act::Refuse(Code::Unavailable, "busy", None));
    let destination = start(config::Destination { max_request_bytes: 4_000, ..settings(&fault) });
    let answer = destination.hand_over(parcel(0, 500, "span"), Instant::now() + Duration::from_secs(1)).await;
    assert!(matches!(answer, Err(Undelivered::Timeout { .. })), "{answer:?}");
    let arrived = fault.accepted_spans().len() as u64;
    let status = conserved(&destination);
    assert!(arrived > 0 && arrived < 500);
    assert_eq!((status.spans.accepted, status.delivered_late), (0, arrived));
}

/// `max_elapsed_time` ends the waiting before the client would, and frees the memory.
#[tokio::test]
async fn a_parcel_is_given_up_after_max_elapsed_time() {
    let fault = FaultServer::start().await;
    fault.always(Act::Refuse(Code::Unavailable, "busy", None));
    let mut setup = settings(&fault);
    setup.retry.max_elapsed_time = Some(Duration::from_millis(100));
    let destination = start(setup);
    let (sent, alive) = counted(parcel(0, 2, "span"));
    let begin = Instant::now();
    let answer = destination.hand_over(sent, soon()).await;
    assert!(matches!(answer, Err(Undelivered::Timeout { .. })), "{answer:?}");
    assert!(begin.elapsed() >= Duration::from_millis(100) && begin.elapsed() < Duration::from_secs(20));
    assert_eq!(alive.load(Ordering::SeqCst), 0);
    assert_eq!(conserved(&destination).spans.accepted, 0);
}

/// The pieces of a parcel are copies: as long as one of them waits, so does the parcel, and what the budget knows of it.
#[tokio::test]
async fn a_divided_parcel_stays_in_the_budget_until_its_last_piece_has_arrived() {
    let fault = FaultServer::start().await;
    fault.then([Act::Hold, Act::Hold]);
    let (sent, alive) = counted(parcel(0, 150, "span"));
    let max_request_bytes = sent.body.len() * 2 / 3;
    let destination = start(config::Destination { max_request_bytes, ..settings(&fault) });
    let receipt = destination.hand_over(sent, soon());
    for piece in 1..=2 {
        fault.arrived(piece).await;
        assert_eq!(alive.load(Ordering::SeqCst), 1, "{piece}");
        fault.release(1);
    }
    assert_eq!(receipt.await, Ok(()));
    assert_eq!(alive.load(Ordering::SeqCst), 0);
    assert_each_once(&fault, 150);
    conserved(&destination);
}
