//! kill -9, again and again (`docs/reliability.md`).

use std::path::Path;
use std::time::Duration;

use chainspan_testing::torture::scenario::kills::{Plan, run};
use chainspan_testing::torture::{Bed, Setup, Shape};

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_chainspan"))
}

/// A hundred kills at random moments, under load and within the first 300 ms of a start, while the agent is up, down or
/// flapping: every acknowledged span is at the agent, spans are repeated only around a kill or a lost connection, and the
/// books are right at every look.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_kills_lose_nothing() {
    let plan = Plan { kills: 100, seed: fastrand::u64(..), storage: true, longest: Duration::from_millis(300) };
    eprintln!("{plan:?}");
    let report = run(program(), plan, |_| ()).await.expect("ran");
    eprintln!("{report:#?}");
    assert!(report.verdict.violations.is_empty(), "{plan:?}: {:#?}", report.verdict.violations);
    assert!(report.during_recovery > 10 && report.under_load > 30, "both kinds of kills");
    assert!(report.most_spilled > 0, "the store was used");
    assert!(report.verdict.acknowledged > 1_000, "the clients heard OK");
}

/// Without `file_storage` OK means delivered: kills lose nothing either, they only make clients send again.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_store_what_was_acknowledged_is_at_the_agent() {
    let plan = Plan { kills: 20, seed: fastrand::u64(..), storage: false, longest: Duration::from_millis(300) };
    let report = run(program(), plan, |_| ()).await.expect("ran");
    eprintln!("{report:#?}");
    assert!(report.verdict.violations.is_empty(), "{plan:?}: {:#?}", report.verdict.violations);
    assert!(report.verdict.acknowledged > 500, "the clients heard OK");
}

/// The judge is awake: when somebody throws the store away between two lives of the process, the verdict says what is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_thrown_away_does_not_go_unnoticed() {
    let mut bed = Bed::new(Setup::quick(program())).expect("a bed");
    bed.agent.go_down().await;
    bed.start().await.expect("started");
    let load = bed.load(Shape { clients: 2, spans: 16, rate: Some(2_000) });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let acknowledged = async {
        while bed.oracle.acknowledged() == 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), acknowledged).await.expect("something is acknowledged");
    bed.kill().await.expect("it was alive");
    std::fs::remove_dir_all(bed.directory()).expect("thrown away");
    let kept = bed.oracle.acknowledged();
    bed.agent.come_up().expect("the same port");
    bed.start().await.expect("started");
    load.stop().await;
    let (verdict, _) = bed.verdict().await.expect("at rest");
    assert!(kept > 0 && verdict.lost >= kept, "{kept} were kept: {verdict}");
    assert!(verdict.violations.len() == 1 && verdict.violations[0].contains("are lost"), "{:?}", verdict.violations);
}
