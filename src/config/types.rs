//! The configuration once it has been read, checked and filled in with defaults: what the rooms are built from.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::chain::ChainId;

/// Everything that `chainspan run` needs to know.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `receivers.otlp`.
    pub receiver: Receiver,
    /// `processors.chain`; absent from the traces pipeline: spans are neither tagged nor resolved.
    pub chain: Option<Chain>,
    /// `connectors.gateway`; absent from the traces pipeline: nothing is measured.
    pub gateway: Option<Gateway>,
    /// Every `exporters.otlp/NAME` that a pipeline names, in the order of the file.
    pub destinations: Vec<Destination>,
    /// `exporters.prometheus`, when the `metrics/gateway` pipeline names it.
    pub prometheus: Option<SocketAddr>,
    /// `extensions.health_check.endpoint`, when `service.extensions` names it.
    pub health_check: Option<SocketAddr>,
    /// `extensions.file_storage`, when `service.extensions` names it: where requests and dead letters are kept. Absent: what
    /// is not delivered goes back to the client.
    pub file_storage: Option<FileStorage>,
    /// `service.telemetry.logs`.
    pub logs: Logs,
    /// `service.shutdown_timeout`: how long a drain may take.
    pub shutdown_timeout: Duration,
}

/// `receivers.otlp`.
#[derive(Clone, Debug, PartialEq)]
pub struct Receiver {
    /// `protocols.grpc.endpoint`. Port 0 asks the system for a free one.
    pub grpc: SocketAddr,
    /// `protocols.grpc.max_recv_msg_size_mib`, in bytes: the largest request, before and after decompression.
    pub max_request_bytes: usize,
    /// `protocols.grpc.max_concurrent_streams`, per connection.
    pub max_concurrent_streams: u32,
    /// `memory_limit_mib`, in bytes: all request bodies in hand together.
    pub memory_limit_bytes: usize,
}

/// `processors.chain`.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    /// Attribute keys that may hold a chain id; the order decides.
    pub keys: Vec<String>,
    /// `inherit.traces`: how many traces are remembered. 0: only spans of the same request help each other.
    pub inherit_traces: usize,
    /// `inherit.ttl`: for how long.
    pub inherit_ttl: Duration,
    /// Whether operation spans get `operation.name` and `_dd.measured`.
    pub datadog_hints: bool,
}

/// `connectors.gateway`.
#[derive(Clone, Debug, PartialEq)]
pub struct Gateway {
    /// Prefix of every metric, dotted: `avs.gateway`.
    pub namespace: String,
    /// Resource attributes that become dimensions of every metric.
    pub dimensions: Vec<String>,
    /// More span names per operation (`task_broadcast` → names).
    pub operations: BTreeMap<String, Vec<String>>,
    /// Chains that always keep their own label.
    pub chains: BTreeMap<ChainId, ChainInfo>,
    /// How many more chains get a label of their own; the rest share `other`.
    pub max_chains: usize,
    /// How many series there may be.
    pub max_series: usize,
    /// After how long a series that nothing is counted in is forgotten.
    pub series_idle: Duration,
    /// How many exemplars a duration series keeps per window, 0 to 4.
    pub exemplars: usize,
    /// When a chain is degraded or down.
    pub health: Health,
    /// Whether measurements sent over OTLP say which chainspan they come from.
    pub instance: bool,
    /// Whether every span is counted for Jaeger's Monitor tab as well, on Prometheus.
    pub span_metrics: bool,
}

/// `connectors.gateway.health`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Health {
    /// Failed operations among all, 0 to 1, above which a chain is degraded.
    pub error_ratio: f64,
    /// Missed quorums among all aggregations, 0 to 1, above which a chain is degraded.
    pub quorum_failure_ratio: f64,
    /// How long a chain may go on trying without a success before it is down.
    pub no_success: Duration,
}

/// What the configuration says of one chain.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChainInfo {
    /// For display only.
    pub name: Option<String>,
    /// Mean time between blocks.
    pub block_time: Option<Duration>,
}

/// One `exporters.otlp/NAME`.
#[derive(Clone, Debug, PartialEq)]
pub struct Destination {
    /// The component name, `otlp/datadog`.
    pub name: String,
    /// `HOST:PORT`.
    pub endpoint: String,
    /// gRPC metadata sent with every request; values may be secrets.
    pub headers: Vec<(String, Secret)>,
    /// How request bodies are compressed.
    pub compression: Compression,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// The most bytes of one outgoing request, before compression.
    pub max_request_bytes: usize,
    /// HTTP/2 connections, each with one request in flight.
    pub connections: usize,
    /// `retry_on_failure`.
    pub retry: Retry,
    /// `circuit_breaker`.
    pub breaker: Breaker,
    /// `spill_after`: how long a request waits for this destination before it is also written to the store, where there is
    /// one.
    pub spill_after: Duration,
    /// Whether an acknowledgement waits for this destination.
    pub role: Role,
    /// How measurements are sent there.
    pub temporality: Temporality,
    /// Which signals it takes.
    pub signals: Signals,
}

/// Which pipelines name a destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signals {
    /// `pipelines.traces`.
    pub traces: bool,
    /// `pipelines.metrics`.
    pub metrics: bool,
    /// `pipelines.logs`.
    pub logs: bool,
    /// `pipelines.metrics/gateway`: what is measured here.
    pub derived: bool,
}

/// A value that never shows itself in logs, errors or `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps `value`.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("****")
    }
}

/// `compression` of an exporter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// As they are.
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

/// `retry_on_failure`: full-jitter exponential backoff.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    /// Upper bound of the first pause.
    pub initial_interval: Duration,
    /// Upper bound of every pause.
    pub max_interval: Duration,
    /// After which a batch is given up; `None`: never.
    pub max_elapsed_time: Option<Duration>,
}

/// `circuit_breaker`: when a destination is left alone, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Breaker {
    /// After so many failures in a row it opens.
    pub consecutive_failures: u32,
    /// The shortest time that it stays open.
    pub open_min: Duration,
    /// The longest.
    pub open_max: Duration,
}

/// `temporality` of an exporter: what the points of `metrics/gateway` count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Temporality {
    /// What happened within a window: for the Datadog agent.
    Delta,
    /// Running totals: for backends that want them.
    Cumulative,
}

/// `role` of an exporter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// An OK to the client means this destination has it.
    Required,
    /// Best effort from memory: never delays, fails or spills anything.
    Debug,
}

/// `extensions.file_storage`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileStorage {
    /// `directory`.
    pub directory: PathBuf,
    /// `max_size_mib`, in bytes: the most that is kept.
    pub max_bytes: u64,
    /// `min_free_mib`, in bytes: so much of the disk stays free.
    pub min_free_bytes: u64,
}

/// `service.telemetry.logs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Logs {
    /// The lowest level that is written.
    pub level: LogLevel,
    /// How a line looks.
    pub encoding: LogEncoding,
}

/// Log levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
}

/// `encoding` of the logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogEncoding {
    /// For people.
    Console,
    /// One JSON object a line.
    Json,
}
