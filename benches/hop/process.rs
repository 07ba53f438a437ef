//! Processes under test: starting them, and reading from the kernel what they used.

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// This program again, in one of its roles; it ends when this is dropped.
pub(crate) struct Role {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Role {
    /// Starts the role `name`, which forwards to `target`.
    pub(crate) fn start(name: &str, target: Option<SocketAddr>) -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("role").arg(name).args(target.map(|t| t.to_string()));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdin = child.stdin.take().ok_or("no standard input")?;
        let mut stdout = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        let mut line = String::new();
        stdout.read_line(&mut line)?;
        let address = line.trim().parse().map_err(|_| format!("{name} did not start"))?;
        Ok(Self { child, stdin, stdout, address })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks the sink what has arrived.
    pub(crate) fn stats(&mut self) -> Result<serde_json::Value, Box<dyn Error>> {
        writeln!(self.stdin, "stats")?;
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// CPU time that process `pid` has used, user and system. The scheduler counts in nanoseconds per living thread; `stat`
/// counts threads that have ended too, but in ticks of 10 ms. Whoever has seen clearly more is right.
pub(crate) fn cpu(pid: u32) -> std::io::Result<Duration> {
    const TICK: Duration = Duration::from_millis(10);
    let mut precise = Duration::ZERO;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end between the listing and the reading.
        let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
        precise += Duration::from_nanos(text.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0));
    }
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The fields after the parenthesised name begin with the third; user and system time are the 14th and 15th.
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u32 = after_name.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u32>().ok()).sum();
    let coarse = TICK * ticks;
    Ok(if coarse > precise + 3 * TICK { coarse } else { precise })
}

/// Waits until `pid` uses next to no CPU any more, and returns what it has used by then. Work that is queued behind an
/// early answer is work too.
pub(crate) async fn cpu_once_quiet(pid: u32) -> Result<Duration, Box<dyn Error>> {
    const WINDOW: Duration = Duration::from_millis(25);
    let limit = Instant::now() + Duration::from_secs(10);
    let mut before = cpu(pid)?;
    let mut quiet = 0;
    while Instant::now() < limit {
        tokio::time::sleep(WINDOW).await;
        let now = cpu(pid)?;
        quiet = if now - before < WINDOW / 50 { quiet + 1 } else { 0 };
        before = now;
        if quiet == 3 {
            return Ok(now);
        }
    }
    Err("the process is still busy 10 s after the last request".into())
}

/// A line of `/proc/PID/status` in MiB: `VmRSS` (resident now) or `VmHWM` (most ever resident).
pub(crate) fn memory_mib(pid: u32, key: &str) -> std::io::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(':')).unwrap_or_default();
    let kib: f64 = line.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(f64::NAN);
    Ok(kib / 1024.0)
}
