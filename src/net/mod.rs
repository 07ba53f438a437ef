//! Listening sockets: one accept loop for every server of the process, and one HTTP/1 server for what people, scrapers
//! and orchestrators read.
//!
//! ```text
//! listener ─► accept::run ─► a task for each connection ─┬─► receiver: HTTP/2
//!                                                        └─► http1::serve ─► admin, export::prometheus
//! ```
//!
//! A server knows its listener, its limits and a future that ends it; it is stopped by that future alone. Nothing here
//! knows what is served.

mod accept;
mod http1;

pub(crate) use accept::{AcceptLimits, Drain, run};
pub(crate) use http1::{Http1Limits, response, serve, text};
