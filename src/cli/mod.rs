//! The commands, one small file each: arguments in, exit code out.
//!
//! Results go to stdout, logs and errors to stderr. Exit codes: 0 done, 1 the command did not succeed, 2 the arguments or
//! the configuration are wrong. Nothing outside this room knows of exit codes, and only this room speaks `anyhow`.

pub mod check;
pub mod demo;
pub mod dlq;
mod format;
pub mod health;
pub mod load;
pub mod metrics;
mod output;
pub mod run;
mod table;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use output::{USAGE, say};

/// `--version`: version, commit and target.
const VERSION: &str =
    concat!(env!("CARGO_PKG_VERSION"), " (commit ", env!("CHAINSPAN_COMMIT"), ", ", env!("CHAINSPAN_TARGET"), ")");

/// Tags spans with their chain, measures each chain, and forwards everything to the Datadog agent.
#[derive(Debug, Parser)]
#[command(name = "chainspan", version = VERSION, max_term_width = 80, arg_required_else_help = true)]
#[command(after_help = "Example:\n  chainspan run --config collector-config.yaml")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
enum Command {
    Run(run::RunArgs),
    Check(check::CheckArgs),
    Demo(demo::DemoArgs),
    Load(load::LoadArgs),
    Dlq(dlq::DlqArgs),
    Health(health::HealthArgs),
    Metrics(metrics::MetricsArgs),
}

/// Parses the arguments, runs the command, returns its exit code.
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(args) => run::run(args),
        Command::Check(args) => check::check(&args),
        Command::Demo(args) => demo::demo(args),
        Command::Load(args) => load::load(args),
        Command::Dlq(args) => dlq::dlq(args),
        Command::Health(args) => health::health(args),
        Command::Metrics(args) => metrics::metrics(&args),
    };
    result.unwrap_or_else(|error| {
        eprintln!("chainspan: {error:#}");
        ExitCode::FAILURE
    })
}
