//! One destination each: coalescing, sending, retry, circuit breaker, spooling, dead letters. What is handed over here is
//! bytes with a span count; nothing in here looks at what a span means.
//!
//! ```text
//!  destination.hand_over ─► Command ─► actor (one task, one turn after the other) ─► published accounting ─► status
//!       ▲                                │
//!    receipt ◄── answers ── inflight ◄───┼──► policy     whether, when and how much is sent
//!                 ▲     │                │
//!                 │     └─ bodies ─► client ─► HTTP/2    one request per connection
//!              settle ◄── answer, failure ┘
//!                 │
//!      inflight ──┴─ overdue, refused ─► spool ─► store  its answers are commands
//!         ▲                                │
//!         └────────── replay ◄─────────────┘
//! ```
//!
//! | room | does | never |
//! |---|---|---|
//! | `destination`, `receipt` | what others hold | waits |
//! | `actor`, `parts`, `settle`, `drain` | the one task that owns everything, and the moves between its parts | blocks, copies a body |
//! | `command` | what goes between the parts | |
//! | `client` | one unary gRPC call | decides what happens next |
//! | `policy` | breaker, breakers of signals, backoff, table of failures, limits | waits, holds data |
//! | `inflight` | parcels, queues, connections' work, accounting, expiry | knows sockets or the store |
//! | `spool` | asks the store: writes, replays, buries; or there is none | waits |
//! | `meters`, `outage` | what the operator sees | repeats itself |
//!
//! Entered by `pipeline` (hand over), `admin` (status, dead letters that were moved) and `service` (start, drain). A body
//! lies in memory until it is acknowledged, on the disk or handed back; if the process dies before that, no client has been
//! told OK for it. At every moment `accepted = delivered + rejected + in_flight + spilled + dead + discarded`.

mod actor;
mod client;
mod command;
mod destination;
mod drain;
mod error;
mod inflight;
mod meters;
mod outage;
mod parcel;
mod parts;
mod policy;
mod receipt;
mod settle;
mod spool;
mod status;

#[cfg(not(chainspan_whole))]
pub(crate) use client::fuzzing;
pub use command::Moved;
pub use destination::Destination;
pub use error::DestinationError;
pub use inflight::{Description, Meaning, describe, meanings};
pub use parcel::{Parcel, Signal, Undelivered};
pub(crate) use policy::code_name;
pub use receipt::Receipt;
pub use status::{BreakerState, Conservation, DestinationStatus};
