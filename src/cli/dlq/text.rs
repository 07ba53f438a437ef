//! Words that the commands have in common.

use crate::admin::letters::api;
use crate::cli::format::count;

/// One line without control characters, so that no message of a destination can write to the terminal.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// `3 dead letters, 1,234 spans`, with the requests of metrics and logs if there are any.
pub(super) fn letters(sum: &api::Count) -> String {
    format!("{}, {}", plural(sum.records, "dead letter"), content(sum))
}

/// `1,234 spans`, with the requests of metrics and logs if there are any.
pub(super) fn content(sum: &api::Count) -> String {
    let mut text = plural(sum.spans, "span");
    if sum.requests > 0 {
        text += &format!(", {} of metrics or logs", plural(sum.requests, "request"));
    }
    text
}

/// Why there is nothing to show: no dead letters at all, or none that match.
pub(super) fn none(filter: &api::Filter) -> &'static str {
    if *filter == api::Filter::default() { "no dead letters" } else { "no dead letters match" }
}

fn plural(number: u64, one: &str) -> String {
    format!("{} {one}{}", count(number), if number == 1 { "" } else { "s" })
}
