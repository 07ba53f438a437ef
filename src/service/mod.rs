//! Puts the rooms together and runs them until told to stop. Tests and the demo start the same service as the binary.
//!
//! ```text
//! Config ─► listen: bind every endpoint ─► admin (health: starting) ─► store ─► destinations ─► pipeline
//!        ─► windows ─► prometheus ─► receiver ─► health: running
//! shutdown: health: draining ─► no new requests ─► open ones end ─► windows ─► destinations ─► connections ─► store
//! ```

mod error;
mod listen;
mod measuring;
mod running;
mod shutdown;
mod sources;
mod windows;

pub use error::ServiceError;
pub use running::Service;
