//! Chain ids: how they are written, where they are looked for, and how a span without one takes its trace's.
//!
//! Pure computation over borrowed bytes: no sockets, no configuration files, no clock of its own. A wrong tag is worse
//! than none: nothing here guesses.
//!
//! ```text
//! attribute ─► ChainKeys::rank ─► ChainCandidate (span, scope, resource) ─► Resolved::own ─► RequestTraces::note
//!                  after the walk: RequestTraces::settle (with Traces) ─► RequestTraces::get, Traces::lookup ─► Lookup::and
//! attribute "chain_id" ─► OwnTag ─► TagPlan, once the chain is known
//! ```

mod id;
mod keys;
mod request;
mod resolve;
mod set;
mod tag;
mod traces;

pub use id::{Canonical, ChainId, ParseChainIdError, Spelling};
pub use keys::{ChainKeys, DEFAULT_KEYS};
pub use request::RequestTraces;
pub use resolve::{ChainCandidate, ChainSource, Resolved};
pub use tag::{OwnTag, TAG_KEY, TagPlan};
pub use traces::{Lookup, Recorded, Traces, valid_trace_id};
