//! `chainspan dlq stats`: dead letters by destination, reason and code, and how full the store is.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use serde_json::{Value, json};

use super::args::{FilterArgs, StoreArgs};
use super::client::{DlqClient, answer};
use super::text::{letters, none, plain};
use super::time;
use crate::admin::letters::api;
use crate::cli::format::count;
use crate::cli::output::{say, say_json};
use crate::cli::table::{Column, Table};
use crate::clock;

/// Count dead letters by destination, reason and code, and show what the
/// store holds
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  chainspan dlq stats --since 1d")]
pub(super) struct StatsArgs {
    #[command(flatten)]
    pub(super) store: StoreArgs,
    #[command(flatten)]
    filter: FilterArgs,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// Destination, reason, code.
type GroupKey = (String, String, String);

/// The dead letters of one key.
#[derive(Debug, Default)]
struct LetterGroup {
    sum: api::Count,
    chains: BTreeSet<String>,
    last: u64,
}

/// Counts the letters, and asks what the store holds.
pub(super) async fn stats(client: &mut DlqClient, args: StatsArgs) -> anyhow::Result<ExitCode> {
    let filter = args.filter.filter(&[]);
    let mut groups: BTreeMap<GroupKey, LetterGroup> = BTreeMap::new();
    let mut sum = api::Count::default();
    let mut pages =
        answer(client.service().list(api::ListRequest { filter: Some(filter.clone()) })).await?.into_inner();
    while let Some(page) = answer(pages.message()).await? {
        for letter in page.letters {
            let group =
                groups.entry((letter.destination.clone(), letter.reason.clone(), letter.code.clone())).or_default();
            add(&mut sum, &letter);
            add(&mut group.sum, &letter);
            group.last = group.last.max(letter.last_unix_nano);
            group.chains.extend(letter.chains);
        }
    }
    let store = answer(client.service().stats(api::StatsRequest {})).await?.into_inner();
    if args.json {
        say_json(&object(&sum, &groups, &store))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(COLUMNS);
    let mut text = table.print(groups.iter().map(cells));
    text += &if sum.records == 0 { format!("{}\n", none(&filter)) } else { format!("{}\n", letters(&sum)) };
    text += &store_text(&store);
    say(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn add(sum: &mut api::Count, letter: &api::Letter) {
    let traces = letter.signal == "traces";
    sum.records += 1;
    sum.spans += if traces { u64::from(letter.spans) } else { 0 };
    sum.requests += u64::from(!traces);
    sum.bytes += letter.bytes;
}

const COLUMNS: &[Column] = &[
    Column::text("DESTINATION"),
    Column::text("REASON"),
    Column::text("CODE"),
    Column::number("LETTERS"),
    Column::number("SPANS"),
    Column::number("LAST"),
    Column::text("CHAINS"),
];

fn cells(((destination, reason, code), group): (&GroupKey, &LetterGroup)) -> Vec<String> {
    let chains: Vec<&str> = group.chains.iter().map(String::as_str).collect();
    let texts = [
        destination.clone(),
        reason.clone(),
        code.clone(),
        count(group.sum.records),
        count(group.sum.spans),
        time::age(group.last),
        chains.join(","),
    ];
    texts.iter().map(|text| plain(text)).collect()
}

/// What the store holds, whatever the filter.
fn store_text(store: &api::StatsResponse) -> String {
    let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
    let mut text = format!(
        "store: {} of {} used, {} of its disk free",
        mib(store.used_bytes),
        mib(store.max_bytes),
        mib(store.free_bytes)
    );
    if !store.refusing.is_empty() {
        text += &format!("; new records are refused: {}", plain(&store.refusing));
    }
    text.push('\n');
    for destination in &store.destinations {
        let spans = |sum: &Option<api::Count>| count(sum.unwrap_or_default().spans);
        let oldest = destination
            .oldest_unix_nano
            .map_or_else(String::new, |oldest| format!(" (the oldest received {} ago)", time::age(oldest)));
        text += &format!(
            "{}: {} spans waiting{oldest}, {} dead, {} purged\n",
            plain(&destination.name),
            spans(&destination.waiting),
            spans(&destination.dead),
            spans(&destination.discarded)
        );
    }
    for path in &store.set_aside {
        text += &format!("a damaged file was set aside: {}\n", plain(path));
    }
    text
}

fn object(sum: &api::Count, groups: &BTreeMap<GroupKey, LetterGroup>, store: &api::StatsResponse) -> Value {
    let all = |sum: &api::Count| json!({"letters": sum.records, "spans": sum.spans, "requests": sum.requests, "bytes": sum.bytes});
    let group = |((destination, reason, code), group): (&GroupKey, &LetterGroup)| {
        json!({
            "destination": destination, "reason": reason, "code": code, "letters": group.sum.records,
            "spans": group.sum.spans, "requests": group.sum.requests, "chains": group.chains,
            "last": clock::rfc3339(group.last),
        })
    };
    let destination = |destination: &api::stats_response::Destination| {
        let of = |sum: &Option<api::Count>| {
            let sum = sum.unwrap_or_default();
            json!({"records": sum.records, "spans": sum.spans, "requests": sum.requests, "bytes": sum.bytes})
        };
        let value = json!({
            "waiting": of(&destination.waiting), "dead": of(&destination.dead), "discarded": of(&destination.discarded),
            "oldest": destination.oldest_unix_nano.map(clock::rfc3339),
        });
        (destination.name.clone(), value)
    };
    json!({
        "dead": all(sum),
        "groups": groups.iter().map(group).collect::<Vec<_>>(),
        "destinations": store.destinations.iter().map(destination).collect::<serde_json::Map<_, _>>(),
        "store": {
            "used_bytes": store.used_bytes, "max_bytes": store.max_bytes, "free_bytes": store.free_bytes,
            "refusing": Some(&store.refusing).filter(|why| !why.is_empty()), "set_aside": store.set_aside,
        },
    })
}
