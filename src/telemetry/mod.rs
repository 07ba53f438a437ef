//! What chainspan says of itself: logs, and counters through the `metrics` facade.
//!
//! A [`Telemetry`] belongs to one running service, not to the process, so that several can run side by side in tests.
//! A handle is asked for once and kept: counting is then one atomic addition, without a lookup.

mod names;
mod process;
mod recorder;

pub mod logs;

pub use names::*;
pub use process::resident_bytes;
pub use recorder::{Sample, Telemetry, sample};
