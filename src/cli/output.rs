//! Where results go.

use std::io::Write as _;

use anyhow::Context as _;

/// The exit code of a command whose arguments or configuration are wrong; clap uses the same.
pub(super) const USAGE: u8 = 2;

/// Writes a result to stdout. A reader that has gone away, as `head` does, is no error.
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
