//! Health and status over HTTP, the readiness that the gRPC health service passes on, and the dead letters.
//!
//! ```text
//! sources ─► query ─► checks: every 2 s ─► findings ─► results ─► monitor: condition ─┬─► report: /health, /health/ready
//!                └─► status: /status                                                  └─► receiver: gRPC health
//! ```
//!
//! `condition` is the table of `docs/delivery.md` section 5. Served by `http` are `/health`, `/health/ready`, `/status` and
//! `/`, which says where everything is; `letters` serves `chainspan dlq`.
//!
//! **A thread of its own** (`serve`). All of this runs on one thread with a small runtime, apart from the one that carries
//! requests: an endpoint that is there to say "that one is stuck" must not need it to say so. For the same reason no
//! health handler asks anybody anything: checks run in the background every 2 s, each with a timeout of 2 s, on a
//! thread that may hang without consequence, and handlers answer from their last results, with their age. `/status`
//! asks in the same way, and shows the last answer where none comes in time.
//!
//! **What must never happen here**: waiting for a lock that is held where requests are carried; calling the instance
//! unhealthy because something upstream is (an orchestrator would kill the process that holds the data).

mod check;
mod checks;
mod condition;
mod findings;
mod heartbeat;
mod http;
pub(crate) mod letters;
mod lifecycle;
mod monitor;
mod query;
mod report;
mod results;
mod serve;
mod sources;
mod status;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

pub use self::condition::Readiness;
pub use self::letters::{AdminSocket, AdminSocketError, DeadLetterAdmin};
pub use self::lifecycle::{IllegalTransition, Lifecycle, Phase};
pub use self::monitor::Monitor;
pub use self::serve::{AdminError, serve};
pub use self::sources::{ExportedPoints, Sources};
