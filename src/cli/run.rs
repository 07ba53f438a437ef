//! `chainspan run`: the pipeline, until SIGTERM or SIGINT.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::{Config, Source};
use crate::service::Service;
use crate::telemetry;

/// Receives, tags, measures and forwards, until SIGTERM or SIGINT
///
/// Exit code 0: everything in hand was delivered or is on disk. 1: could not start, or could
/// not keep a promise. 2: the configuration is wrong.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  chainspan run --config collector-config.yaml")]
pub struct RunArgs {
    /// The file [default: ./collector-config.yaml, else
    /// /etc/chainspan/collector-config.yaml, else the one that was shipped]
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
            return Ok(ExitCode::from(super::USAGE));
        }
    };
    telemetry::logs::init(config.logs.level, config.logs.encoding)?;
    keep_freed_memory();
    tracing::info!(config = %source, version = super::VERSION, "starting");
    // One thread carries all requests: at about a million spans a second it is faster than any gateway, nothing that it
    // does waits for another, and a sidecar should not spread over a machine that belongs to its gateway. What takes long
    // (large requests, pages for Prometheus, the disk, health) has threads of its own. docs/performance.md has the figures.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the event loop")?;
    let result = runtime.block_on(serve(config));
    // A second signal must end the process at once, whatever a task is waiting for.
    runtime.shutdown_background();
    result
}

/// The GNU C library gives the end of its heap back to the system as soon as 128 KiB of it are free, which is whenever the
/// body of a large request has been sent, and takes it anew, page by page, for the next one. Once it has freed something
/// larger that it had mapped by itself, it keeps twice as much (mallopt(3), `M_MMAP_THRESHOLD`). Mapped, but never touched:
/// this takes no memory. Other C libraries do not mind.
fn keep_freed_memory() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(4 << 20)));
}

async fn serve(config: Config) -> anyhow::Result<ExitCode> {
    // Before anything is bound: a signal that comes early still drains.
    let mut signals = Signals::new().context("cannot listen for signals")?;
    let service = tokio::select! {
        started = Service::start(config) => started?,
        // A store may take its time to recover. Nothing was accepted, so nothing is owed.
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

/// The signals that ask us to stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// The name of the next one.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
