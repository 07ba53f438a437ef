//! One unary gRPC call over HTTP/2, written so that the bodies of a batch are sent without being joined.
//!
//! ```text
//! call ─► connection (dial, ping, tear down) ─► HTTP/2
//!   │ frame: prefix and bodies, compressed or as they are ─► chunks
//!   └ response: status, RetryInfo, partial success
//! ```
//!
//! Nothing in here decides what happens after a failure, and nothing that a destination sends is trusted to be small.

mod call;
mod chunks;
mod connection;
mod frame;
#[cfg(not(chainspan_whole))]
pub(crate) mod fuzzing;
mod response;

pub(crate) use call::{Client, Finished};
pub(crate) use connection::Link;
pub(crate) use response::Acknowledgement;
