//! A stand-in for the Datadog agent: a real gRPC server that accepts traces, metrics and logs, and remembers with which tag
//! every span arrived.

mod received;
mod server;

pub use received::Verification;
pub use server::Agent;
