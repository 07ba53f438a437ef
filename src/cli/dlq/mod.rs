//! `chainspan dlq`: look at what destinations refused for good, and decide what becomes of it.
//!
//! Asks the running process through its socket; where none runs, opens the store itself. Both answer the same requests, so that
//! the commands work the same way with either.

mod args;
mod client;
mod confirm;
mod list;
mod purge;
mod replay;
mod show;
mod spans;
mod stats;
mod text;
mod time;

use std::process::ExitCode;

use anyhow::bail;
use clap::Subcommand;

use crate::cli::output::USAGE;
use crate::config::{Config, FileStorage, LogEncoding, LogLevel, Source};
use crate::telemetry;
use args::StoreArgs;
use client::DlqClient;

/// List, show, replay or purge dead letters: what destinations refused for good
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
#[command(after_help = "\
Works on the running chainspan with this configuration, or on its store when
none is running.

Example:
  chainspan dlq list --since 2h --config collector-config.yaml")]
pub struct DlqArgs {
    #[command(subcommand)]
    command: DlqCommand,
}

#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
enum DlqCommand {
    List(list::ListArgs),
    Show(show::ShowArgs),
    Stats(stats::StatsArgs),
    Replay(replay::ReplayArgs),
    Purge(purge::PurgeArgs),
}

/// Runs the command.
///
/// # Errors
/// There is no store, it does not answer, or the command failed.
pub fn dlq(args: DlqArgs) -> anyhow::Result<ExitCode> {
    let store = match &args.command {
        DlqCommand::List(args) => &args.store,
        DlqCommand::Show(args) => &args.store,
        DlqCommand::Stats(args) => &args.store,
        DlqCommand::Replay(args) => &args.store,
        DlqCommand::Purge(args) => &args.store,
    };
    let (config, storage) = match find_store(store)? {
        Ok(found) => found,
        Err(code) => return Ok(code),
    };
    // A store that is opened here logs what it finds.
    telemetry::logs::init(LogLevel::Warn, LogEncoding::Console)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(async {
        let mut client = DlqClient::connect(&config, &storage).await?;
        let done = match args.command {
            DlqCommand::List(args) => list::list(&mut client, args).await,
            DlqCommand::Show(args) => show::show(&mut client, args).await,
            DlqCommand::Stats(args) => stats::stats(&mut client, args).await,
            DlqCommand::Replay(args) => replay::replay(&mut client, args).await,
            DlqCommand::Purge(args) => purge::purge(&mut client, args).await,
        };
        client.close();
        done
    });
    // A thread that hangs in the store must not keep the process from ending.
    runtime.shutdown_background();
    done
}

/// The configuration and its store, or the exit code if the configuration is wrong.
fn find_store(args: &StoreArgs) -> anyhow::Result<Result<(Config, FileStorage), ExitCode>> {
    let source = Source::find(args.config.as_deref());
    let config = match source.load() {
        Ok(config) => config,
        Err(errors) => {
            eprintln!("{errors}");
            return Ok(Err(ExitCode::from(USAGE)));
        }
    };
    let Some(storage) = config.file_storage.clone() else {
        bail!(
            "{source}: service.extensions does not name file_storage, so nothing is stored and there are no dead letters"
        );
    };
    Ok(Ok((config, storage)))
}
