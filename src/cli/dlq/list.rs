//! `chainspan dlq list`: which dead letters there are.

use std::process::ExitCode;

use serde::Serialize;

use super::args::{Place, Which, none};
use super::link::Desk;
use super::{amount, answer, moment, plain};
use crate::admin::letters::api;
use crate::cli::say;
use crate::cli::table::{Column, Table};
use crate::clock;

/// List dead letters, oldest first
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  chainspan dlq list --since 2h --reason rejected")]
pub(super) struct ListArgs {
    #[command(flatten)]
    pub(super) place: Place,
    #[command(flatten)]
    which: Which,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

/// What `list --json` prints of each: a documented format.
#[derive(Debug, Serialize)]
pub(super) struct Row {
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

impl From<api::Letter> for Row {
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

/// Prints them as they come.
pub(super) async fn list(desk: &mut Desk, args: ListArgs) -> anyhow::Result<ExitCode> {
    let filter = args.which.filter(&[]);
    let request = api::ListRequest { filter: Some(filter.clone()) };
    let mut pages = answer(desk.client().list(request)).await?.into_inner();
    let mut sum = api::Count::default();
    let mut table = Table::new(COLUMNS);
    while let Some(page) = answer(pages.message()).await? {
        if args.json {
            let mut text = String::new();
            for letter in page.letters {
                text += if sum.records == 0 { "[\n" } else { ",\n" };
                sum.records += 1;
                text += &serde_json::to_string(&Row::from(letter))?;
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
        (false, _) => say(&format!("{}\n", amount(&sum)))?,
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
        moment::age(letter.last_unix_nano),
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
