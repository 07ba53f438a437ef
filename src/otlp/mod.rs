//! Bytes only: what an OTLP request looks like on the wire, read in place and edited without decoding it.
//!
//! Nothing in here waits, allocates per span, or knows what an attribute means. The meaning is up to a
//! [`Visitor`], which is shown each resource, scope and span once, in the order of the wire.
//!
//! ```text
//! ExportTraceServiceRequest
//! └── resource_spans (1)*
//!     ├── resource (1)         attributes (1)*
//!     └── scope_spans (2)*
//!         ├── scope (1)        attributes (3)*
//!         └── spans (2)*       trace_id 1, span_id 2, parent 4, name 5, kind 6, start 7, end 8,
//!                              attributes (9)*, events (11)*, links (13)*, status (15)
//! ```

mod attribute;
mod edit;
mod keys;
mod outline;
mod per_signal;
mod reader;
mod schema;
mod signal;
mod span;
mod split;
mod value;
mod visit;
mod walk;
mod wire;
mod write;

pub use edit::{Appended, EditError, Edits, SpanEdits};
pub use outline::count_items;
pub use per_signal::PerSignal;
pub use signal::Signal;
pub use split::{Piece, halve, split};
pub use value::Value;
pub use visit::{AttributePlace, Container, KeyMeaning, SpanHead, SpanPlace, Visitor};
pub use walk::{Walked, walk};
pub use wire::{WireError, WireFault};

#[cfg(test)]
mod tests;
