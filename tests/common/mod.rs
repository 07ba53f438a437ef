//! What several test files share.
#![allow(dead_code, unreachable_pub)]

pub mod agent;
pub mod chainspan;
pub mod fault;
pub mod front_door;
pub mod http_get;
pub mod jaeger;
pub mod otlp;
pub mod peer;
pub mod port;
pub mod prometheus;
pub mod sink;
