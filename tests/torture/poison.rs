//! Spans that the agent refuses (`docs/reliability.md`): they alone become dead letters, with their reason, and nothing
//! waits for them.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::sync::Arc;

use chainspan_testing::torture::{Bed, Mood, Outcome, Setup, kept, load};
use serde_json::Value;
use tokio::task::JoinSet;
use tonic::Code;

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_chainspan"))
}

/// What OTLP calls permanent, as the dead letters spell it.
const PERMANENT: [(Code, &str); 6] = [
    (Code::InvalidArgument, "INVALID_ARGUMENT"),
    (Code::Unknown, "UNKNOWN"),
    (Code::NotFound, "NOT_FOUND"),
    (Code::AlreadyExists, "ALREADY_EXISTS"),
    (Code::FailedPrecondition, "FAILED_PRECONDITION"),
    (Code::Internal, "INTERNAL"),
];

const REQUESTS: u64 = 24;
const SPANS: u32 = 16;

async fn bed() -> Bed {
    let mut bed = Bed::new(Setup::quick(program())).expect("a bed");
    bed.start().await.expect("started");
    bed
}

/// Sends `REQUESTS` requests of `SPANS` spans side by side, and expects every one to be acknowledged.
async fn send_all(bed: &Bed) {
    let service = load::service(bed.target().expect("open")).await.expect("connected");
    let mut sent = JoinSet::new();
    for _ in 0..REQUESTS {
        let (oracle, mut service) = (bed.oracle.clone(), service.clone());
        sent.spawn(async move { load::send(&oracle, &mut service, SPANS).await });
    }
    while let Some(outcome) = sent.join_next().await {
        assert_eq!(outcome.expect("no panic"), Outcome::Acknowledged);
    }
    bed.drained(chainspan_testing::torture::bed::PATIENCE).await.expect("nothing waits for a poison span");
}

/// For each permanent code: four poison spans among 384, two of them neighbours, one the first and one the last of all. The
/// clients hear OK, exactly these four become dead letters, one span each, the other 380 arrive exactly once, and the agent
/// is asked no more than bisection needs.
#[tokio::test(flavor = "multi_thread")]
async fn a_poison_span_dies_alone_whatever_the_code() {
    let mut bed = bed().await;
    let all = REQUESTS * u64::from(SPANS);
    let mut dead = BTreeSet::new();
    for (round, (code, name)) in (0..).zip(PERMANENT) {
        let poison: HashSet<u64> = [0, 100, 101, all - 1].map(|number| round * all + number).into();
        dead.extend(poison.iter().copied());
        bed.agent.set_mood(Mood::Poison(Arc::new(poison), code));
        let before = bed.agent.requests();
        send_all(&bed).await;
        let asked = bed.agent.requests() - before;
        // All in one batch: two requests for each halving of 384 and each offender, and the batch itself.
        assert!(asked <= REQUESTS + 4 * 2 * 10, "{name}: {asked} requests");
        let listed = kept::dlq_list(program(), &bed.config()).expect("a list");
        assert_eq!(listed.len() as u64, 4 * (round + 1), "{name}");
        for letter in &listed[4 * round as usize..] {
            let field = |key: &str| letter[key].clone();
            assert_eq!((field("code"), field("reason"), field("spans")), (name.into(), "rejected".into(), 1.into()));
            assert_eq!(field("destination"), "otlp/datadog", "{letter}");
            assert!(field("message").as_str().is_some_and(|text| text.contains("does not want this")), "{letter}");
            assert!(field("chains").as_array().is_some_and(|chains| chains.len() == 1), "{letter}");
            assert!(matches!(field("attempts"), Value::Number(_)), "{letter}");
        }
    }
    let (verdict, contents) = bed.verdict().await.expect("at rest");
    assert!(verdict.violations.is_empty(), "{:#?}", verdict.violations);
    assert_eq!(contents.dead().into_iter().collect::<BTreeSet<_>>(), dead);
    assert_eq!((verdict.dead, verdict.repeated, verdict.lost), (dead.len() as u64, 0, 0));
}

/// RESOURCE_EXHAUSTED without RetryInfo means too large: requests are halved until they fit, and only a span that does not
/// fit on its own is given up.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_cut_until_it_fits() {
    let mut bed = bed().await;
    bed.agent.set_mood(Mood::Limit(1_000));
    send_all(&bed).await;
    assert_eq!(bed.count("dead").await.expect("a count"), 0, "a few spans fit");
    let all = REQUESTS * u64::from(SPANS);
    let giants: HashSet<u64> = [7, 200, 201].map(|number| all + number).into();
    bed.agent.set_mood(Mood::Poison(Arc::new(giants.clone()), Code::ResourceExhausted));
    send_all(&bed).await;
    let (verdict, contents) = bed.verdict().await.expect("at rest");
    assert!(verdict.violations.is_empty(), "{:#?}", verdict.violations);
    assert_eq!(contents.reasons(), [("too_large", giants.len())].into());
    assert_eq!(contents.dead().into_iter().collect::<HashSet<_>>(), giants);
    assert_eq!((verdict.delivered, verdict.repeated), (2 * all - giants.len() as u64, 0));
}

/// An agent that refuses whatever it is sent, with a code that means the data: a few spans die of it until it is clear that
/// it is not theirs, then the breaker opens and the rest is kept, and goes out when the agent is itself again.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_refuses_everything_does_not_turn_everything_into_dead_letters() {
    let mut bed = bed().await;
    bed.agent.set_mood(Mood::Refuse(Code::InvalidArgument));
    let mut service = load::service(bed.target().expect("open")).await.expect("connected");
    for _ in 0..REQUESTS {
        assert_eq!(load::send(&bed.oracle, &mut service, SPANS).await, Outcome::Acknowledged);
    }
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let all = REQUESTS * u64::from(SPANS);
    let dead = bed.count("dead").await.expect("a count");
    assert!(dead < all / 2, "{dead} of {all} died in three seconds");
    assert!(bed.count("spilled").await.expect("a count") > 0, "the rest is kept");
    bed.agent.set_mood(Mood::Good);
    let (verdict, _) = bed.verdict().await.expect("at rest");
    assert!(verdict.violations.is_empty(), "{:#?}", verdict.violations);
    assert_eq!((verdict.lost, verdict.repeated), (0, 0));
}

/// A destination that is set up wrongly refuses everything: nothing dies of that. The data is kept, and goes out when the
/// mistake is mended.
#[tokio::test(flavor = "multi_thread")]
async fn a_misconfigured_destination_costs_nothing() {
    let mut bed = bed().await;
    for code in [Code::Unimplemented, Code::Unauthenticated, Code::PermissionDenied] {
        bed.agent.set_mood(Mood::Refuse(code));
        let service = load::service(bed.target().expect("open")).await.expect("connected");
        for _ in 0..REQUESTS {
            let outcome = load::send(&bed.oracle, &mut service.clone(), SPANS).await;
            assert_eq!(outcome, Outcome::Acknowledged, "{code:?}");
        }
        assert!(bed.count("spilled").await.expect("a count") > 0, "{code:?}: kept");
        assert_eq!(bed.count("dead").await.expect("a count"), 0, "{code:?}");
        bed.agent.set_mood(Mood::Good);
        bed.drained(chainspan_testing::torture::bed::PATIENCE).await.expect("goes out by itself");
    }
    let (verdict, contents) = bed.verdict().await.expect("at rest");
    assert!(verdict.violations.is_empty(), "{:#?}", verdict.violations);
    assert!(contents.letters.is_empty());
    assert_eq!(verdict.repeated, 0);
}
