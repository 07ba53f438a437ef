//! The one fake OTLP server: it takes traces, metrics and logs over gRPC and does with each request what it is told.
//!
//! | | |
//! |---|---|
//! | [`Act`] | what can be done with one request |
//! | [`Server`] | listens, goes away, comes back; asks its [`Judge`] about every request |
//! | [`FaultServer`] | the server of most tests: acts by script, and keeps what arrived ([`Received`]) |
//!
//! The other judge is [`crate::torture::Agent`], which keeps nothing but the numbers of spans.

mod act;
mod answer;
mod listener;
mod received;
mod script;

pub use act::Act;
pub use answer::Request;
pub use listener::{Judge, Server};
pub use received::Received;
pub use script::FaultServer;
