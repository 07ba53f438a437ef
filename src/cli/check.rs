//! `chainspan check`: validates a configuration, shows what it would run, prints it with defaults filled in.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use super::output::{USAGE, say};
use crate::config::{Config, Role, Source, format_size, print, schema};

/// Validate a configuration and show what it would run
///
/// Lists every mistake, one per line: file:line:column: key: problem; fix.
/// Exit code 0: the file is valid. 2: it is not.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  chainspan check --config collector-config.yaml --print")]
pub struct CheckArgs {
    /// File to check [default: ./collector-config.yaml, else
    /// /etc/chainspan/collector-config.yaml, else the shipped file]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the effective configuration, with defaults filled in and secrets masked
    #[arg(long)]
    print: bool,
    /// Print a JSON schema of the file for editors, and check nothing
    #[arg(long, conflicts_with_all = ["config", "print"])]
    schema: bool,
}

/// Prints the verdict, or the schema.
///
/// # Errors
/// None of its own: a wrong configuration is an exit code.
pub fn check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    if args.schema {
        say(&schema())?;
        return Ok(ExitCode::SUCCESS);
    }
    let source = Source::find(args.config.as_deref());
    match source.load() {
        Ok(config) if args.print => say(&format!("# {source}: valid\n{}", print(&config)))?,
        Ok(config) => say(&format!("{source}: valid\n{}", summary(&config)))?,
        Err(errors) => {
            eprintln!("{errors}");
            return Ok(ExitCode::from(USAGE));
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
    line("otlp", format!("listens on {}", config.receiver.protocols.grpc.endpoint));
    if let Some(prometheus) = &config.prometheus {
        line("prometheus", format!("listens on {}", prometheus.endpoint));
    }
    if let Some(health_check) = &config.health_check {
        line("health_check", format!("listens on {}", health_check.endpoint));
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
