//! The gRPC door through real sockets: what clients are answered, what they can make it hold, and that the official
//! clients are at home.
#![allow(clippy::unwrap_used)]

mod answers;
mod clients;
mod drain;
mod memory;
mod support;
