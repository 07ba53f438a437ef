//! What a destination has in hand, and where every span of it is.
//!
//! ```text
//! Command::Take ─► entries (one per parcel) ─► queue ─► connections ─► settling: acknowledged, sent again, divided, refused
//!                    │ accounting                ▲           │
//!                    └ durability ◄── disk ──────┴─ put back ┘      expiry, hand_back: no longer wanted
//! ```
//!
//! Plain state that is told the time: nothing in here waits, dials, or asks the store; what the store is to do is noted as
//! [`StoreTask`]. A piece of a parcel is in one place at a time, and the bytes of every piece are counted from
//! [`Accounting::hold`] to [`Accounting::free`]. [`describe`] alone looks into spans, and only once a request is refused for
//! good.

mod accounting;
mod connections;
mod describe;
mod durability;
mod entries;
mod entry;
mod expiry;
mod hand_back;
mod in_flight;
mod isolate;
mod piece;
mod queue;
mod settling;
mod spool_state;

pub(crate) use accounting::Accounting;
#[cfg(test)]
pub(crate) use accounting::Shares;
pub(crate) use connections::Sending;
pub use describe::{Description, Meaning, describe, meanings};
pub(crate) use entries::Entries;
pub(crate) use in_flight::{Admitted, InFlight};
pub(crate) use isolate::Division;
pub(crate) use piece::{Batch, cut_to_size};
pub(crate) use spool_state::{Dead, Remains, StoreTask};
