//! kill -9 at random moments, under load and during recovery, while the agent is up, down or flapping.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::torture::verdict::Verdict;
use crate::torture::{Agent, Bed, Setup, Shape};

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How many kills.
    pub kills: u32,
    /// What decides the moments.
    pub seed: u64,
    /// Whether there is a store.
    pub storage: bool,
    /// The longest life under load of a process.
    pub longest: Duration,
}

/// What came of it.
#[derive(Debug)]
pub struct Report {
    /// Where the spans are.
    pub verdict: Verdict,
    /// Kills while the process was starting or recovering.
    pub during_recovery: u32,
    /// Kills of a process that took load.
    pub under_load: u32,
    /// Looks at `/status`.
    pub scrapes: u64,
    /// The most spans that a look saw in the store.
    pub most_spilled: u64,
    /// How long the store took to drain at the end, the agent being well.
    pub drain: Duration,
}

/// What the agent does during one life of the process.
#[derive(Clone, Copy, Debug)]
enum Weather {
    Up,
    Down,
    Flapping,
}

/// Runs it; `progress` hears the number of kills so far.
pub async fn run(program: &Path, plan: Plan, mut progress: impl FnMut(u32)) -> anyhow::Result<Report> {
    let mut random = fastrand::Rng::with_seed(plan.seed);
    let mut setup = Setup::quick(program);
    if !plan.storage {
        setup.storage = None;
    }
    let mut bed = Bed::new(setup)?;
    let load = bed.load(Shape { clients: 4, spans: 16, rate: Some(4_000) });
    let (mut during_recovery, mut under_load) = (0, 0);
    for kill in 0..plan.kills {
        let weather =
            random.choice([Weather::Up, Weather::Up, Weather::Down, Weather::Flapping]).unwrap_or(Weather::Up);
        bed.spawn()?;
        if random.u8(..) < 80 {
            settle(&bed.agent, weather).await?;
            tokio::time::sleep(Duration::from_millis(random.u64(0..300))).await;
            bed.kill().await?;
            during_recovery += 1;
        } else {
            settle(&bed.agent, weather).await?;
            bed.open().await?;
            let life = Duration::from_micros(random.u64(20_000..plan.longest.as_micros() as u64));
            live(&bed.agent, weather, life, &mut random).await?;
            bed.kill().await?;
            under_load += 1;
        }
        progress(kill + 1);
    }
    bed.agent.come_up()?;
    bed.start().await?;
    tokio::time::sleep(Duration::from_millis(200)).await;
    load.stop().await;
    let drain = bed.drained(Duration::from_secs(300)).await?;
    let seen = bed.watcher.seen();
    let (verdict, _) = bed.verdict().await?;
    let (scrapes, most_spilled) = (seen.scrapes, seen.most_spilled);
    Ok(Report { verdict, during_recovery, under_load, scrapes, most_spilled, drain })
}

async fn settle(agent: &Arc<Agent>, weather: Weather) -> anyhow::Result<()> {
    match weather {
        Weather::Up | Weather::Flapping => agent.come_up()?,
        Weather::Down => agent.go_down().await,
    }
    Ok(())
}

async fn live(agent: &Arc<Agent>, weather: Weather, life: Duration, random: &mut fastrand::Rng) -> anyhow::Result<()> {
    let end = tokio::time::Instant::now() + life;
    let Weather::Flapping = weather else {
        tokio::time::sleep_until(end).await;
        return Ok(());
    };
    while tokio::time::Instant::now() < end {
        let step = Duration::from_millis(random.u64(10..60));
        tokio::time::sleep_until(end.min(tokio::time::Instant::now() + step)).await;
        if agent.is_up() { agent.go_down().await } else { agent.come_up()? }
    }
    Ok(())
}
