//! The torture chamber: a real chainspan process between clients and a stand-in for the agent, both of which live in this
//! process, survive whatever happens to it, and know every span by its number. Used by the tests of `tests/torture` and by the
//! example `torture`.
//!
//! A [`Bed`] holds one chainspan with its directory, its [`Agent`], its [`Load`] and its [`Oracle`]. What must never happen
//! here: an excuse for a missing span.

pub mod agent;
pub mod bed;
pub mod kept;
pub mod load;
pub mod numbers;
pub mod oracle;
pub mod preload;
pub mod scenario;
pub mod setup;
pub mod tmpfs;
pub mod verdict;
pub mod watch;

pub use agent::{Agent, Mood};
pub use bed::Bed;
pub use load::{Load, Shape};
pub use oracle::{Oracle, Outcome};
pub use setup::Setup;
pub use verdict::Verdict;
