//! Starts the demo's processes, lets them run, and stops them.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chainspan_sim::{self as sim, Agent, Chain, Client, Fleet, LoadPlan, Progress, RetryLimits, Truth};

use super::config::{DEMO_CHAINS, FREE_PORT, config};
use super::screen::Screen;
use super::temp_dir::TempDir;
use super::{live, verdict};
use crate::cli::http_get;
use crate::config::FileStorage;
use crate::service::Service;

const GATEWAYS: usize = 3;
const SPANS_PER_REQUEST: usize = 512;
const REQUESTS_IN_FLIGHT: usize = 16 * GATEWAYS;

/// The most bytes in the demo's store, and the bytes that it leaves free: it stands in somebody's temporary directory.
const STORE_BYTES: u64 = 256 << 20;
const STORE_MIN_FREE_BYTES: u64 = 16 << 20;

/// Watch chainspan at work with simulated gateways
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Starts 3 gateways with 6 chains, a chainspan on free ports, and a stand-in for
the Datadog agent. At the end, every metric (scraped, and as the agent got it)
and the tag of every span are compared with what the gateways sent. Exit code
0: all is equal. 1: something differs.

Example:
  chainspan demo --seconds 30")]
pub struct DemoArgs {
    /// How long the gateways send
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Forward to this agent; tags are not compared then
    #[arg(long, value_name = "HOST:PORT")]
    agent: Option<String>,
    /// Spans per second of all gateways
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..))]
    rate: u64,
    /// The same seed makes the same gateways
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// Runs the command.
///
/// # Errors
/// Something could not be started, or stopped while it was needed.
pub fn demo(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start threads")?;
    let equal = runtime.block_on(run(args))?;
    Ok(if equal { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The whole demo; returns whether truth and measurement are equal.
async fn run(args: &DemoArgs) -> anyhow::Result<bool> {
    let (agent, endpoint, far_end) = match &args.agent {
        Some(address) => (None, address.clone(), "agent"),
        None => {
            let agent = Agent::start(FREE_PORT).context("cannot start the stand-in for the agent")?;
            let endpoint = agent.address().to_string();
            (Some(agent), endpoint, "stand-in agent")
        }
    };
    let directory = TempDir::new()?;
    let mut config = config(&endpoint);
    config.file_storage = Some(FileStorage {
        directory: directory.path().to_owned(),
        max_bytes: STORE_BYTES,
        min_free_bytes: STORE_MIN_FREE_BYTES,
    });
    let namespace = config.gateway.as_ref().map_or_else(String::new, |gateway| gateway.namespace.clone());
    let service = Service::start(config).await.context("cannot start chainspan")?;
    let address = |component: &str| {
        let found = service.listening().get(component).copied();
        found.with_context(|| format!("chainspan does not listen on {component}"))
    };
    let (grpc, metrics, health) = (address("otlp/grpc")?, address("prometheus")?, address("health_check")?);

    let mut screen = Screen::new();
    screen.opening(
        &format!("{GATEWAYS} gateways → chainspan → {far_end} {endpoint}"),
        &[
            ("otlp", format!("http://{grpc}")),
            ("metrics", format!("http://{metrics}/metrics")),
            ("status", format!("http://{health}/status")),
            ("health", format!("http://{health}/health")),
        ],
    );

    let gateways = sim::gateways(GATEWAYS, &Chain::with_profiles(&DEMO_CHAINS), args.seed);
    let fleet = Fleet::start(gateways, SPANS_PER_REQUEST).context("cannot start the gateways")?;
    let client = Arc::new(Client::new(&grpc.to_string(), GATEWAYS, RetryLimits::default())?);
    let duration = Duration::from_secs(args.seconds);
    let plan = LoadPlan { rate: Some(args.rate as f64), duration, in_flight: REQUESTS_IN_FLIGHT };
    let progress = Arc::new(Progress::new(Truth::new()));
    let load = tokio::spawn(sim::drive(fleet, client, plan, Arc::clone(&progress)));
    live::watch(load, &progress, metrics, &namespace, args.seconds, &mut screen).await?;

    let page = http_get::page(metrics, "/metrics").await?;
    // The last windows are exported while chainspan stops.
    service.shut_down().await.context("chainspan could not deliver everything before it stopped")?;
    let equal = verdict::compare(&screen, &progress, agent.as_ref(), &page, &namespace)?;
    if let Some(agent) = agent {
        agent.stop().await;
    }
    Ok(equal)
}
