//! `chainspan dlq purge`: delete dead letters for good.

use std::process::ExitCode;

use serde_json::json;

use super::args::{FilterArgs, StoreArgs};
use super::client::{DlqClient, answer};
use super::confirm::{confirmed, print, sum_json};
use super::text::{letters, none};
use crate::admin::letters::api;

/// Delete dead letters for good; they are counted as discarded
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  chainspan dlq purge --until 30d --yes")]
pub(super) struct PurgeArgs {
    /// Only these letters; without numbers all that match
    #[arg(value_name = "ID")]
    ids: Vec<i64>,
    #[command(flatten)]
    pub(super) store: StoreArgs,
    #[command(flatten)]
    filter: FilterArgs,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// Deletes the letters, once that is confirmed.
pub(super) async fn purge(client: &mut DlqClient, args: PurgeArgs) -> anyhow::Result<ExitCode> {
    let filter = args.filter.filter(&args.ids);
    let preview = client.preview(filter.clone()).await?;
    let all = sum(preview.meant.unwrap_or_default(), preview.left.unwrap_or_default());
    if all.records == 0 {
        print(args.json, none(&filter), &json!({"purged": sum_json(&all)}))?;
        return Ok(ExitCode::SUCCESS);
    }
    let what = format!("{} would be deleted for good", letters(&all));
    if !args.yes && !confirmed(&what, "see them with chainspan dlq list, then add --yes")? {
        return Ok(ExitCode::FAILURE);
    }
    let purged = answer(client.service().purge(api::PurgeRequest { filter: Some(filter) })).await?.into_inner();
    let purged = purged.purged.unwrap_or_default();
    let text = format!("{} purged, counted as discarded", letters(&purged));
    print(args.json, &text, &json!({"purged": sum_json(&purged)}))?;
    Ok(ExitCode::SUCCESS)
}

fn sum(one: api::Count, other: api::Count) -> api::Count {
    api::Count {
        records: one.records + other.records,
        spans: one.spans + other.spans,
        requests: one.requests + other.requests,
        bytes: one.bytes + other.bytes,
    }
}
