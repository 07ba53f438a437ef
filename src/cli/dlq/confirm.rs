//! What the commands that change something have in common: they ask first, and print what they did.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use serde_json::{Value, json};

use crate::admin::letters::api;
use crate::cli::output::say;

/// Asks on a terminal. Without one nobody can answer: says what to add to the command instead.
pub(super) fn confirmed(what: &str, fix: &str) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        eprintln!("chainspan: {what}: {fix}");
        return Ok(false);
    }
    eprint!("{what}. Continue? [y/N] ");
    std::io::stderr().flush()?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let yes = matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes");
    if !yes {
        eprintln!("nothing was changed");
    }
    Ok(yes)
}

/// Prints `object`, or `text` for people.
pub(super) fn print(as_json: bool, text: &str, object: &Value) -> anyhow::Result<()> {
    say(&if as_json { format!("{object}\n") } else { format!("{text}\n") })
}

/// A sum in the JSON of these commands.
pub(super) fn sum_json(sum: &api::Count) -> Value {
    json!({"letters": sum.records, "spans": sum.spans, "requests": sum.requests})
}
