//! An agent that is away, slow, flapping, or forgets to answer (`docs/reliability.md`).

use std::path::Path;
use std::time::{Duration, Instant};

use chainspan_testing::torture::scenario::outage;
use chainspan_testing::torture::{Bed, Mood, Setup, Shape, Verdict};

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_chainspan"))
}

const LOAD: Shape = Shape { clients: 4, spans: 32, rate: Some(6_000) };

/// The end: the agent is well again, nothing is lost, and the books are right.
async fn end(mut bed: Bed) -> Verdict {
    bed.agent.set_mood(Mood::Good);
    bed.agent.come_up().expect("the same port");
    let (verdict, contents) = bed.verdict().await.expect("at rest");
    eprintln!("{verdict}");
    assert!(verdict.violations.is_empty(), "{:#?}", verdict.violations);
    assert!(contents.letters.is_empty(), "no dead letters: {:?}", contents.reasons());
    assert!(verdict.acknowledged > 500, "the clients heard OK");
    verdict
}

async fn bed(setup: Setup) -> Bed {
    let mut bed = Bed::new(setup).expect("a bed");
    bed.start().await.expect("started");
    bed
}

/// The agent is away for seconds: clients go on hearing OK, and when it is back the backlog drains by itself beside them.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_not_noticed_by_clients_and_drains_by_itself() {
    let plan = outage::Plan { outage: Duration::from_secs(5), rate: 10_000, spans: 128, max_size_mib: 1024 };
    let report = outage::run(program(), plan, |_, _, _| ()).await.expect("ran");
    eprintln!("{report:#?}");
    assert!(report.verdict.violations.is_empty(), "{:#?}", report.verdict.violations);
    assert!(report.backlog > 1_000 && report.acknowledged > 1_000, "it was kept");
    assert_eq!(report.verdict.refused.len(), 0, "nobody was refused");
}

/// It answers after two seconds: clients do not wait for it, and nothing is sent twice, for nothing is in doubt.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_agent_delays_nobody() {
    let bed = bed(Setup::quick(program())).await;
    let delay = Duration::from_secs(2);
    bed.agent.set_mood(Mood::Slow(delay));
    let (load, begin) = (bed.load(LOAD), Instant::now());
    tokio::time::sleep(2 * delay).await;
    // Four clients that wait two seconds for 32 spans would take more than a minute.
    while bed.oracle.acknowledged() <= 4_000 {
        assert!(begin.elapsed() < Duration::from_secs(30), "{} spans", bed.oracle.acknowledged());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    load.stop().await;
    let verdict = end(bed).await;
    assert_eq!((verdict.repeated, verdict.refused.len()), (0, 0));
}

/// It takes everything and its answers come after the timeout: everything arrives again and again until it is quicker, and
/// nothing else does.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_answers_too_late_causes_repeats_and_no_loss() {
    let mut setup = Setup::quick(program());
    setup.exporter.push_str(", timeout: 500ms");
    let bed = bed(setup).await;
    bed.agent.set_mood(Mood::Slow(Duration::from_secs(2)));
    let load = bed.load(LOAD);
    tokio::time::sleep(Duration::from_secs(3)).await;
    load.stop().await;
    let verdict = end(bed).await;
    assert!(verdict.repeated > 0, "what was in doubt was sent again");
}

/// One second up, one second down.
#[tokio::test(flavor = "multi_thread")]
async fn a_flapping_agent_loses_nothing() {
    let bed = bed(Setup::quick(program())).await;
    let load = bed.load(LOAD);
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        bed.agent.go_down().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        bed.agent.come_up().expect("the same port");
    }
    load.stop().await;
    let verdict = end(bed).await;
    assert_eq!(verdict.refused.len(), 0, "nobody was refused");
}

/// It takes everything, answers every other request, and cuts the connection of the others: exactly those are repeated.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_resets_half_of_the_requests_loses_nothing() {
    let bed = bed(Setup::quick(program())).await;
    bed.agent.set_mood(Mood::HalfReset);
    let load = bed.load(LOAD);
    tokio::time::sleep(Duration::from_secs(4)).await;
    load.stop().await;
    let verdict = end(bed).await;
    assert!(verdict.repeated > 0, "what was in doubt was sent again");
}

/// Without `file_storage`: an agent that goes, comes, and forgets to answer. Clients hear more refusals, and what they hear
/// OK for is at the agent.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_store_a_bad_agent_loses_nothing_either() {
    let bed = bed(Setup { storage: None, ..Setup::quick(program()) }).await;
    bed.agent.set_mood(Mood::HalfReset);
    let load = bed.load(LOAD);
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        bed.agent.go_down().await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        bed.agent.come_up().expect("the same port");
    }
    load.stop().await;
    let verdict = end(bed).await;
    assert!(verdict.repeated > 0, "what was in doubt was sent again");
}

/// While the breaker is open nothing is dialled: an agent that is away for long is not bothered.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_refuses_is_left_alone_while_the_breaker_is_open() {
    let mut setup = Setup::quick(program());
    setup.exporter = "spill_after: 20ms, retry_on_failure: {initial_interval: 20ms, max_interval: 200ms}, \
                      circuit_breaker: {open_min: 60s, open_max: 60s}"
        .to_owned();
    let mut bed = bed(setup).await;
    bed.agent.set_mood(Mood::Refuse(tonic::Code::Unavailable));
    let load = bed.load(LOAD);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = bed.agent.requests();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(bed.agent.requests(), before, "an open breaker lets nothing through");
    assert!(before < 40, "five failures open it: {before} requests");
    load.stop().await;
    assert_eq!(bed.status().await.expect("a status")["destinations"]["otlp/datadog"]["breaker"], "open");
    // What a patient operator does not do: a restart. The breaker starts closed and the backlog goes out.
    bed.agent.set_mood(Mood::Good);
    bed.terminate().await.expect("drained into the store");
    bed.start().await.expect("started");
    let verdict = end(bed).await;
    assert_eq!(verdict.refused.len(), 0, "nobody was refused");
}
