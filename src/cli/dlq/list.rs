//! `chainspan dlq list`: one line per dead letter.

use std::process::ExitCode;

use serde::Serialize;

use super::args::{FilterArgs, StoreArgs};
use super::client::{DlqClient, answer};
use super::text::{letters, none, plain};
use super::time;
use crate::admin::letters::api;
use crate::cli::output::say;
use crate::cli::table::{Column, Table};
use crate::clock;

/// List dead letters, oldest first
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  chainspan dlq list --since 2h --reason rejected")]
pub(super) struct ListArgs {
    #[command(flatten)]
    pub(super) store: StoreArgs,
    #[command(flatten)]
    filter: FilterArgs,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

/// A letter in JSON, as `list --json` prints it: a documented format.
#[derive(Debug, Serialize)]
pub(super) struct LetterJson {
    id: i64,
    destination: String,
    reason: String,
    code: String,
    message: String,
    spans: u32,
    chains: Vec<String>,
    operations: Vec<String>,
    attempts: u32,
    first: String,
    last: String,
}

impl From<api::Letter> for LetterJson {
    fn from(letter: api::Letter) -> Self {
        Self {
            id: letter.id,
            destination: letter.destination,
            reason: letter.reason,
            code: letter.code,
            message: letter.message,
            spans: letter.spans,
            chains: letter.chains,
            operations: letter.operations,
            attempts: letter.attempts,
            first: clock::rfc3339(letter.first_unix_nano),
            last: clock::rfc3339(letter.last_unix_nano),
        }
    }
}

/// Prints the letters as they arrive.
pub(super) async fn list(client: &mut DlqClient, args: ListArgs) -> anyhow::Result<ExitCode> {
    let filter = args.filter.filter(&[]);
    let request = api::ListRequest { filter: Some(filter.clone()) };
    let mut pages = answer(client.service().list(request)).await?.into_inner();
    let mut sum = api::Count::default();
    let mut table = Table::new(COLUMNS);
    while let Some(page) = answer(pages.message()).await? {
        if args.json {
            let mut text = String::new();
            for letter in page.letters {
                text += if sum.records == 0 { "[\n" } else { ",\n" };
                sum.records += 1;
                text += &serde_json::to_string(&LetterJson::from(letter))?;
            }
            say(&text)?;
            continue;
        }
        for letter in &page.letters {
            sum.records += 1;
            sum.spans += u64::from(letter.spans);
            sum.requests += u64::from(letter.signal != "traces");
        }
        say(&table.print(page.letters.iter().map(cells)))?;
    }
    match (args.json, sum.records) {
        (true, 0) => say("[]\n")?,
        (true, _) => say("\n]\n")?,
        (false, 0) => say(&format!("{}\n", none(&filter)))?,
        (false, _) => say(&format!("{}\n", letters(&sum)))?,
    }
    Ok(ExitCode::SUCCESS)
}

const COLUMNS: &[Column] = &[
    Column::number("ID"),
    Column::number("AGE"),
    Column::text("DESTINATION"),
    Column::text("REASON"),
    Column::text("CODE"),
    Column::number("SPANS"),
    Column::text("CHAINS"),
    Column::text("OPERATIONS"),
    Column::text("MESSAGE"),
];

fn cells(letter: &api::Letter) -> Vec<String> {
    let spans = if letter.signal == "traces" { letter.spans.to_string() } else { letter.signal.clone() };
    let texts = [
        letter.id.to_string(),
        time::age(letter.last_unix_nano),
        letter.destination.clone(),
        letter.reason.clone(),
        letter.code.clone(),
        spans,
        letter.chains.join(","),
        letter.operations.join(","),
        letter.message.clone(),
    ];
    texts.iter().map(|text| plain(text)).collect()
}
