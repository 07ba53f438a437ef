//! `exporters.prometheus`.

use std::net::SocketAddr;

use crate::config::endpoint::{LISTEN, local};
use crate::config::error::LATER;
use crate::config::form::section;

section! {
    /// Serves `GET /metrics` for a Prometheus to scrape.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Prometheus {
        /// Where to listen. Port 0 takes a free port.
        pub endpoint: SocketAddr = "endpoint", LISTEN, local(9464);
    }
    refuse {
        "tls" => LATER;
        "path" => "the path is fixed: /metrics; remove it";
        "namespace", "const_labels" => "the names come from connectors.gateway.namespace and dimensions; remove it";
    }
}
