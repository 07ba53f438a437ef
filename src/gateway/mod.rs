//! The domain: what the spans of an AVS gateway mean, as closed sets.
//!
//! Pure computation over borrowed bytes: no sockets, no configuration files, no allocation per span.

mod measured;
mod operation;
mod reason;

pub use measured::{Measured, OutcomeClass, Reason};
pub use operation::Operation;
pub use reason::{QuorumReason, TxReason, WebhookStatus};
