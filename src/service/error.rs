//! Why a service could not start or could not end well.

use std::net::SocketAddr;
use std::time::Duration;

use crate::admin::{AdminError, AdminSocketError};
use crate::delivery::DestinationError;
use crate::store::StoreError;

/// Why a service could not start or could not end well.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// An address could not be bound.
    #[error("{component}: cannot listen on {address}")]
    Bind {
        /// Component name.
        component: &'static str,
        /// The configured address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The store could not be opened.
    #[error("extensions.file_storage: {0}")]
    Store(StoreError),
    /// The socket for `chainspan dlq` could not be opened.
    #[error("extensions.file_storage: {0}")]
    Socket(AdminSocketError),
    /// A destination could not be set up.
    #[error(transparent)]
    Destination(#[from] DestinationError),
    /// The health server ended with an error.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// Requests were still unanswered at the deadline.
    #[error(
        "{destination} did not take everything within shutdown_timeout ({timeout:?}); the clients of what was left were \
         told to send it again"
    )]
    NotDrained {
        /// Component name.
        destination: String,
        /// The time there was.
        timeout: Duration,
    },
}
