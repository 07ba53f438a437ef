//! `chainspan dlq`: what destinations refused for good, and what to do about it.
//!
//! Asks the running process by its socket; where none runs, opens the store itself. Both answer the same questions, so
//! nothing in the commands knows which it is.

mod args;
mod link;
mod list;
mod moment;
mod r#move;
mod show;
mod spans;
mod stats;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Subcommand;
use tonic::Status;

use crate::admin::letters::api;
use crate::config::{Config, FileStorage, LogEncoding, LogLevel, Source};
use crate::telemetry;
use args::Place;
use link::Desk;

/// How long one part of an answer may take. A store of gigabytes is looked through in this time many times over.
const PATIENCE: Duration = Duration::from_secs(120);

/// List, show, send again or give up what destinations refused for good
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
#[command(after_help = "\
Works on the running chainspan of that configuration, or on its directory when
none runs.

Example:
  chainspan dlq list --since 2h --config collector-config.yaml")]
pub struct DlqArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
enum Command {
    List(list::ListArgs),
    Show(show::ShowArgs),
    Stats(stats::StatsArgs),
    Replay(r#move::ReplayArgs),
    Purge(r#move::PurgeArgs),
}

/// Runs the command.
///
/// # Errors
/// No store, no answer from it, or what was asked for could not be done.
pub fn dlq(args: DlqArgs) -> anyhow::Result<ExitCode> {
    let place = match &args.command {
        Command::List(args) => &args.place,
        Command::Show(args) => &args.place,
        Command::Stats(args) => &args.place,
        Command::Replay(args) => &args.place,
        Command::Purge(args) => &args.place,
    };
    let (config, storage) = match store_of(place)? {
        Ok(found) => found,
        Err(code) => return Ok(code),
    };
    // A store that is opened here may have something to say.
    telemetry::logs::init(LogLevel::Warn, LogEncoding::Console)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(async {
        let mut desk = Desk::find(&config, &storage).await?;
        let done = match args.command {
            Command::List(args) => list::list(&mut desk, args).await,
            Command::Show(args) => show::show(&mut desk, args).await,
            Command::Stats(args) => stats::stats(&mut desk, args).await,
            Command::Replay(args) => r#move::replay(&mut desk, args).await,
            Command::Purge(args) => r#move::purge(&mut desk, args).await,
        };
        desk.close();
        done
    });
    // A thread that the store holds must not hold the process.
    runtime.shutdown_background();
    done
}

/// The configuration and where its store is; the exit code when the configuration is wrong.
fn store_of(place: &Place) -> anyhow::Result<Result<(Config, FileStorage), ExitCode>> {
    let source = Source::find(place.config.as_deref());
    let config = match source.load() {
        Ok(config) => config,
        Err(errors) => {
            eprintln!("{errors}");
            return Ok(Err(ExitCode::from(super::USAGE)));
        }
    };
    let Some(storage) = config.file_storage.clone() else {
        bail!(
            "{source}: service.extensions does not name file_storage, so nothing is kept and there are no dead letters"
        );
    };
    Ok(Ok((config, storage)))
}

/// An answer within reasonable time, in the words of whoever gave it.
async fn answer<T>(asked: impl Future<Output = Result<T, Status>>) -> anyhow::Result<T> {
    let answered = tokio::time::timeout(PATIENCE, asked).await;
    let answered = answered.with_context(|| format!("no answer within {} s", PATIENCE.as_secs()))?;
    answered.map_err(|status| anyhow::anyhow!("{}", plain(status.message())))
}

/// The first part of what a replay tells: what is meant.
async fn meant(desk: &mut Desk, filter: api::Filter) -> anyhow::Result<api::ReplayResponse> {
    let request = api::ReplayRequest { filter: Some(filter), spans_per_second: 0, dry_run: true };
    let mut parts = answer(desk.client().replay(request)).await?.into_inner();
    answer(parts.message()).await?.context("no answer")
}

/// One line without control characters, so that no destination's words can write to the terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// `3 dead letters, 1,234 spans`, with the requests of metrics and logs where there are any.
fn amount(count: &api::Count) -> String {
    use super::format::count as number;
    let plural = |n: u64, one: &str| format!("{} {one}{}", number(n), if n == 1 { "" } else { "s" });
    let mut text = format!("{}, {}", plural(count.records, "dead letter"), plural(count.spans, "span"));
    if count.requests > 0 {
        text += &format!(", {} of metrics or logs", plural(count.requests, "request"));
    }
    text
}
