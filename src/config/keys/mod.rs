//! The keys of `collector-config.yaml`, a file per component. Each key is declared here and nowhere else; see
//! [`section!`](super::form::section) for what a declaration says.

mod chain;
mod destination;
mod gateway;
mod headers;
mod health_check;
mod operations;
mod pipelines;
mod prometheus;
mod receiver;
mod service;
mod storage;
mod tls;

pub use chain::{Chain, Inherit};
pub use destination::{Breaker, Compression, Destination, Retry, Role, Signals, Temporality};
pub use gateway::{ChainInfo, Gateway, Health};
pub use health_check::HealthCheck;
pub use prometheus::Prometheus;
pub use receiver::{Grpc, Protocols, Receiver};
pub use service::{LogEncoding, LogLevel, Logs, Telemetry};
pub use storage::FileStorage;
pub use tls::Tls;

pub(super) use pipelines::{PIPELINES, Pipeline};
pub(super) use service::Service;
