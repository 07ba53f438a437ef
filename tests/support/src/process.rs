//! One chainspan process: started, watched through its log lines, and ended in every way there is.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

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
    pub fn spawn(program: &Path, config: &Path, environment: &[(String, String)]) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.arg("run").arg("--config").arg(config).envs(environment.iter().map(|(key, value)| (key, value)));
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let start = |e| io::Error::other(format!("cannot start {}: {e}", program.display()));
        let mut child = command.spawn().map_err(start)?;
        let stderr = child.stderr.take().ok_or_else(|| io::Error::other("no standard error"))?;
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

    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything it has logged so far.
    pub fn said(&self) -> String {
        self.lines().join("\n")
    }

    /// The log lines so far that are JSON.
    pub fn logs(&self) -> Vec<Value> {
        self.lines().iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Component → address, from the `listening` log lines.
    pub fn listening(&self) -> BTreeMap<String, SocketAddr> {
        let entry = |line: Value| {
            // tracing's JSON keeps an event's fields in an object of their own unless told to flatten them.
            let fields = line.get("fields").unwrap_or(&line);
            if fields["message"] != "listening" {
                return None;
            }
            let address = fields["address"].as_str()?.parse().ok()?;
            Some((fields["component"].as_str()?.to_owned(), address))
        };
        self.logs().into_iter().filter_map(entry).collect()
    }

    /// How it has ended; `None`: it runs. After the end, all that it logged is there.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        if status.is_some() {
            self.join();
        }
        Ok(status)
    }

    /// Waits for its end.
    pub async fn end_within(&mut self, patience: Duration) -> io::Result<ExitStatus> {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if begin.elapsed() > patience {
                return Err(io::Error::other(format!("chainspan does not end within {patience:?}:\n{}", self.said())));
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// SIGKILL; returns when it is gone.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        self.join();
        Ok(())
    }

    /// Sends the signal `name` (`TERM`, `INT`, `KILL`, `STOP` …).
    pub fn signal(&self, name: &str) -> io::Result<()> {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status()?;
        let sent = status.success();
        sent.then_some(()).ok_or_else(|| io::Error::other(format!("kill -{name} {}: {status}", self.pid())))
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
        if thread::panicking() {
            eprintln!("--- chainspan said:\n{}", self.said());
        }
    }
}

/// The program to test: the one that `CHAINSPAN_BIN` names (an installed one, or that of another commit), or the one of the
/// build that the running test or benchmark belongs to.
pub fn program() -> PathBuf {
    let told = ["CHAINSPAN_BIN", "CARGO_BIN_EXE_chainspan"].into_iter().find_map(std::env::var_os);
    told.map_or_else(built, PathBuf::from)
}

/// Cargo puts tests and benchmarks into `deps/` beside the program.
fn built() -> PathBuf {
    let this = std::env::current_exe().expect("a running program has a path");
    let profile = this.parent().and_then(Path::parent).expect("target/PROFILE/deps/TEST");
    profile.join(format!("chainspan{}", std::env::consts::EXE_SUFFIX))
}
