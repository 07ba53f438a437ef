//! `chainspan load`: sends spans of simulated gateways to any OTLP endpoint.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chainspan_sim::{self as sim, Chain, Client, Fleet, LoadPlan, LoadReport, Progress, RetryLimits, Truth};
use tokio::task::JoinHandle;

use super::demo::DEMO_CHAINS;
use super::format::{count, nanos};
use super::output::say;
use crate::chain::ChainId;

/// Send simulated gateway spans to an OTLP gRPC endpoint
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Progress goes to stderr, the result to stdout. Exit code 0: every span was
acknowledged. 1: not.

Example:
  chainspan load 127.0.0.1:14317 --rate 50000 --seconds 30 --truth truth.json")]
pub struct LoadArgs {
    /// Where to send: HOST:PORT, or http://HOST:PORT
    #[arg(value_name = "TARGET")]
    target: String,
    /// Spans per second; 0: no limit
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    rate: u64,
    /// How long to send
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Comma-separated chain ids [default: the demo's]
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_values_t = DEMO_CHAINS, hide_default_value = true,
          value_parser = clap::value_parser!(u64).range(1..=ChainId::MAX))]
    chains: Vec<u64>,
    /// The same seed sends the same spans
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Write the ground truth to this file as JSON
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// Spans in one request
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    spans_per_request: u64,
    /// gRPC connections
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    connections: u64,
    /// Gateways to simulate
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    gateways: u64,
}

/// The most requests in flight per connection; a slower receiver makes the run fall behind its rate.
const IN_FLIGHT_PER_CONNECTION: u64 = 16;

/// Like an SDK with its default export timeout, so that a run ends soon after its last request.
const RETRY_LIMITS: RetryLimits =
    RetryLimits { attempt_timeout: Duration::from_secs(10), max_elapsed_time: Duration::from_secs(15) };

/// Runs the command.
///
/// # Errors
/// The target cannot be reached, or a result cannot be written.
pub fn load(args: &LoadArgs) -> anyhow::Result<ExitCode> {
    let mut chains = args.chains.clone();
    chains.sort_unstable();
    chains.dedup();
    let gateways = sim::gateways(args.gateways as usize, &Chain::with_profiles(&chains), args.seed);
    let plan = LoadPlan {
        rate: (args.rate > 0).then_some(args.rate as f64),
        duration: Duration::from_secs(args.seconds),
        in_flight: (args.connections * IN_FLIGHT_PER_CONNECTION) as usize,
    };
    let progress = Arc::new(Progress::new(Truth::without_tags()));
    let begun = Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start threads")?;
    runtime.block_on(async {
        let client = Client::new(&args.target, args.connections as usize, RETRY_LIMITS)?;
        client.reach().await?;
        let fleet = Fleet::start(gateways, args.spans_per_request as usize).context("cannot start the gateways")?;
        let run = tokio::spawn(sim::drive(fleet, Arc::new(client), plan, Arc::clone(&progress)));
        watch(run, &progress, begun).await
    })?;
    let took = begun.elapsed();
    let report = progress.report();
    say(&summary(args, &report, took))?;
    if let Some(path) = &args.truth {
        let json = progress.with_truth(serde_json::to_vec).context("cannot write the truth as JSON")?;
        std::fs::write(path, json).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let complete = report.sent > 0 && report.acknowledged == report.sent;
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Writes one line per second to stderr until the run ends.
async fn watch(mut run: JoinHandle<()>, progress: &Progress, begun: Instant) -> anyhow::Result<()> {
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    tick.tick().await;
    let mut before = 0;
    loop {
        tokio::select! {
            ended = &mut run => return ended.context("the run stopped unexpectedly"),
            _ = tick.tick() => {
                let report = progress.report();
                let rate = report.acknowledged - before;
                before = report.acknowledged;
                // A closed stderr must not end the run.
                let _ = writeln!(
                    std::io::stderr(),
                    "{:>4} s  {:>9} spans/s  acknowledged {:>11}  refused {}  ambiguous {}  p99 {}",
                    begun.elapsed().as_secs(),
                    count(rate),
                    count(report.acknowledged),
                    count(report.refused),
                    count(report.ambiguous),
                    nanos(report.latency_p99_nano),
                );
            }
        }
    }
}

fn summary(args: &LoadArgs, report: &LoadReport, took: Duration) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        writeln!(text, "{name:<13} {value}").expect("writing to a String cannot fail");
    };
    let per_second = (report.sent as f64 / took.as_secs_f64()) as u64;
    let requests = count(report.requests);
    line("sent", format!("{:>13} spans, {} spans/s", count(report.sent), count(per_second)));
    line("acknowledged", format!("{:>13} spans, {requests} requests answered", count(report.acknowledged)));
    line("refused", format!("{:>13} spans", count(report.refused)));
    line("ambiguous", format!("{:>13} spans, without a certain answer", count(report.ambiguous)));
    let (p50, p99) = (nanos(report.latency_p50_nano), nanos(report.latency_p99_nano));
    line("latency", format!("p50 {p50}, p99 {p99} (of a request, from its scheduled start)"));
    let planned = args.rate * args.seconds;
    if report.sent < planned / 100 * 98 {
        line("behind", format!("only {} of {} spans were sent in time", count(report.sent), count(planned)));
    }
    if let Some(error) = &report.last_error {
        line("last error", error.clone());
    }
    if let Some(path) = &args.truth {
        line("truth", path.display().to_string());
    }
    text
}
