//! `chainspan dlq show`: why a letter died, and what is in it.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Map, Value};

use super::args::StoreArgs;
use super::client::{DlqClient, answer};
use super::list::LetterJson;
use super::spans::{Content, ShownSpan};
use super::text::plain;
use super::time;
use crate::admin::letters::api;
use crate::cli::format::{count, nanos};
use crate::cli::output::{say, say_json};
use crate::clock;

/// Show one dead letter: why it died, and its spans
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  chainspan dlq show 17")]
pub(super) struct ShowArgs {
    /// The number that list shows
    id: i64,
    #[command(flatten)]
    pub(super) store: StoreArgs,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// Prints the letter.
pub(super) async fn show(client: &mut DlqClient, args: ShowArgs) -> anyhow::Result<ExitCode> {
    let found = answer(client.service().show(api::ShowRequest { id: args.id })).await?.into_inner();
    let letter = found.letter.context("an answer without the letter; this is a bug, please report it")?;
    let content = Content::read(&letter.signal, &found.body);
    if args.json {
        let (signal, bytes, received) =
            (letter.signal.clone(), letter.bytes, clock::rfc3339(letter.received_unix_nano));
        let mut object = match serde_json::to_value(LetterJson::from(letter))? {
            Value::Object(object) => object,
            _ => Map::new(),
        };
        object.extend([
            ("signal".to_owned(), signal.into()),
            ("bytes".to_owned(), bytes.into()),
            ("received".to_owned(), received.into()),
            ("content".to_owned(), serde_json::to_value(&content)?),
        ]);
        say_json(&object)?;
    } else {
        say(&text(&letter, &content))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The letter as text.
fn text(letter: &api::Letter, content: &Content) -> String {
    let mut out = LetterText::default();
    let (id, destination, reason) = (letter.id, &letter.destination, &letter.reason);
    out.0 += &format!("dead letter {id}: {}, {}\n", plain(destination), plain(reason));
    if !letter.code.is_empty() {
        out.pair("code", &letter.code);
    }
    out.pair("message", &letter.message);
    let tries = format!(
        "{}, first {}, last {} ({} ago)",
        letter.attempts,
        clock::rfc3339(letter.first_unix_nano),
        clock::rfc3339(letter.last_unix_nano),
        time::age(letter.last_unix_nano)
    );
    out.pair("attempts", &tries);
    out.pair("received", &clock::rfc3339(letter.received_unix_nano));
    let spans = if letter.signal == "traces" { format!(", {} spans", letter.spans) } else { String::new() };
    out.pair("request", &format!("{}{spans}, {} bytes", letter.signal, count(letter.bytes)));
    match content {
        Content::Spans(spans) => {
            for (index, span) in spans.iter().enumerate() {
                out.0 += &format!("\nspan {} of {}: {}\n", index + 1, spans.len(), plain(&span.name));
                out.span(span);
            }
        }
        Content::Metrics(names) => out.list("metrics", names.iter().cloned()),
        Content::Logs(bodies) => out.list("log records", bodies.iter().map(value)),
        Content::Damaged(why) => out.0 += &format!("\nits body is damaged: {}\n", plain(why)),
    }
    out.0
}

#[derive(Default)]
struct LetterText(String);

impl LetterText {
    fn pair(&mut self, name: &str, text: &str) {
        writeln!(self.0, "  {name:<11} {}", plain(text)).expect("writing to a String cannot fail");
    }

    fn list(&mut self, what: &str, items: impl Iterator<Item = String>) {
        self.0 += &format!("\n{what}\n");
        for item in items {
            self.0 += &format!("  {}\n", plain(&item));
        }
    }

    fn span(&mut self, span: &ShownSpan) {
        self.pair("chain", span.chain.as_deref().unwrap_or("unknown"));
        self.pair("operation", span.operation.unwrap_or("none"));
        self.pair("trace id", &span.trace_id);
        let parent = if span.parent_span_id.is_empty() { "none" } else { &span.parent_span_id };
        self.pair("span id", &format!("{}, parent {parent}", span.span_id));
        self.pair("start", &format!("{}, took {}", span.start, nanos(Some(span.duration_ns))));
        let message = if span.status_message.is_empty() { "" } else { ": " };
        self.pair("status", &format!("{}{message}{}", span.status, span.status_message));
        for (name, attributes) in [("resource", &span.resource), ("attributes", &span.attributes)] {
            self.attributes(name, attributes);
        }
        for event in &span.events {
            self.attributes(&format!("event {} at {}", event.name, event.time), &event.attributes);
        }
    }

    fn attributes(&mut self, name: &str, attributes: &Map<String, Value>) {
        self.0 += &format!("  {}\n", plain(name));
        for (key, attribute) in attributes {
            self.0 += &format!("    {} = {}\n", plain(key), plain(&value(attribute)));
        }
    }
}

/// Texts as they are, everything else as JSON.
fn value(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
