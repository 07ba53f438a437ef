//! The torture bed: one chainspan with its directory, between clients and the agent.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;

use super::kept::{self, Contents};
use super::oracle::TroubleKind;
use super::watch::{Watcher, count};
use super::{Agent, Load, Oracle, Setup, Shape, Verdict};
use crate::http_get;
use crate::process::Process;

/// The destination under test.
pub const DESTINATION: &str = "otlp/datadog";
/// Generous: a loaded machine is no reason to fail.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Debug)]
pub struct Bed {
    /// Who knows everything.
    pub oracle: Arc<Oracle>,
    /// Where the spans go.
    pub agent: Arc<Agent>,
    /// What `/status` said.
    pub watcher: Watcher,
    /// How often the process was started.
    pub starts: u64,
    setup: Setup,
    process: Option<Process>,
    target: watch::Sender<Option<SocketAddr>>,
    admin: watch::Sender<Option<SocketAddr>>,
    home: TempDir,
}

impl Bed {
    /// An agent that is up, and no process yet.
    pub fn new(setup: Setup) -> anyhow::Result<Self> {
        let oracle = Arc::new(Oracle::default());
        let agent = Arc::new(Agent::start(oracle.clone())?);
        let home = TempDir::with_prefix("chainspan-torture-")?;
        let (target, admin) = (watch::Sender::new(None), watch::Sender::new(None));
        let watcher = Watcher::start(admin.subscribe(), setup.scrape);
        let bed = Self { oracle, agent, watcher, starts: 0, setup, process: None, target, admin, home };
        std::fs::write(bed.config(), bed.setup.yaml(bed.agent.address(), &bed.directory()))?;
        Ok(bed)
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.home.path().join("collector-config.yaml")
    }

    /// Where its store is.
    pub fn directory(&self) -> PathBuf {
        self.setup.directory.clone().unwrap_or_else(|| self.home.path().join("store"))
    }

    /// The program under test.
    pub fn program(&self) -> &Path {
        &self.setup.program
    }

    /// Starts the process and waits for nothing.
    pub fn spawn(&mut self) -> anyhow::Result<()> {
        ensure!(self.process.is_none(), "one at a time");
        self.starts += 1;
        self.process = Some(Process::spawn(&self.setup.program, &self.config(), &self.setup.environment)?);
        Ok(())
    }

    /// Waits until the process listens, and shows it to the clients and to the watcher.
    pub async fn open(&mut self) -> anyhow::Result<()> {
        let process = self.process.as_mut().context("not started")?;
        let admin = listens(process, "health_check").await?;
        let target = listens(process, "otlp/grpc").await?;
        self.admin.send_replace(Some(admin));
        self.target.send_replace(Some(target));
        Ok(())
    }

    /// Starts the process and waits until it listens.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        self.spawn()?;
        self.open().await
    }

    /// Where it takes OTLP.
    pub fn target(&self) -> anyhow::Result<SocketAddr> {
        self.target.borrow().context("not open")
    }

    /// The running process.
    pub fn process(&mut self) -> anyhow::Result<&mut Process> {
        self.process.as_mut().context("not started")
    }

    /// Starts clients that follow the process over its restarts.
    pub fn load(&self, shape: Shape) -> Load {
        Load::start(&self.oracle, &self.target.subscribe(), shape)
    }

    /// kill -9.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        let from = self.oracle.now();
        self.admin.send_replace(None);
        let mut process = self.process.take().context("not started")?;
        let ended_before = !matches!(process.ended(), Ok(None));
        process.kill()?;
        ensure!(!ended_before, "chainspan had ended by itself:\n{}", process.said());
        self.oracle.trouble(TroubleKind::Kill, from);
        self.target.send_replace(None);
        Ok(())
    }

    /// SIGTERM, and its end: how it ended, and how long that took. Clients keep sending until they notice.
    pub async fn terminate(&mut self) -> anyhow::Result<(ExitStatus, Duration)> {
        let mut process = self.process.take().context("not started")?;
        let begin = Instant::now();
        self.admin.send_replace(None);
        process.signal("TERM")?;
        let status = process.end_within(PATIENCE).await;
        self.target.send_replace(None);
        let status = status?;
        ensure!(status.success(), "SIGTERM: chainspan ended with {status}:\n{}", process.said());
        Ok((status, begin.elapsed()))
    }

    /// SIGTERM, and once it drains another one: it ends at once. Returns how long that took.
    pub async fn terminate_twice(&mut self) -> anyhow::Result<Duration> {
        let mut process = self.process.take().context("not started")?;
        let begin = Instant::now();
        self.admin.send_replace(None);
        process.signal("TERM")?;
        while !process.said().contains("draining") {
            ensure!(begin.elapsed() < PATIENCE, "it does not drain:\n{}", process.said());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        // A drain that is quick enough may end before the second signal: then there is nobody to send it to.
        if matches!(process.ended(), Ok(None)) {
            let _ = process.signal("TERM");
        }
        process.end_within(PATIENCE).await?;
        self.target.send_replace(None);
        Ok(begin.elapsed())
    }

    /// What `/health/ready` says; `false` also when it cannot be reached.
    pub async fn is_ready(&self) -> bool {
        let address = *self.admin.borrow();
        match address {
            Some(address) => http_get::fetch(address, "/health/ready").await.is_ok(),
            None => false,
        }
    }

    /// What `/status` says now.
    pub async fn status(&self) -> anyhow::Result<Value> {
        let address = self.admin.borrow().context("not open")?;
        Ok(serde_json::from_str(&http_get::fetch(address, "/status").await?)?)
    }

    /// A number of the conservation block.
    pub async fn count(&self, key: &str) -> anyhow::Result<u64> {
        let begin = Instant::now();
        loop {
            let status = self.status().await?;
            if let Some(count) = count(&status, key) {
                return Ok(count);
            }
            // In its first moments a process has not asked its destinations yet.
            ensure!(begin.elapsed() < PATIENCE, "no {key} in {status}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until nothing is in flight and nothing waits in the store; how long that took.
    pub async fn drained(&self, patience: Duration) -> anyhow::Result<Duration> {
        let begin = Instant::now();
        loop {
            let status = self.status().await?;
            if count(&status, "in_flight") == Some(0) && count(&status, "spilled") == Some(0) {
                return Ok(begin.elapsed());
            }
            ensure!(begin.elapsed() < patience, "not drained within {patience:?}: {status}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The end of every scenario: the agent is well, nothing is sent any more. Waits until everything has drained, ends the
    /// process, and looks for every span.
    pub async fn verdict(&mut self) -> anyhow::Result<(Verdict, Contents)> {
        self.drained(PATIENCE * 5).await?;
        let dead = self.count("dead").await?;
        self.terminate().await?;
        self.judge(dead)
    }

    /// Looks for every span, once the process has ended. It has said that there are `dead` dead spans.
    pub fn judge(&self, dead: u64) -> anyhow::Result<(Verdict, Contents)> {
        let contents = match self.setup.storage {
            Some(_) => kept::contents(&self.directory(), DESTINATION)?,
            None => Contents::default(),
        };
        let numbers = contents.dead();
        let mut verdict = Verdict::of(&self.oracle, &numbers);
        let mut violation = |text: String| verdict.violations.push(text);
        if !contents.waiting.is_empty() {
            violation(format!("{} spans still wait in a store that said it was empty", contents.waiting.len()));
        }
        if numbers.len() as u64 != dead {
            violation(format!("/status said {dead} dead spans, the store has {}", numbers.len()));
        }
        let seen = self.watcher.seen();
        if seen.scrapes == 0 {
            violation("/status was never read".to_owned());
        }
        seen.violations.into_iter().for_each(violation);
        Ok((verdict, contents))
    }
}

/// Waits until `component` listens.
async fn listens(process: &mut Process, component: &str) -> anyhow::Result<SocketAddr> {
    let begin = Instant::now();
    loop {
        if let Some(address) = process.listening().get(component) {
            return Ok(*address);
        }
        if let Some(status) = process.ended()? {
            bail!("chainspan ended with {status} instead of listening:\n{}", process.said());
        }
        ensure!(begin.elapsed() < PATIENCE, "chainspan does not listen after {PATIENCE:?}:\n{}", process.said());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
