//! How the process under test is configured.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::bed::DESTINATION;

/// How chainspan is set up.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The program.
    pub program: PathBuf,
    /// Whether there is `file_storage`, and its keys after `directory`.
    pub storage: Option<String>,
    /// Another place for the directory of the store.
    pub directory: Option<PathBuf>,
    /// Keys of the exporter, after `endpoint` and `tls`.
    pub exporter: String,
    /// Keys of `receivers.otlp`, after `protocols`.
    pub receiver: String,
    /// Environment variables of the process.
    pub environment: Vec<(String, String)>,
    /// `service.shutdown_timeout`.
    pub shutdown_timeout: &'static str,
    /// The pause between two looks at `/status`.
    pub scrape: Duration,
}

impl Setup {
    /// Quick to notice an outage and quick to notice its end, with a store.
    pub fn quick(program: &Path) -> Self {
        Self {
            program: program.to_owned(),
            storage: Some("max_size_mib: 1024, min_free_mib: 0".to_owned()),
            directory: None,
            exporter: "spill_after: 20ms, retry_on_failure: {initial_interval: 20ms, max_interval: 200ms}, \
                       circuit_breaker: {open_min: 100ms, open_max: 500ms}"
                .to_owned(),
            receiver: String::new(),
            environment: Vec::new(),
            shutdown_timeout: "10s",
            scrape: Duration::from_millis(10),
        }
    }

    /// The configuration.
    pub fn yaml(&self, destination: SocketAddr, directory: &Path) -> String {
        let Self { storage, exporter, receiver, shutdown_timeout, .. } = self;
        let (extension, name) = storage.as_ref().map_or_else(Default::default, |keys| {
            (format!(", file_storage: {{directory: {}, {keys}}}", directory.display()), ", file_storage")
        });
        format!(
            "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: 127.0.0.1:0}}}}, {receiver}}}}}
processors: {{chain: {{}}}}
connectors: {{gateway: {{}}}}
exporters:
  {DESTINATION}: {{endpoint: {destination}, tls: {{insecure: true}}, {exporter}}}
  prometheus: {{endpoint: 127.0.0.1:0}}
extensions: {{health_check: {{endpoint: 127.0.0.1:0}}{extension}}}
service:
  extensions: [health_check{name}]
  shutdown_timeout: {shutdown_timeout}
  telemetry: {{logs: {{level: info, encoding: json}}}}
  pipelines:
    traces: {{receivers: [otlp], processors: [chain], exporters: [gateway, {DESTINATION}]}}
    metrics/gateway: {{receivers: [gateway], exporters: [prometheus]}}
"
        )
    }
}
