//! Data that a destination refuses: with a store only the offending spans become dead letters, whoever sent them and
//! whatever they were sent together with; and nothing is sent for ever.

use std::time::Duration;

use crate::support::{
    assert_each_once, conserved, drained, letters, open, parcel, settings, soon, start, start_with, until,
};
use chainspan::config;
use chainspan::delivery::{BreakerState, Destination, Moved, Parcel, Signal, Undelivered};
use chainspan::store::{DeathReason, Filter, Store};
use chainspan_testing::server::{Act, FaultServer};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use prost::Message;
use tempfile::TempDir;
use tonic::Code;

const PERMANENT: [Code; 6] = [
    Code::InvalidArgument,
    Code::Unknown,
    Code::NotFound,
    Code::AlreadyExists,
    Code::FailedPrecondition,
    Code::Internal,
];

fn directory() -> TempDir {
    TempDir::with_prefix("delivery-").expect("a directory")
}

/// As [`parcel`], with the spans of `poison` named `poison-span` and on the chain 8453.
fn mixed(from: u64, count: u64, poison: &[u64]) -> Parcel {
    let plain = parcel(from, count, "span");
    let mut request = ExportTraceServiceRequest::decode(&plain.body[..]).expect("valid");
    for span in request.resource_spans.iter_mut().flat_map(|r| &mut r.scope_spans).flat_map(|s| &mut s.spans) {
        if poison.iter().any(|id| id.to_be_bytes()[..] == span.span_id[..]) {
            span.name = "poison-span".to_owned();
            let value = Some(AnyValue { value: Some(Value::StringValue("8453".to_owned())) });
            span.attributes.push(KeyValue { key: "chain_id".to_owned(), value, ..KeyValue::default() });
        }
    }
    Parcel { body: request.encode_to_vec().into(), ..plain }
}

/// The ids of the spans in each dead letter.
fn dead_spans(store: &Store) -> Vec<Vec<u64>> {
    let ids = |id| {
        let (_, body) = store.letter(id).expect("readable").expect("there");
        let request = ExportTraceServiceRequest::decode(&body[..]).expect("valid");
        let spans = request.resource_spans.into_iter().flat_map(|r| r.scope_spans).flat_map(|s| s.spans);
        spans.map(|span| u64::from_be_bytes(span.span_id.try_into().expect("8 bytes"))).collect()
    };
    let mut dead: Vec<Vec<u64>> = letters(store).into_iter().map(|letter| ids(letter.id)).collect();
    dead.sort_unstable();
    dead
}

/// Parcels that go out together: all of them wait while the first request is held.
async fn together(
    fault: &FaultServer,
    destination: &Destination,
    parcels: Vec<Parcel>,
) -> Vec<Result<(), Undelivered>> {
    let before = fault.received().len();
    let first = destination.hand_over(parcel(1_000_000 + before as u64, 1, "span"), soon());
    fault.arrived(before + 1).await;
    let receipts: Vec<_> = parcels.into_iter().map(|parcel| destination.hand_over(parcel, soon())).collect();
    fault.release(1);
    assert_eq!(first.await, Ok(()));
    let mut answers = Vec::new();
    for receipt in receipts {
        answers.push(receipt.await);
    }
    answers
}

/// One offending span among 16 clients with 32 spans each, for each permanent code: every client hears OK, the span alone
/// is a dead letter that says why, everything else arrives once, at the cost of 2 log2 n requests.
#[tokio::test]
async fn one_poison_span_becomes_a_dead_letter_and_all_others_are_delivered() {
    for code in PERMANENT {
        let (fault, directory) = (FaultServer::start().await, directory());
        fault.then([Act::Hold]).poison("poison-span", code);
        let store = open(directory.path());
        let spill_after = Duration::from_secs(60);
        let destination = start_with(config::Destination { spill_after, ..settings(&fault) }, &store);
        let parcels = (0..16).map(|client| mixed(client * 32, 32, &[7 * 32 + 13])).collect();
        let answers = together(&fault, &destination, parcels).await;
        assert!(answers.iter().all(Result::is_ok), "{code:?}: {answers:?}");
        let status = drained(&destination, &store).await;
        assert_eq!((status.spans.delivered, status.spans.dead, status.failures), (512, 1, 0));
        assert_eq!(status.breaker, BreakerState::Closed);
        assert_each_once(&fault, 512);
        assert!(fault.received().len() <= 2 + 2 * 9 + 1, "{code:?}: {} requests", fault.received().len());
        assert_eq!(dead_spans(&store), [[7 * 32 + 13]]);
        let letter = letters(&store).remove(0);
        assert_eq!((letter.spans, letter.destination.as_str()), (1, "otlp/test"));
        let death = letter.death;
        assert_eq!((death.reason, death.message.as_str()), (DeathReason::Rejected, "poison"));
        assert_eq!(death.code, format!("{:?}", code).chars().fold(String::new(), snake), "{code:?}");
        assert_eq!(death.chains, ["8453"]);
        assert!(death.attempts >= 9 && death.first <= death.last && death.first > 0, "{death:?}");
    }
}

fn snake(mut word: String, letter: char) -> String {
    if letter.is_uppercase() && !word.is_empty() {
        word.push('_');
    }
    word.extend(letter.to_uppercase());
    word
}

/// The same from the disk: the poison comes while the destination is down, and is isolated when the backlog drains.
#[tokio::test]
async fn poison_in_the_backlog_is_isolated_too() {
    let (fault, directory) = (FaultServer::start().await, directory());
    fault.poison("poison-span", Code::InvalidArgument).stop().await;
    let store = open(directory.path());
    let destination = start_with(settings(&fault), &store);
    for client in 0..10 {
        assert_eq!(destination.hand_over(mixed(client * 20, 20, &[33, 34, 150]), soon()).await, Ok(()));
    }
    fault.restart().await;
    let status = drained(&destination, &store).await;
    assert_eq!((status.spans.delivered, status.spans.dead), (197, 3));
    assert_each_once(&fault, 197);
    assert_eq!(dead_spans(&store), [[33], [34], [150]]);
    // The next process finds the same balance.
    assert!(destination.drain(soon()).await);
    drop(destination);
    let spans = start_with(settings(&fault), &store).status().spans;
    assert_eq!((spans.accepted, spans.dead, spans.spilled), (3, 3, 0));
}

/// Dead letters that an operator lets go again are sent again; those that stay refused are dead again, and purging them
/// keeps them in the books.
#[tokio::test]
async fn revived_letters_go_out_again_and_purged_ones_stay_in_the_books() {
    let (fault, directory) = (FaultServer::start().await, directory());
    fault.poison("poison-span", Code::InvalidArgument);
    let store = open(directory.path());
    let destination = start_with(settings(&fault), &store);
    assert_eq!(destination.hand_over(mixed(0, 100, &[5, 50]), soon()).await, Ok(()));
    assert_eq!(drained(&destination, &store).await.spans.dead, 2);
    let revive = || {
        let sums = store.revive(&Filter::default()).expect("written");
        sums.into_iter().for_each(|(_, count)| destination.moved(Moved::Revived(count)));
    };
    revive();
    until(&destination, "dead again", |status| (status.spans.dead, status.spans.spilled) == (2, 0)).await;
    assert_eq!(drained(&destination, &store).await.spans.delivered, 98);
    fault.poison("nothing", Code::InvalidArgument);
    let one = Filter { limit: Some(1), ..Filter::default() };
    let purged = store.purge(&one).expect("written");
    purged.into_iter().for_each(|(_, count)| destination.moved(Moved::Purged(count)));
    revive();
    let status = until(&destination, "delivered", |status| status.spans.delivered == 99).await;
    assert_eq!((status.spans.accepted, status.spans.discarded, status.spans.dead), (100, 1, 0));
    drained(&destination, &store).await;
    assert_each_once(&fault, 99);
}

/// A destination that refuses everything is to blame itself: after a bounded number of requests its breaker opens, the data
/// is kept, and everything arrives when it has come to its senses. What had become a dead letter until then is not lost.
#[tokio::test]
async fn a_destination_that_refuses_everything_is_left_alone_and_the_data_is_kept() {
    let (fault, directory) = (FaultServer::start().await, directory());
    fault.then([Act::Hold]).always(Act::Refuse(Code::InvalidArgument, "schema", None));
    let store = open(directory.path());
    let mut setup = settings(&fault);
    setup.breaker =
        config::Breaker { open_min: Duration::from_secs(3), open_max: Duration::from_secs(3), ..setup.breaker };
    let destination = start_with(setup, &store);
    let parcels = (0..10).map(|client| parcel(client * 100, 100, "span")).collect();
    let answers = together(&fault, &destination, parcels).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let status = until(&destination, "open", |status| status.breaker == BreakerState::Open).await;
    assert!(fault.received().len() < 70, "{} requests", fault.received().len());
    assert!(status.spans.dead + status.spans.in_flight < 1_000 && status.spans.dead < 50, "{status:?}");
    assert!(status.last_error.is_some_and(|error| error.contains("schema")));
    fault.always(Act::Accept);
    let status = drained(&destination, &store).await;
    assert_eq!(status.spans.delivered + status.spans.dead, 1_001);
    assert!(status.spans.dead < 50);
    let revived = store.revive(&Filter::default()).expect("written");
    revived.into_iter().for_each(|(_, count)| destination.moved(Moved::Revived(count)));
    until(&destination, "replayed", |status| status.spans.delivered == 1_001).await;
    drained(&destination, &store).await;
    assert_each_once(&fault, 1_001);
}

/// A record that is all poison does not stand in the way of those behind it, and does not end in a loop.
#[tokio::test]
async fn a_record_of_nothing_but_poison_does_not_block_the_backlog() {
    let (fault, directory) = (FaultServer::start().await, directory());
    fault.poison("poison-span", Code::InvalidArgument).stop().await;
    let store = open(directory.path());
    let one = parcel(0, 200, "poison-span").body.len();
    let setup = config::Destination { max_request_bytes: one + 10, ..settings(&fault) };
    let destination = start_with(setup, &store);
    assert_eq!(destination.hand_over(parcel(0, 200, "poison-span"), soon()).await, Ok(()));
    for client in 1..5 {
        assert_eq!(destination.hand_over(parcel(client * 1_000, 100, "span"), soon()).await, Ok(()));
    }
    fault.restart().await;
    let status = drained(&destination, &store).await;
    assert_eq!((status.spans.delivered, status.spans.dead), (400, 200));
    assert_each_once(&fault, 400);
    assert_eq!(letters(&store).len(), 200);
}

/// A lower limit of the destination is found by halving, once; then requests fit. A single span above it is a dead letter.
#[tokio::test]
async fn a_lower_limit_is_remembered_and_a_span_above_it_is_a_dead_letter() {
    let (fault, directory) = (FaultServer::start().await, directory());
    fault.limit(100_000);
    let store = open(directory.path());
    let destination = start_with(settings(&fault), &store);
    let huge = "long".repeat(30_000);
    for round in 0..10 {
        assert_eq!(destination.hand_over(parcel(round * 3_000, 3_000, "span"), soon()).await, Ok(()));
    }
    drained(&destination, &store).await;
    let refused = fault.received().iter().filter(|request| !request.accepted).count();
    assert!((1..=3).contains(&refused), "{refused}");
    assert_eq!(destination.hand_over(parcel(50_000, 1, &huge), soon()).await, Ok(()));
    let status = drained(&destination, &store).await;
    assert_eq!((status.spans.delivered, status.spans.dead), (30_000, 1));
    assert_each_once(&fault, 30_000);
    assert_eq!(letters(&store)[0].death.reason, DeathReason::TooLarge);
}

/// Requests of metrics and logs are isolated by what is in them, and counted as requests.
#[tokio::test]
async fn logs_and_metrics_are_isolated_too() {
    let (fault, directory) = (FaultServer::start().await, directory());
    fault.poison("poison", Code::InvalidArgument);
    let store = open(directory.path());
    let destination = start_with(settings(&fault), &store);
    let logs = |text: &str| chainspan_testing::otlp::logs("gateway", text).encode_to_vec();
    let joined = [logs("fine"), logs("poison"), logs("fine"), logs("poison")].concat();
    let parcel = Parcel { signal: Signal::Logs, body: joined.into(), spans: 0 };
    assert_eq!(destination.hand_over(parcel, soon()).await, Ok(()));
    let status = drained(&destination, &store).await;
    assert_eq!((status.requests.accepted, status.requests.dead), (1, 1), "a request that is dead in part is dead");
    assert_eq!(fault.received().iter().filter(|request| request.accepted).count(), 2);
    assert_eq!(letters(&store).len(), 1);
}

/// Deltas are handed back as ever: there is no dead letter for what may be late.
#[tokio::test]
async fn what_must_not_be_sent_twice_is_refused_to_whoever_sent_it() {
    let (fault, directory) = (FaultServer::start().await, directory());
    fault.poison("poison", Code::InvalidArgument);
    let store = open(directory.path());
    let destination = start_with(settings(&fault), &store);
    let answer = destination.hand_over_at_most_once(parcel(0, 10, "poison"), soon()).await;
    assert!(matches!(answer, Err(Undelivered::Rejected { .. })), "{answer:?}");
    assert_eq!((fault.received().len(), letters(&store).len()), (1, 0));
    conserved(&destination);
}

/// The disk has no room for the dead letter: its client hears the destination's words, as it would without a store.
#[tokio::test]
async fn poison_that_cannot_be_kept_goes_back_to_its_client() {
    let (fault, directory) = (FaultServer::start().await, directory());
    fault.then([Act::Hold]).poison("poison-span", Code::InvalidArgument);
    let store = crate::support::open_with(directory.path(), 1);
    let destination = start_with(settings(&fault), &store);
    let parcels = vec![mixed(0, 10, &[]), mixed(10, 10, &[15]), mixed(20, 10, &[])];
    let answers = together(&fault, &destination, parcels).await;
    assert!(answers[0].is_ok() && answers[2].is_ok(), "{answers:?}");
    assert!(matches!(answers[1], Err(Undelivered::Rejected { code: Code::InvalidArgument, .. })), "{answers:?}");
    // Nine of its spans had been delivered: they are counted as late, and the client may send them again.
    let status = conserved(&destination);
    assert_eq!((status.spans.delivered, status.delivered_late), (21, 9));
}

/// `partial_success` is about one request of several parcels: each of them is answered OK, and the books have every span.
#[tokio::test]
async fn partial_success_across_parcels_is_counted_once() {
    let fault = FaultServer::start().await;
    fault.then([Act::Hold, Act::Partial(7, "seven")]);
    let destination = start(settings(&fault));
    let answers = together(&fault, &destination, (0..4).map(|n| parcel(n * 5, 5, "span")).collect()).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let spans = conserved(&destination).spans;
    assert_eq!((spans.accepted, spans.delivered, spans.rejected), (21, 14, 7));
    assert_eq!(fault.received().len(), 2);
}
