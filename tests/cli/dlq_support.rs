//! What the tests of `chainspan dlq` share: a store with dead letters whose content is known, a configuration over it, and
//! the program's answers.

#![allow(unreachable_pub, dead_code)] // one module of several test programs, none of which uses all of it

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use chainspan::delivery::{Signal, describe};
use chainspan::store::{Death, DeathReason, NewRecord, RecordId, Store, StoreSettings};
use chainspan_testing::otlp::{span, text, traces};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::Value;

/// One second in nanoseconds.
pub const SECOND: u64 = 1_000_000_000;

/// A directory with a configuration in it, whose store is the directory `store` beside it.
pub struct Room {
    directory: tempfile::TempDir,
    /// The configuration.
    pub yaml: String,
}

impl Room {
    /// Everything goes to `destination`.
    pub fn new(destination: SocketAddr) -> Self {
        let directory = tempfile::TempDir::with_prefix("chainspan-dlq-").expect("a temporary directory");
        let yaml = format!(
            "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: \"127.0.0.1:0\"}}}}}}}}
exporters:
  otlp/datadog:
    endpoint: {destination}
    retry_on_failure: {{initial_interval: 10ms, max_interval: 50ms}}
    circuit_breaker: {{open_min: 10ms, open_max: 50ms}}
  prometheus: {{endpoint: \"127.0.0.1:0\"}}
extensions:
  health_check: {{endpoint: \"127.0.0.1:0\"}}
  file_storage: {{directory: {store}, max_size_mib: 64, min_free_mib: 1}}
service:
  extensions: [health_check, file_storage]
  telemetry: {{logs: {{level: info, encoding: json}}}}
  shutdown_timeout: 5s
  pipelines:
    traces: {{receivers: [otlp], processors: [chain], exporters: [gateway, otlp/datadog]}}
    metrics/gateway: {{receivers: [gateway], exporters: [prometheus]}}
",
            store = directory.path().join("store").display()
        );
        std::fs::write(directory.path().join("collector-config.yaml"), &yaml).expect("written");
        Self { directory, yaml }
    }

    /// Where the store is.
    pub fn store(&self) -> PathBuf {
        self.directory.path().join("store")
    }

    /// Opens the store in this process.
    pub fn open(&self) -> Store {
        let settings = StoreSettings { directory: self.store(), max_bytes: 64 << 20, min_free_bytes: 1 << 20 };
        Store::open(settings).expect("nobody else has it")
    }

    /// Puts `letters` into the store, which nobody has open; their numbers.
    pub fn bury(&self, letters: Vec<NewRecord>) -> Vec<i64> {
        let store = self.open();
        let (done, kept) = mpsc::channel();
        store.put(letters, move |result| done.send(result).expect("somebody waits"));
        let ids = kept.recv_timeout(Duration::from_secs(20)).expect("an answer").expect("kept");
        store.close();
        ids.into_iter().map(|RecordId(id)| id).collect()
    }

    /// Runs `chainspan dlq` with `arguments`.
    pub fn dlq(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the binary runs")
    }

    /// The same, to be started by the test.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chainspan"));
        command.current_dir(self.directory.path()).arg("dlq").args(arguments).stdin(Stdio::null());
        command
    }

    /// What it prints when it succeeds.
    pub fn say(&self, arguments: &[&str]) -> String {
        let output = self.dlq(arguments);
        let (out, error) = texts(&output);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {out}{error}");
        out
    }

    /// The same as JSON.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let text = self.say(arguments);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
    }

    /// The numbers that `list` shows.
    pub fn listed(&self, filters: &[&str]) -> Vec<i64> {
        let list = self.json(&[&["list", "--json"], filters].concat());
        list.as_array().expect("an array").iter().map(|letter| letter["id"].as_i64().expect("a number")).collect()
    }
}

/// stdout and stderr.
pub fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).expect("UTF-8").to_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// A span that gateways send, tagged with its chain.
pub fn tagged(name: &str, chain: &str) -> Span {
    span(name, Duration::from_millis(12), vec![text("chain_id", chain), text("note", "a note")])
}

/// A dead letter of otlp/datadog with `spans`, that died at `last`.
pub fn letter(spans: Vec<Span>, reason: DeathReason, last: u64) -> NewRecord {
    let count = spans.len() as u32;
    let body = traces("gateway", spans).encode_to_vec();
    let about = describe(Signal::Traces, &body);
    NewRecord {
        destination: Arc::from("otlp/datadog"),
        signal: Signal::Traces,
        body: body.into(),
        spans: count,
        received: last - 2 * SECOND,
        death: Some(Death {
            reason,
            code: "INVALID_ARGUMENT".to_owned(),
            message: "bad\nspan".to_owned(),
            attempts: 3,
            first: last - SECOND,
            last,
            chains: about.chains,
            operations: about.operations,
        }),
    }
}

/// The mode bits of a path.
pub fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}
