//! One destination each: coalescing, sending, retry, breaker, spilling, dead letters. What is handed over here is bytes with a span count; nothing in
//! here looks at what a span means.
//!
//! ```text
//! hand_over ─► Command ─► actor ── queue ─► slot (one connection, one request in flight) ─► caller ─► link (HTTP/2)
//!     ▲                     │ tickets, ledger                                                  │
//!     └────── receipt ◄─────┼───────────── settle: acknowledged, paused, cut in two ◄──────────┘
//!                           └─ spill ─► keeper ─► store ─► recall (backlog) ─► slot
//! ```
//!
//! | who | does | never |
//! |---|---|---|
//! | `destination`, `receipt` | what others hold | waits |
//! | `actor`, `settle`, `untaken`, `sweep`, `spill`, `recall`, `closing` | the one task that owns everything | blocks, copies a body |
//! | `queue`, `slot`, `tickets`, `keeping`, `ledger`, `isolate`, `backlog`, `breaker`, `lanes` | its state, plain data | knows sockets or time zones |
//! | `keeper` | questions to the store, which come back as commands | waits |
//! | `caller`, `connection`, `rope`, `compress`, `response` | one unary gRPC call | decides what happens next |
//! | `retry`, `backoff` | tables and arithmetic | waits |
//! | `letter` | chains and operations of a refused request | is asked about a request that may still be delivered |
//!
//! Entered by `pipeline` (hand over), `admin` (status, dead letters that were moved) and `service` (start, drain). A body
//! lies in memory until it is acknowledged, on the disk or handed back; if the process dies before that, no client has been
//! told OK for it.

mod actor;
mod backlog;
mod backoff;
mod breaker;
mod caller;
mod closing;
mod compress;
mod connection;
mod destination;
mod isolate;
mod keeper;
mod keeping;
mod lanes;
mod ledger;
mod letter;
mod meters;
mod parcel;
mod queue;
mod recall;
mod receipt;
mod response;
mod retry;
mod rope;
mod settle;
mod slot;
mod spill;
mod status;
mod sweep;
mod tickets;
mod untaken;

pub use destination::{Destination, DestinationError, Moved};
pub use letter::{Description, Meaning, describe, meanings};
pub use parcel::{Parcel, Signal, Undelivered};
pub use receipt::Receipt;
pub(crate) use retry::code_name;
pub use status::{BreakerState, Conservation, DestinationStatus};
