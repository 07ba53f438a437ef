//! A real chainspan process with a configuration of its own.
//!
//! The configuration should ask for port 0 everywhere and for `logs: {level: info, encoding: json}`: the addresses are
//! read from the `listening` log lines. With `health_check` in it, start waits until `/health/ready` says 200.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::http_get::{self, Answer};
use crate::process::{Process, program};

/// Generous: a loaded machine is no reason to fail.
const PATIENCE: Duration = Duration::from_secs(30);

/// Stands in a configuration for a directory that is gone after the test.
pub const DIRECTORY: &str = "@directory@";

/// A running `chainspan run`. It is killed when this is dropped.
pub struct Chainspan {
    process: Process,
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
        Ok(Self { process: Process::spawn(&program(), &config, &[])?, directory })
    }

    fn wait_until_ready(&mut self, has_health: bool) -> io::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !self.is_ready(has_health) {
            if let Some(status) = self.process.ended()? {
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
        self.process.pid()
    }

    /// The directory of the configuration, for files of a test's own.
    pub fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// Everything it has logged so far.
    pub fn stderr(&self) -> String {
        self.process.said()
    }

    /// The log lines so far that are JSON.
    pub fn logs(&self) -> Vec<Value> {
        self.process.logs()
    }

    /// Component → address, from the `listening` log lines.
    pub fn listening(&self) -> BTreeMap<String, SocketAddr> {
        self.process.listening()
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
            if let Some(status) = self.process.ended().unwrap_or_else(|e| panic!("wait: {e}")) {
                return status;
            }
            assert!(Instant::now() < deadline, "chainspan does not end after SIGTERM:\n{}", self.stderr());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends the signal `name` (`TERM`, `INT`, `KILL`, `STOP` …).
    pub fn signal(&self, name: &str) {
        self.process.signal(name).unwrap_or_else(|e| panic!("{e}"));
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
