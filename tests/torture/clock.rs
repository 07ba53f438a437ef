//! The wall clock jumps while chainspan runs, as when NTP or an operator sets it: nothing waits for the old time to come
//! back. A library that is preloaded moves the clock of that process alone; the monotonic clock goes on as it does.

use std::path::Path;
use std::time::Duration;

use chainspan_testing::torture::watch::count;
use chainspan_testing::torture::{Bed, Setup, Shape, preload};
use tempfile::TempDir;

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_chainspan"))
}

/// During an outage the clock jumps by `seconds`, and the agent comes back: the backlog drains, no age is absurd, nothing is
/// lost, nothing is given up.
async fn jump(seconds: i64) {
    let directory = TempDir::with_prefix("chainspan-clock-").expect("a directory");
    let Some(library) = preload::build("clock", directory.path()) else { return };
    let environment = vec![
        ("LD_PRELOAD".to_owned(), library.display().to_string()),
        ("CLOCK_JUMP_AFTER_MS".to_owned(), "1500".to_owned()),
        ("CLOCK_JUMP_SECONDS".to_owned(), seconds.to_string()),
    ];
    let mut bed = Bed::new(Setup { environment, ..Setup::quick(program()) }).expect("a bed");
    bed.agent.go_down().await;
    bed.start().await.expect("started");
    let load = bed.load(Shape { clients: 2, spans: 32, rate: Some(3_000) });
    tokio::time::sleep(Duration::from_millis(3_000)).await;
    let status = bed.status().await.expect("a status");
    assert!(count(&status, "spilled") > Some(0), "{status}");
    let age = status["destinations"]["otlp/datadog"]["backlog_age_seconds"].as_f64().expect("an age");
    let jumped = seconds.max(0) as f64;
    assert!((0.0..jumped + 60.0).contains(&age), "the oldest has waited {age} s: {status}");
    bed.agent.come_up().expect("the same port");
    tokio::time::sleep(Duration::from_millis(500)).await;
    load.stop().await;
    let (verdict, contents) = bed.verdict().await.expect("it drains");
    assert!(verdict.violations.is_empty(), "{:#?}", verdict.violations);
    assert!(contents.letters.is_empty(), "nothing is given up: {:?}", contents.reasons());
    assert!(verdict.acknowledged > 500 && verdict.refused.is_empty(), "clients did not notice: {verdict}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_back_an_hour_stops_nothing() {
    jump(-3_600).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_ahead_a_day_stops_nothing() {
    jump(86_400).await;
}
