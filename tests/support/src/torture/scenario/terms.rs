//! SIGTERM under load while the agent is down: as in a deploy during an outage, again and again.

use std::path::Path;
use std::time::Duration;

use crate::torture::verdict::Verdict;
use crate::torture::{Bed, Setup, Shape};

/// What came of it.
#[derive(Debug)]
pub struct Report {
    /// Where the spans are.
    pub verdict: Verdict,
    /// The longest time from SIGTERM to the end.
    pub slowest: Duration,
    /// Looks at `/status`.
    pub scrapes: u64,
    /// Spans that were in the store when the agent came back.
    pub backlog: u64,
    /// How long they took to drain.
    pub drain: Duration,
}

/// The deadline of a drain, as configured.
pub const DEADLINE: Duration = Duration::from_secs(2);

/// `cycles` times: start, take load, SIGTERM, exit 0. Then the agent comes back.
pub async fn run(program: &Path, cycles: u32, seed: u64, mut progress: impl FnMut(u32)) -> anyhow::Result<Report> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bed = Bed::new(Setup { shutdown_timeout: "2s", ..Setup::quick(program) })?;
    bed.agent.go_down().await;
    let load = bed.load(Shape { clients: 4, spans: 16, rate: Some(8_000) });
    let mut slowest = Duration::ZERO;
    for cycle in 0..cycles {
        bed.start().await?;
        tokio::time::sleep(Duration::from_millis(random.u64(20..250))).await;
        let (_, took) = bed.terminate().await?;
        slowest = slowest.max(took);
        progress(cycle + 1);
    }
    bed.start().await?;
    let backlog = bed.count("spilled").await?;
    bed.agent.come_up()?;
    load.stop().await;
    let drain = bed.drained(Duration::from_secs(300)).await?;
    let (mut verdict, _) = bed.verdict().await?;
    if slowest > DEADLINE + Duration::from_secs(2) {
        verdict.violations.push(format!("a drain took {slowest:?}, its deadline is {DEADLINE:?}"));
    }
    if verdict.repeated > 0 {
        verdict.violations.push(format!("{} spans arrived twice although nothing was killed", verdict.repeated));
    }
    Ok(Report { verdict, slowest, scrapes: bed.watcher.seen().scrapes, backlog, drain })
}
