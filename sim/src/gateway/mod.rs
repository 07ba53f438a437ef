//! Simulated gateway processes: the export requests that they make, and what each request means.
//!
//! ```text
//! Gateway            one process: batches, and traces that continue in a later batch
//! └─ TraceBuilder    one trace: where the chain id stands, which operations there are
//!    └─ SpanBuilder  one span: its message, its fact, its expected tag
//!       └─ Outcome   how an operation ends, drawn from the FaultProfile of its chain
//! ```

mod attribute;
mod chain_id;
mod clock_fault;
mod fault_profile;
mod ids;
mod oddity;
mod operation;
mod outcome;
mod process;
mod quorum;
mod span_builder;
mod trace;
mod transaction;
mod webhook;

pub use attribute::Flavour;
pub(crate) use clock_fault::{ClockFault, Shift};
pub use fault_profile::{Chain, FAULT_PROFILES, FaultProfile};
pub use process::{Batch, Gateway, GatewaySettings, gateways};
