//! A real chainspan process with a configuration of its own.
//!
//! The configuration should ask for port 0 everywhere and for `logs: {level: info, encoding: json}`: the addresses are
//! read from the `listening` log lines. With `health_check` in it, start waits until `/health/ready` says 200.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::http_get::{self, Answer};

/// Generous: a loaded machine is no reason to fail.
const PATIENCE: Duration = Duration::from_secs(30);

/// Stands in a configuration for a directory that is gone after the test.
pub const DIRECTORY: &str = "@directory@";

/// A running `chainspan run`. It is killed when this is dropped.
pub struct Chainspan {
    child: Child,
    logs: Arc<Mutex<Vec<String>>>,
    reader: Option<thread::JoinHandle<()>>,
    directory: TempDir,
}

impl Chainspan {
    /// Starts the program with the configuration `yaml` and waits until it is ready. Panics with its logs if it does not
    /// get there.
    pub fn start(yaml: &str) -> Self {
        Self::try_start(yaml).unwrap_or_else(|e| panic!("{e}"))
    }

    /// As [`Chainspan::start`], for those who want to see the error.
    pub fn try_start(yaml: &str) -> io::Result<Self> {
        let mut this = Self::spawn(yaml)?;
        this.wait_until_ready(yaml.contains("health_check"))?;
        Ok(this)
    }

    /// Starts the program and waits for nothing.
    pub fn start_unready(yaml: &str) -> Self {
        Self::spawn(yaml).unwrap_or_else(|e| panic!("{e}"))
    }

    fn spawn(yaml: &str) -> io::Result<Self> {
        let directory = TempDir::with_prefix("chainspan-")?;
        let config = directory.path().join("collector-config.yaml");
        std::fs::write(&config, yaml.replace(DIRECTORY, &directory.path().display().to_string()))?;
        let mut child = Command::new(program())
            .arg("run")
            .arg("--config")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = child.stderr.take().ok_or_else(|| io::Error::other("no standard error"))?;
        let logs = Arc::new(Mutex::new(Vec::new()));
        let sink = logs.clone();
        let reader = thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                sink.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        Ok(Self { child, logs, reader: Some(reader), directory })
    }

    fn wait_until_ready(&mut self, has_health: bool) -> io::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !self.is_ready(has_health) {
            if let Some(status) = self.child.try_wait()? {
                self.join_reader();
                return Err(io::Error::other(format!("chainspan ended with {status}:\n{}", self.stderr())));
            }
            if Instant::now() > deadline {
                return Err(io::Error::other(format!("chainspan is not ready after {PATIENCE:?}:\n{}", self.stderr())));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn is_ready(&self, has_health: bool) -> bool {
        let listening = self.listening();
        let ready = |address: &SocketAddr| http_get::get(*address, "/health/ready", &[]).is_ok_and(|a| a.status == 200);
        listening.contains_key("otlp/grpc") && (!has_health || listening.get("health_check").is_some_and(ready))
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The directory of the configuration, for files of a test's own.
    pub fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }

    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything it has logged so far.
    pub fn stderr(&self) -> String {
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

    fn address(&self, component: &str) -> SocketAddr {
        let listening = self.listening();
        *listening.get(component).unwrap_or_else(|| panic!("{component} does not listen, only {listening:?}"))
    }

    /// Where the OTLP/gRPC receiver listens.
    pub fn grpc(&self) -> SocketAddr {
        self.address("otlp/grpc")
    }

    /// Where `/metrics` is.
    pub fn prometheus(&self) -> SocketAddr {
        self.address("prometheus")
    }

    /// `GET path` of the `health_check` extension.
    pub fn admin(&self, path: &str) -> Answer {
        http_get::get(self.address("health_check"), path, &[]).unwrap_or_else(|e| panic!("GET {path}: {e}"))
    }

    /// `GET /status`.
    pub fn status(&self) -> Value {
        self.admin("/status").json()
    }

    /// `GET /metrics`, in the plain text format.
    pub fn metrics(&self) -> String {
        let answer = http_get::get(self.prometheus(), "/metrics", &[]).unwrap_or_else(|e| panic!("GET /metrics: {e}"));
        assert_eq!(answer.status, 200, "GET /metrics: {}", answer.body);
        answer.body
    }

    /// Asks it to drain and waits for the end.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.ended()
    }

    /// Waits for the end. Panics when that takes more than 40 seconds: it promises 25.
    pub fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + Duration::from_secs(40);
        loop {
            if let Some(status) = self.child.try_wait().unwrap_or_else(|e| panic!("wait: {e}")) {
                self.join_reader();
                return status;
            }
            assert!(Instant::now() < deadline, "chainspan does not end after SIGTERM:\n{}", self.stderr());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends the signal `name` (`TERM`, `INT`, `KILL`, `STOP` …).
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status();
        assert!(status.is_ok_and(|s| s.success()), "kill -{name} {}", self.pid());
    }

    fn join_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// The program of this build, or the one that `CHAINSPAN_BIN` names: an installed one, or that of another commit.
fn program() -> OsString {
    std::env::var_os("CHAINSPAN_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_chainspan").into())
}

impl Drop for Chainspan {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.join_reader();
        if thread::panicking() {
            eprintln!("--- chainspan said:\n{}", self.stderr());
        }
    }
}

/// Nothing vanishes silently: for each destination, `accepted` is the sum of everything else, in spans.
pub fn assert_conservation(status: &Value) {
    let destinations = status["destinations"].as_object().unwrap_or_else(|| panic!("no destinations in {status}"));
    for (name, destination) in destinations {
        let count = |key: &str| {
            destination["spans"][key].as_u64().unwrap_or_else(|| panic!("{name}: no count {key:?} in {destination}"))
        };
        let parts = ["delivered", "rejected", "in_flight", "spilled", "dead", "discarded"];
        let sum: u64 = parts.into_iter().map(count).sum();
        assert_eq!(count("accepted"), sum, "{name}: accepted is not the sum of its parts: {}", destination["spans"]);
    }
}

/// The whole pipeline with ports of its own, spans and everything else going to `destination`; `more` goes under
/// `exporters`, and each component that it names must be in `traces_to` too, as `, otlp/NAME`.
pub fn config(destination: SocketAddr, more: &str, traces_to: &str) -> String {
    format!(
        "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: 127.0.0.1:0}}}}}}}}
processors: {{chain: {{}}}}
connectors: {{gateway: {{}}}}
exporters:
  otlp/datadog: {{endpoint: {destination}, tls: {{insecure: true}}}}
  prometheus: {{endpoint: 127.0.0.1:0}}
{more}
extensions: {{health_check: {{endpoint: 127.0.0.1:0}}}}
service:
  extensions: [health_check]
  telemetry: {{logs: {{level: info, encoding: json}}}}
  pipelines:
    traces: {{receivers: [otlp], processors: [chain], exporters: [gateway, otlp/datadog{traces_to}]}}
    metrics/gateway: {{receivers: [gateway], exporters: [prometheus]}}
    metrics: {{receivers: [otlp], exporters: [otlp/datadog]}}
    logs: {{receivers: [otlp], exporters: [otlp/datadog]}}
"
    )
}
