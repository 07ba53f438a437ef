//! The agent is away for a while under load, and comes back: clients notice nothing, memory stays where it was, and the
//! backlog drains by itself beside live traffic.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::torture::verdict::Verdict;
use crate::torture::{Bed, Setup, Shape};

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How long the agent is away.
    pub outage: Duration,
    /// Spans a second.
    pub rate: u32,
    /// Spans in a request.
    pub spans: u32,
    /// `max_size_mib`: room for all of it.
    pub max_size_mib: u32,
}

/// What came of it.
#[derive(Debug)]
pub struct Report {
    /// Where the spans are.
    pub verdict: Verdict,
    /// Spans acknowledged while the agent was away.
    pub acknowledged: u64,
    /// Spans in the store when it came back.
    pub backlog: u64,
    /// From then until the store was empty, beside live traffic.
    pub drain: Duration,
    /// Resident bytes before the outage, and each second of it.
    pub resident: Vec<u64>,
}

impl Report {
    /// Backlog over drain time, spans a second.
    pub fn drain_rate(&self) -> f64 {
        self.backlog as f64 / self.drain.as_secs_f64().max(0.001)
    }

    /// Resident bytes: the most in the second tenth of the outage, and in the last.
    pub fn growth(&self) -> (u64, u64) {
        let tenth = (self.resident.len() / 10).max(1);
        let most = |part: &[u64]| part.iter().copied().max().unwrap_or(0);
        let begin = self.resident.len().min(2 * tenth);
        (most(&self.resident[..begin]), most(&self.resident[self.resident.len().saturating_sub(tenth)..]))
    }
}

/// Runs it; `progress` hears the seconds of outage, spans in the store, and resident bytes.
pub async fn run(program: &Path, plan: Plan, mut progress: impl FnMut(u64, u64, u64)) -> anyhow::Result<Report> {
    let storage = Some(format!("max_size_mib: {}, min_free_mib: 0", plan.max_size_mib));
    let mut bed = Bed::new(Setup { storage, scrape: Duration::from_millis(100), ..Setup::quick(program) })?;
    bed.start().await?;
    let load = bed.load(Shape { clients: 8, spans: plan.spans, rate: Some(plan.rate) });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut resident = vec![bed.process()?.resident_bytes().unwrap_or(0)];
    let before = bed.oracle.acknowledged();
    bed.agent.go_down().await;
    let begin = Instant::now();
    while begin.elapsed() < plan.outage {
        tokio::time::sleep(Duration::from_secs(1).min(plan.outage)).await;
        let now = bed.process()?.resident_bytes().unwrap_or(0);
        resident.push(now);
        progress(begin.elapsed().as_secs(), bed.count("spilled").await?, now);
    }
    let acknowledged = bed.oracle.acknowledged() - before;
    let backlog = bed.count("spilled").await?;
    bed.agent.come_up()?;
    let back = Instant::now();
    // Live traffic goes on: the store is empty when it has caught up.
    loop {
        let spilled = bed.count("spilled").await?;
        if spilled == 0 {
            break;
        }
        anyhow::ensure!(back.elapsed() < plan.outage * 3 + Duration::from_secs(60), "{spilled} spans still wait");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let drain = back.elapsed();
    load.stop().await;
    let (verdict, _) = bed.verdict().await?;
    Ok(Report { verdict, acknowledged, backlog, drain, resident })
}
