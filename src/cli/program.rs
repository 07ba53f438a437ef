//! The program: parses the arguments, runs the command, returns its exit code.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::output::VERSION;
use super::{check, demo, dlq, health, load, metrics, run};

/// Tag, measure and forward the spans of blockchain gateways
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
        Command::Demo(args) => demo::demo(&args),
        Command::Load(args) => load::load(&args),
        Command::Dlq(args) => dlq::dlq(args),
        Command::Health(args) => health::health(args),
        Command::Metrics(args) => metrics::metrics(&args),
    };
    result.unwrap_or_else(|error| {
        eprintln!("chainspan: {error:#}");
        ExitCode::FAILURE
    })
}
