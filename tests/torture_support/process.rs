//! One chainspan process: started, watched through its log lines, and ended in every way there is.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::Value;

/// It is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    logs: Arc<Mutex<Vec<String>>>,
    reader: Option<thread::JoinHandle<()>>,
}

impl Process {
    /// `program run --config config`; does not wait for anything.
    pub fn spawn(program: &Path, config: &Path, environment: &[(String, String)]) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command.arg("run").arg("--config").arg(config).envs(environment.iter().map(|(key, value)| (key, value)));
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        let stderr = child.stderr.take().context("no standard error")?;
        let logs = Arc::new(Mutex::new(Vec::new()));
        let sink = logs.clone();
        let reader = thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                sink.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        Ok(Self { child, logs, reader: Some(reader) })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has logged so far.
    pub fn said(&self) -> String {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
    }

    fn listening(&self, component: &str) -> Option<SocketAddr> {
        let logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        logs.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok()).find_map(|line| {
            let fields = line.get("fields").unwrap_or(&line);
            let this = fields["message"] == "listening" && fields["component"] == component;
            this.then(|| fields["address"].as_str()?.parse().ok()).flatten()
        })
    }

    /// Waits until `component` listens.
    pub async fn listens(&mut self, component: &str, patience: Duration) -> anyhow::Result<SocketAddr> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(address) = self.listening(component) {
                return Ok(address);
            }
            if let Some(status) = self.child.try_wait()? {
                self.join();
                bail!("chainspan ended with {status} instead of listening:\n{}", self.said());
            }
            if Instant::now() > deadline {
                bail!("chainspan does not listen after {patience:?}:\n{}", self.said());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// SIGKILL; returns when it is gone.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        self.join();
        Ok(())
    }

    /// Sends the signal `name` (`TERM`, `INT`, `STOP`).
    pub fn signal(&self, name: &str) -> anyhow::Result<()> {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status()?;
        anyhow::ensure!(status.success(), "kill -{name} {}", self.pid());
        Ok(())
    }

    /// Waits for its end.
    pub async fn ended(&mut self, patience: Duration) -> anyhow::Result<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait()? {
                self.join();
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!("chainspan does not end within {patience:?}:\n{}", self.said());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Resident bytes, as the kernel tells.
    pub fn resident_bytes(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
    }

    fn join(&mut self) {
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
