//! The `chainspan` program: parses arguments, picks the command, turns its result into an exit code.

use std::process::ExitCode;

#[cfg(not(chainspan_whole))]
use chainspan::cli;

// With `--cfg chainspan_whole` the rooms are compiled into the program itself, where `pub` reaches nobody, so that rustc's lint
// for dead code sees what nothing but a test calls (`.ci/run dead-code`).
#[cfg(chainspan_whole)]
mod admin;
#[cfg(chainspan_whole)]
mod chain;
#[cfg(chainspan_whole)]
mod cli;
#[cfg(chainspan_whole)]
mod clock;
#[cfg(chainspan_whole)]
mod config;
#[cfg(chainspan_whole)]
mod delivery;
#[cfg(chainspan_whole)]
mod export;
#[cfg(chainspan_whole)]
mod gateway;
#[cfg(chainspan_whole)]
mod lock;
#[cfg(chainspan_whole)]
mod net;
#[cfg(chainspan_whole)]
mod otlp;
#[cfg(chainspan_whole)]
mod pipeline;
#[cfg(chainspan_whole)]
mod receiver;
#[cfg(chainspan_whole)]
mod red;
#[cfg(chainspan_whole)]
mod service;
#[cfg(chainspan_whole)]
mod store;
#[cfg(chainspan_whole)]
mod sync;
#[cfg(chainspan_whole)]
mod telemetry;

fn main() -> ExitCode {
    cli::main()
}
