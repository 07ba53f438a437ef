//! The dead letters as an operator works on them: list, show, stats, replay, purge.
//!
//! One service of our own protobuf (`proto/`), met in two ways: by gRPC on the unix socket `admin.sock` of a running
//! process, and without any socket by `chainspan dlq` when no process is there. Both come in through [`Api`], so what
//! works on the running process works offline.
//!
//! Everything that asks the store blocks, and so runs on threads that may. What must never happen here: a destination
//! whose books do not learn what was moved; a letter that is let go to a destination that nobody would send to; an answer
//! that has to hold all letters in memory at once.

pub(crate) mod api;
mod convert;
mod desk;
mod replay;
mod service;
mod socket;

pub use desk::Desk;
pub(crate) use service::Api;
pub(crate) use socket::path;
pub use socket::{Socket, SocketError};
