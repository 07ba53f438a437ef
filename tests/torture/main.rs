//! A real process that is killed, stopped, cut off and starved: no acknowledged span is lost. `docs/reliability.md` says more.

#[path = "../torture_support/mod.rs"]
mod torture_support;

mod agent;
mod clock;
mod disk;
mod kills;
mod oracle;
mod poison;
mod sigterm;
mod store;
