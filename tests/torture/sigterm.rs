//! Deploys during an outage (`docs/reliability.md`).

use std::path::Path;
use std::time::{Duration, Instant};

use chainspan_testing::torture::scenario::terms;
use chainspan_testing::torture::{Bed, Setup, Shape};

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_chainspan"))
}

/// Twenty times: load, SIGTERM, the agent being down. Each ends with exit code 0 within its deadline; when the agent is back
/// every acknowledged span arrives, and arrives once.
#[tokio::test(flavor = "multi_thread")]
async fn sigterm_under_load_with_the_agent_down_loses_nothing() {
    let report = terms::run(program(), 20, fastrand::u64(..), |_| ()).await.expect("ran");
    eprintln!("{report:#?}");
    assert!(report.verdict.violations.is_empty(), "{:#?}", report.verdict.violations);
    assert!(report.backlog > 0 && report.verdict.acknowledged > 1_000, "the store was used");
}

/// An impatient operator: a second SIGTERM ends the process at once, and what was acknowledged is still there.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_it_at_once_and_loses_nothing() {
    let mut bed = Bed::new(Setup { shutdown_timeout: "60s", ..Setup::quick(program()) }).expect("a bed");
    bed.agent.go_down().await;
    let load = bed.load(Shape { clients: 4, spans: 16, rate: Some(8_000) });
    for _ in 0..3 {
        let before = bed.oracle.acknowledged();
        bed.start().await.expect("started");
        let begin = Instant::now();
        while bed.oracle.acknowledged() < before + 200 {
            assert!(begin.elapsed() < Duration::from_secs(30), "the clients do not hear OK");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let took = bed.terminate_twice().await.expect("ended");
        assert!(took < Duration::from_secs(20), "{took:?}");
    }
    bed.agent.come_up().expect("the same port");
    bed.start().await.expect("started");
    load.stop().await;
    let (verdict, _) = bed.verdict().await.expect("at rest");
    eprintln!("{verdict}");
    assert!(verdict.violations.is_empty(), "{:#?}", verdict.violations);
    assert!(verdict.acknowledged > 500, "the clients heard OK");
}
