//! The commands, one small file each: arguments in, exit code out.
//!
//! Results go to stdout, logs and errors to stderr. Exit codes: 0 done, 1 the command did not succeed, 2 the arguments or
//! the configuration are wrong. Nothing outside this module knows of exit codes, and only this module uses `anyhow`.

pub mod check;
pub mod demo;
pub mod dlq;
mod format;
pub mod health;
mod http_get;
pub mod load;
pub mod metrics;
mod output;
mod program;
pub mod run;
mod table;

pub use program::main;
