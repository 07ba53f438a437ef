//! A real process that is killed, stopped, cut off and starved: no acknowledged span is lost. `docs/reliability.md` says more.

mod agent;
mod clock;
mod disk;
mod kills;
mod oracle;
mod poison;
mod sigterm;
mod store;
