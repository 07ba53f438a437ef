//! `chainspan load`: simulated gateways against any OTLP endpoint.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::demo::DEMO_CHAINS;
use super::format;
use chainspan_sim::{self as sim, Chain, Client, Fleet, LoadPlan, LoadReport, Progress, RetryLimits, Truth};

/// Send simulated gateway spans to any OTLP gRPC endpoint at a steady rate
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Exits 0 when every span was acknowledged, else 1. Progress goes to stderr, the result to stdout.

Example:
  chainspan load 127.0.0.1:14317 --rate 50000 --seconds 30 --truth truth.json")]
pub struct LoadArgs {
    /// Where to send: HOST:PORT, or http://HOST:PORT
    #[arg(value_name = "TARGET")]
    pub target: String,
    /// Spans a second; 0: as fast as taken
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub rate: u64,
    /// For how long to send
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    pub seconds: u64,
    /// Chain ids, comma-separated [default: the demo's]
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_values_t = DEMO_CHAINS, hide_default_value = true,
          value_parser = clap::value_parser!(u64).range(1..=crate::chain::ChainId::MAX))]
    pub chains: Vec<u64>,
    /// The same seed, the same spans
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Write the truth of what was acknowledged, as JSON
    #[arg(long, value_name = "FILE")]
    pub truth: Option<PathBuf>,
    /// Spans in one request
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub spans_per_request: u64,
    /// gRPC connections
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub connections: u64,
    /// Gateway processes to simulate
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub gateways: u64,
}

/// Requests in flight per connection.
const IN_FLIGHT: u64 = 16;

/// About as patient as an SDK with its default export timeout, so that a run ends soon after its last request.
const PATIENCE: RetryLimits =
    RetryLimits { attempt_timeout: Duration::from_secs(10), max_elapsed_time: Duration::from_secs(15) };

/// Runs the command.
pub fn load(args: LoadArgs) -> anyhow::Result<ExitCode> {
    let mut chains = args.chains.clone();
    chains.sort_unstable();
    chains.dedup();
    let gateways = sim::gateways(args.gateways as usize, &Chain::with_profiles(&chains), args.seed);
    let plan = LoadPlan {
        rate: (args.rate > 0).then_some(args.rate as f64),
        duration: Duration::from_secs(args.seconds),
        in_flight: (args.connections * IN_FLIGHT) as usize,
    };
    let progress = Arc::new(Progress::new(Truth::without_tags()));
    let begun = Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start threads")?;
    runtime.block_on(async {
        let client = Client::new(&args.target, args.connections as usize, PATIENCE)?;
        client.reach().await?;
        let fleet = Fleet::start(gateways, args.spans_per_request as usize).context("cannot start the gateways")?;
        let run = tokio::spawn(sim::drive(fleet, Arc::new(client), plan, Arc::clone(&progress)));
        watch(run, &progress, begun).await
    })?;
    let took = begun.elapsed();
    let report = progress.report();
    print_summary(&args, &report, took)?;
    if let Some(path) = &args.truth {
        let json = progress.with_truth(serde_json::to_vec).context("cannot write the truth as JSON")?;
        std::fs::write(path, json).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let complete = report.sent > 0 && report.acknowledged == report.sent;
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// One line a second on stderr until the run ends.
async fn watch(run: tokio::task::JoinHandle<()>, progress: &Progress, begun: Instant) -> anyhow::Result<()> {
    let mut run = run;
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    tick.tick().await;
    let mut before = 0;
    loop {
        tokio::select! {
            ended = &mut run => return ended.context("the run broke off"),
            _ = tick.tick() => {
                let report = progress.report();
                let rate = report.acknowledged - before;
                before = report.acknowledged;
                // A closed stderr must not end the run.
                let _ = writeln!(
                    std::io::stderr(),
                    "{:>4} s  {:>9} spans/s  acknowledged {:>11}  refused {}  ambiguous {}  p99 {}",
                    begun.elapsed().as_secs(),
                    format::count(rate),
                    format::count(report.acknowledged),
                    format::count(report.refused),
                    format::count(report.ambiguous),
                    format::nanos(report.latency_p99_nano),
                );
            }
        }
    }
}

fn print_summary(args: &LoadArgs, report: &LoadReport, took: Duration) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let per_second = report.sent as f64 / took.as_secs_f64();
    writeln!(
        out,
        "sent          {:>13} spans, {} spans/s",
        format::count(report.sent),
        format::count(per_second as u64)
    )?;
    let requests = format::count(report.requests);
    writeln!(out, "acknowledged  {:>13} spans, {requests} requests answered", format::count(report.acknowledged))?;
    writeln!(out, "refused       {:>13}", format::count(report.refused))?;
    writeln!(out, "ambiguous     {:>13}", format::count(report.ambiguous))?;
    let (p50, p99) = (format::nanos(report.latency_p50_nano), format::nanos(report.latency_p99_nano));
    writeln!(out, "latency       p50 {p50}, p99 {p99} (a request, from its scheduled start)")?;
    let wanted = args.rate * args.seconds;
    if report.sent < wanted / 100 * 98 {
        writeln!(
            out,
            "behind        {} of {} spans were begun in time",
            format::count(report.sent),
            format::count(wanted)
        )?;
    }
    if let Some(problem) = &report.last_error {
        writeln!(out, "last problem  {problem}")?;
    }
    if let Some(path) = &args.truth {
        writeln!(out, "truth         {}", path.display())?;
    }
    Ok(())
}
