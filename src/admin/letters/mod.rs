//! What operators do with dead letters: list, show, stats, replay, purge.
//!
//! One service of our own protocol (`proto/`), reached in two ways: by gRPC on the unix socket `admin.sock` of a running process,
//! and without a socket by `chainspan dlq` where no process runs. Both go through [`Api`], so that what works with a running
//! process works without one.
//!
//! Every question to the store blocks, and so runs on a thread that may. What must never happen here: letters are moved without
//! their destination learning of it; a letter is queued for a destination that does not exist; an answer holds all letters
//! in memory at once.

mod access;
pub(crate) mod api;
mod convert;
mod outcome;
mod replay;
mod service;
mod socket;

pub use access::DeadLetterAdmin;
pub(crate) use service::Api;
pub(crate) use socket::path;
pub use socket::{AdminSocket, AdminSocketError};
