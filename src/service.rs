//! Puts the rooms together and runs them until told to stop.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::config::Config;

/// A running chainspan.
#[derive(Debug)]
pub struct Service {
    listening: BTreeMap<String, SocketAddr>,
}

/// Why a service could not start or could not end well.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// An address could not be bound.
    #[error("{component}: cannot listen on {address}: {source}")]
    Bind {
        /// Component name.
        component: String,
        /// The configured address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Service {
    /// Binds every endpoint and starts working.
    pub async fn start(config: Config) -> Result<Self, ServiceError> {
        let _ = config;
        Ok(Self { listening: BTreeMap::new() })
    }

    /// The bound address of each component: `otlp/grpc`, `prometheus`, `health_check`.
    pub fn listening(&self) -> &BTreeMap<String, SocketAddr> {
        &self.listening
    }

    /// Drains and stops, within the configured `shutdown_timeout`.
    pub async fn shut_down(self) -> Result<(), ServiceError> {
        Ok(())
    }
}
