//! The domain: what the spans of an AVS gateway mean, as closed sets.
//!
//! Pure computation over borrowed bytes: no sockets, no configuration files, no allocation per span. Each closed set has
//! one table, from which parsing, printing, the docs and the tests follow. Task ids, addresses, hashes and error texts
//! never leave this room as labels.
//!
//! ```text
//! attribute ─► Facts ─┐
//! SpanHead ───────────┼─► operation_of ─► measure ─► Measured (operation, outcome, reason, figures), or nothing
//! Names ──────────────┘
//! ```

mod classify;
#[cfg(test)]
mod docs;
mod facts;
mod family;
mod figures;
mod hints;
mod key;
mod label;
mod measured;
mod names;
mod number;
mod operation;
mod outcome;
mod quorum;
mod reason;
mod text;
mod tx;
mod verdict;
mod webhook;

pub use classify::{measure, operation_of};
pub use facts::{FactKey, Facts, GatewayBreaker};
pub use figures::has_bad_figure;
pub use hints::Hints;
pub use key::{MEASURED_KEY, OPERATION_NAME_KEY};
pub use label::OTHER;
pub use measured::{Detail, Measured, OptionalCount, Seconds};
pub use names::Names;
pub use operation::Operation;
pub use outcome::{Outcome, OutcomeClass};
pub use quorum::{QuorumClass, QuorumReason};
pub use reason::FailureReason;
pub use text::Text;
pub use tx::{TxClass, TxReason};
pub use webhook::WebhookStatus;

/// The snippets of the span convention compile: the page is a doc test.
#[cfg(doctest)]
#[doc = include_str!("../../docs/span-convention.md")]
struct SpanConvention;
