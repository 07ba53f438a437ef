//! What chainspan's tests, benchmarks and examples share, compiled once for all of them.
//!
//! | | |
//! |---|---|
//! | [`process`], [`chainspan`] | the real program with a configuration of its own, and what it says of itself |
//! | [`front_door`] | a configuration with room for a test's own keys, requests as no client would send them, sums of a scrape |
//! | [`server`] | the one fake OTLP server: where chainspan delivers to in tests |
//! | [`torture`] | a process that is killed and starved between clients and an agent that count every span |
//! | [`peer`], [`datadog`], [`jaeger`], [`prometheus`] | programs of other people |
//! | [`otlp`], [`http_get`], [`port`] | requests, a plain `GET`, ports |
//!
//! What only one test program needs is a module of that program (`tests/delivery/support.rs`).
#![allow(clippy::unwrap_used)]

pub mod chainspan;
pub mod datadog;
pub mod front_door;
pub mod http_get;
pub mod jaeger;
pub mod otlp;
pub mod peer;
pub mod port;
pub mod process;
pub mod prometheus;
pub mod server;
pub mod torture;
