//! The `chainspan` program: parses arguments, picks the command, turns its result into an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    chainspan::cli::main()
}
