//! Every default of `collector-config.yaml`, and nowhere else: what holds when a key or a whole section is left out.
//!
//! `tests/config/shipped.rs` holds the shipped file against this table.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::types::{
    Breaker, Chain, Compression, FileStorage, Gateway, Health, LogEncoding, LogLevel, Logs, Receiver, Retry, Role,
    Temporality,
};
use crate::chain::DEFAULT_KEYS;

/// One mebibyte in bytes.
pub(super) const MIB: usize = 1 << 20;

/// Where `exporters.otlp/datadog` sends: the agent's own OTLP port. Every other destination must name its endpoint.
pub(super) const DATADOG_ENDPOINT: &str = "127.0.0.1:4317";
/// `exporters.prometheus.endpoint`.
pub(super) const PROMETHEUS: SocketAddr = local(9464);
/// `extensions.health_check.endpoint`.
pub(super) const HEALTH_CHECK: SocketAddr = local(13133);
/// `exporters.otlp/NAME.compression`.
pub(super) const COMPRESSION: Compression = Compression::None;
/// `exporters.otlp/NAME.timeout`.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);
/// `exporters.otlp/NAME.max_request_size`.
pub(super) const MAX_REQUEST_BYTES: usize = MIB;
/// `exporters.otlp/NAME.connections`.
pub(super) const CONNECTIONS: usize = 2;
/// `exporters.otlp/NAME.role`.
pub(super) const ROLE: Role = Role::Required;
/// `exporters.otlp/NAME.temporality`.
pub(super) const TEMPORALITY: Temporality = Temporality::Delta;
/// `exporters.otlp/NAME.retry_on_failure`.
pub(super) const RETRY: Retry = Retry {
    initial_interval: Duration::from_millis(200),
    max_interval: Duration::from_secs(30),
    max_elapsed_time: None,
};
/// `exporters.otlp/NAME.circuit_breaker`.
pub(super) const BREAKER: Breaker =
    Breaker { consecutive_failures: 5, open_min: Duration::from_secs(1), open_max: Duration::from_secs(60) };
/// `exporters.otlp/NAME.spill_after`.
pub(super) const SPILL_AFTER: Duration = Duration::from_millis(100);
/// `service.telemetry.logs`.
pub(super) const LOGS: Logs = Logs { level: LogLevel::Info, encoding: LogEncoding::Console };
/// `service.shutdown_timeout`: orchestrators kill at 30 s.
pub(super) const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(25);
/// `service.extensions`.
pub(super) const EXTENSIONS: [&str; 2] = ["health_check", "file_storage"];

const DIMENSIONS: [&str; 2] = ["service.name", "deployment.environment.name"];

/// `receivers.otlp`.
pub(super) fn receiver() -> Receiver {
    Receiver {
        grpc: local(14317),
        max_request_bytes: 64 * MIB,
        max_concurrent_streams: 128,
        memory_limit_bytes: 256 * MIB,
    }
}

/// `extensions.file_storage`.
pub(super) fn file_storage() -> FileStorage {
    FileStorage {
        directory: "/var/lib/chainspan".into(),
        max_bytes: 1024 * MIB as u64,
        min_free_bytes: 256 * MIB as u64,
    }
}

/// `processors.chain`.
pub(super) fn chain() -> Chain {
    Chain {
        keys: DEFAULT_KEYS.map(str::to_owned).to_vec(),
        inherit_traces: 100_000,
        inherit_ttl: Duration::from_secs(300),
        datadog_hints: true,
    }
}

/// `connectors.gateway`.
pub(super) fn gateway() -> Gateway {
    Gateway {
        namespace: "avs.gateway".to_owned(),
        dimensions: DIMENSIONS.map(str::to_owned).to_vec(),
        operations: Default::default(),
        chains: Default::default(),
        max_chains: 64,
        max_series: 4096,
        series_idle: Duration::from_secs(900),
        exemplars: 4,
        health: Health { error_ratio: 0.05, quorum_failure_ratio: 0.02, no_success: Duration::from_secs(60) },
        instance: true,
        span_metrics: false,
    }
}

const fn local(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}
