//! `extensions.health_check`.

use std::net::SocketAddr;

use crate::config::endpoint::{LISTEN, local};
use crate::config::error::LATER;
use crate::config::form::section;

section! {
    /// Serves `GET /health`, `/health/ready` and `/status`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct HealthCheck {
        /// Where to listen. Port 0 takes a free port.
        pub endpoint: SocketAddr = "endpoint", LISTEN, local(13133);
    }
    refuse {
        "tls" => LATER;
        "path" => "the paths are fixed: /health, /health/ready and /status; remove it";
    }
}
