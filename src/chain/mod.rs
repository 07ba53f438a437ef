//! Chain ids: how they are written, where they are looked for, and how a span without one takes its trace's.
//!
//! Pure computation over borrowed bytes: no sockets, no configuration files, no clock of its own.

mod id;

pub use id::ChainId;
