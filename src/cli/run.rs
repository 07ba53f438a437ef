//! `chainspan run`: the pipeline, until SIGTERM or SIGINT.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::output::{USAGE, VERSION};
use crate::config::{Config, Source};
use crate::service::{Service, ServiceError};
use crate::telemetry;

/// Receive, tag, measure and forward spans until SIGTERM or SIGINT
///
/// Exit code 0: everything that was accepted is delivered or on disk. 1: could not start, or
/// could not deliver what it had accepted. 2: the configuration is wrong.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  chainspan run --config collector-config.yaml")]
pub struct RunArgs {
    /// The configuration [default: ./collector-config.yaml, else
    /// /etc/chainspan/collector-config.yaml, else the shipped one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Runs the pipeline in this process.
///
/// # Errors
/// The pipeline could not start, or could not deliver what it had accepted.
pub fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    let source = Source::find(args.config.as_deref());
    let config = match source.load() {
        Ok(config) => config,
        Err(errors) => {
            eprintln!("{errors}");
            return Ok(ExitCode::from(USAGE));
        }
    };
    telemetry::logs::init(config.logs.level, config.logs.encoding)?;
    keep_freed_memory();
    tracing::info!(config = %source, version = VERSION, "starting");
    // One thread carries all requests: at about a million spans a second it is faster than any gateway, it never waits for
    // another thread, and a sidecar should leave the machine to its gateway. What takes long (large requests, Prometheus
    // pages, the disk, health) has threads of its own. docs/performance.md has the figures.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the event loop")?;
    let result = runtime.block_on(serve(config));
    // A second signal must end the process at once, whatever a task is waiting for.
    runtime.shutdown_background();
    result.map_err(|error| with_hint(error, &source))
}

/// Says how to choose another directory to somebody who has no configuration yet.
fn with_hint(error: anyhow::Error, source: &Source) -> anyhow::Error {
    match error.downcast_ref() {
        Some(ServiceError::Store(_)) if *source == Source::Shipped => anyhow::anyhow!(
            "{error:#}\nThe shipped configuration uses this directory. To choose another one, write a configuration of your own with\n  \
             chainspan check --print > chainspan.yaml\nchange the directory in it, and start\n  \
             chainspan run --config chainspan.yaml"
        ),
        _ => error,
    }
}

/// The GNU C library returns the end of its heap to the system as soon as 128 KiB of it are free, which happens whenever the
/// body of a large request has been sent, and gets it back page by page for the next one. Once a larger block that it had
/// mapped separately was freed, it keeps twice the size of that block (mallopt(3), `M_MMAP_THRESHOLD`). The block here is
/// never touched, so it costs no memory. Other C libraries are not affected.
fn keep_freed_memory() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(4 << 20)));
}

async fn serve(config: Config) -> anyhow::Result<ExitCode> {
    // Before anything is bound, so that an early signal still drains.
    let mut signals = StopSignals::new().context("cannot listen for signals")?;
    let service = tokio::select! {
        started = Service::start(config) => started?,
        // A store may take long to recover. Nothing was accepted yet, so nothing must be drained.
        name = signals.next() => {
            tracing::info!(signal = name, "stopped before it had started");
            return Ok(ExitCode::SUCCESS);
        }
    };
    tracing::info!("running");
    let name = signals.next().await;
    tracing::info!(signal = name, "draining");
    tokio::select! {
        drained = service.shut_down() => {
            drained.context("the drain is incomplete")?;
            tracing::info!("drained");
            Ok(ExitCode::SUCCESS)
        }
        name = signals.next() => {
            tracing::error!(signal = name, "stopped before everything was drained");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// The signals that stop the pipeline.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next one and returns its name.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Store, StoreSettings};

    /// Scenario: the shipped directory cannot be used. Guarantee: the way out that is named works. Into a file that chainspan
    /// finds by itself it would not: the shell empties that before chainspan reads it.
    #[test]
    fn the_hint_prints_into_a_file_that_is_not_read_before() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let directory = file.path().to_owned();
        let error =
            Store::open(StoreSettings { directory, max_bytes: 0, min_free_bytes: 0 }).expect_err("no directory");
        let hint = with_hint(ServiceError::Store(error).into(), &Source::Shipped).to_string();
        let printed = hint.split("check --print > ").nth(1).and_then(|rest| rest.lines().next()).expect("a file");
        assert_ne!(printed, "collector-config.yaml");
        assert!(hint.ends_with(&format!("chainspan run --config {printed}")), "{hint}");
    }
}
