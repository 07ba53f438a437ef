//! What the commands share: the version, the exit code for usage errors, and results on stdout.

use std::io::Write as _;

use anyhow::Context as _;

/// The exit code for wrong arguments or a wrong configuration; clap uses the same.
pub(super) const USAGE: u8 = 2;

/// Version, commit and target, for `--version`.
pub(super) const VERSION: &str =
    concat!(env!("CARGO_PKG_VERSION"), " (commit ", env!("CHAINSPAN_COMMIT"), ", ", env!("CHAINSPAN_TARGET"), ")");

/// Writes a result to stdout. A reader that has closed the pipe, as `head` does, is not an error.
///
/// # Errors
/// The result could not be written.
pub(super) fn say(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error).context("cannot write the result"),
        _ => Ok(()),
    }
}

/// Writes a result to stdout as indented JSON.
///
/// # Errors
/// The result could not be written.
pub(super) fn say_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    say(&(serde_json::to_string_pretty(value)? + "\n"))
}
