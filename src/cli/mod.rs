//! The commands, one small file each.

use std::process::ExitCode;

/// Parses the arguments, runs the command, returns its exit code.
pub fn main() -> ExitCode {
    ExitCode::from(2)
}
