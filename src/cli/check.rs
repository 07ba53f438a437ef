//! `chainspan check`: validates a configuration, says what it would run, prints it with defaults filled in.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::config::{Config, Role, Source, format_size, print};

/// Validates a configuration and shows what it would run
///
/// Every mistake is shown, one a line: file:line:column: key: problem; hint.
/// Exit code 0: valid. 2: not.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  chainspan check --config collector-config.yaml --print")]
pub struct CheckArgs {
    /// The file [default: ./collector-config.yaml, else
    /// /etc/chainspan/collector-config.yaml, else the one that was shipped]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the effective configuration with defaults filled in and secrets masked
    #[arg(long)]
    print: bool,
}

/// Prints the verdict.
///
/// # Errors
/// None of its own: a wrong configuration is an exit code.
pub fn check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let source = Source::find(args.config.as_deref());
    match source.load() {
        Ok(config) if args.print => super::say(&format!("# {source}: valid\n{}", print(&config)))?,
        Ok(config) => super::say(&format!("{source}: valid\n{}", summary(&config)))?,
        Err(errors) => {
            eprintln!("{errors}");
            return Ok(ExitCode::from(super::USAGE));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What would run, a few lines for a person.
fn summary(config: &Config) -> String {
    let mut out = String::new();
    let mut line = |what: &str, text: String| {
        writeln!(out, "  {what:<16} {text}").expect("writing to a String cannot fail");
    };
    for (name, flow) in config.flows() {
        let steps = [flow.receivers.join(", "), flow.processors.join(", "), flow.exporters.join(", ")];
        let steps: Vec<String> = steps.into_iter().filter(|step| !step.is_empty()).collect();
        line(name, steps.join(" -> "));
    }
    for destination in &config.destinations {
        let role = match destination.role {
            Role::Required => "required",
            Role::Debug => "debug, best effort",
        };
        line(&destination.name, format!("sends to {} ({role})", destination.endpoint));
    }
    line("otlp", format!("listens on {}", config.receiver.grpc));
    for (name, address) in [("prometheus", config.prometheus), ("health_check", config.health_check)] {
        if let Some(address) = address {
            line(name, format!("listens on {address}"));
        }
    }
    if let Some(storage) = &config.file_storage {
        line(
            "file_storage",
            format!("keeps up to {} in {}", format_size(storage.max_bytes), storage.directory.display()),
        );
    }
    if let Some(gateway) = &config.gateway {
        line("chains", format!("{} named, up to {} more on their own", gateway.chains.len(), gateway.max_chains));
    }
    out
}
