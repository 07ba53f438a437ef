//! `chainspan demo`: simulated gateways, a real chainspan, a stand-in for the agent, and the truth beside the
//! measurement.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::task::JoinHandle;

use super::format;
use crate::chain::ChainId;
use crate::config::{self, ChainInfo, Config, LogLevel};
use crate::service::Service;
use chainspan_sim::{self as sim, Agent, Chain, Client, Fleet, LoadPlan, Progress, RetryLimits, Truth, spec};

mod screen;
mod tally;
mod workplace;

use screen::{Moment, Screen};
use tally::Tallies;
use workplace::Workplace;

/// The chains of the demo; with [`Chain::with_profiles`] each has another kind of problem.
pub(super) const DEMO_CHAINS: [u64; 6] = [1, 8_453, 42_161, 10, 137, 11_155_111];

const NAMESPACE: &str = "avs.gateway";
const PREFIX: &str = "avs_gateway_";
const GATEWAYS: usize = 3;
const SPANS_PER_REQUEST: usize = 512;

/// Watch chainspan at work: simulated gateways, a real pipeline, the truth beside the measurement
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Starts 3 gateways that serve 6 chains, a chainspan on free ports, and a
stand-in for the Datadog agent. At the end every measured series, scraped and
as the agent got it, is compared with what the gateways meant to say, and every
span there with its tag. Exits 0 when all is equal, else 1 with the differences.

Example:
  chainspan demo --seconds 30")]
pub struct DemoArgs {
    /// For how long the gateways send
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub seconds: u64,
    /// Forward to this agent instead; then only the measurement is compared
    #[arg(long, value_name = "HOST:PORT")]
    pub agent: Option<String>,
    /// Spans a second, over all gateways
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub rate: u64,
    /// The same seed makes the same gateways
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

/// Runs the command.
pub fn demo(args: DemoArgs) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start threads")?;
    let good = runtime.block_on(run(&args))?;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// The whole demo; whether truth and measurement are equal.
async fn run(args: &DemoArgs) -> anyhow::Result<bool> {
    let agent = match args.agent {
        Some(_) => None,
        None => Some(Agent::start(free_port()).context("cannot start the stand-in for the agent")?),
    };
    let endpoint = match (&args.agent, &agent) {
        (Some(address), _) => address.clone(),
        (None, Some(agent)) => agent.address().to_string(),
        (None, None) => unreachable!("one of both was just made"),
    };
    let workplace = Workplace::new()?;
    let mut config = config(&endpoint);
    config.file_storage = Some(config::FileStorage {
        directory: workplace.path().to_owned(),
        max_bytes: 256 << 20,
        min_free_bytes: 16 << 20,
    });
    let service = Service::start(config).await.context("cannot start chainspan")?;
    let address = |component: &str| {
        let found = service.listening().get(component).copied();
        found.with_context(|| format!("chainspan does not listen on {component}"))
    };
    let (grpc, metrics, health) = (address("otlp/grpc")?, address("prometheus")?, address("health_check")?);

    let mut screen = Screen::new();
    let far_end = if agent.is_some() { "stand-in agent" } else { "agent" };
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
    let plan = LoadPlan {
        rate: Some(args.rate as f64),
        duration: Duration::from_secs(args.seconds),
        in_flight: 16 * GATEWAYS,
    };
    let progress = Arc::new(Progress::new(Truth::new()));
    let drive = tokio::spawn(sim::drive(fleet, client, plan, Arc::clone(&progress)));
    watch(drive, &progress, metrics, args.seconds, &mut screen).await?;

    let page = sim::http_get(metrics, "/metrics").await?;
    // The last windows are sent at the end.
    service.shut_down().await.context("chainspan did not stop well")?;
    let good = judge(&screen, &progress, agent.as_ref(), &page)?;
    if let Some(agent) = agent {
        agent.stop().await;
    }
    Ok(good)
}

/// Draws until the gateways are done.
async fn watch(
    mut drive: JoinHandle<()>,
    progress: &Progress,
    metrics: SocketAddr,
    seconds: u64,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_secs(screen.period()));
    tick.tick().await;
    let (mut before, mut drawn, mut spans_before) = (Tallies::new(), begun, 0);
    loop {
        tokio::select! {
            ended = &mut drive => return ended.context("the gateways broke off"),
            _ = tick.tick() => {
                let page = sim::http_get(metrics, "/metrics").await?;
                let now = tally::of_scrape(&sim::parse_exposition(&page)?, PREFIX);
                let spans = progress.acknowledged();
                let apart = drawn.elapsed().as_secs_f64();
                drawn = Instant::now();
                let moment = Moment {
                    elapsed: begun.elapsed().as_secs().min(seconds),
                    seconds,
                    spans,
                    spans_per_second: (spans - spans_before) as f64 / apart.max(1e-3),
                };
                screen.live(&moment, &now, &before, apart);
                (before, spans_before) = (now, spans);
            }
        }
    }
}

/// Compares everything, prints the result, returns whether all is equal.
fn judge(screen: &Screen, progress: &Progress, agent: Option<&Agent>, page: &str) -> anyhow::Result<bool> {
    let report = progress.report();
    let measured = tally::of_scrape(&sim::parse_exposition(page)?, PREFIX);
    let (truth, differences, delivery, windows, spans) = progress.with_truth(|truth| {
        let delivery = agent.map(|agent| agent.verify(truth));
        let windows = agent.map(|agent| {
            sim::check_windows(&agent.metrics(), truth, NAMESPACE, sim::MEASURED, sim::WindowScope::Totals)
        });
        (tally::of_truth(truth), truth.compare(page, NAMESPACE), delivery, windows, truth.spans())
    });
    screen.side_by_side(&truth, &measured);
    let mut problems: Vec<String> = differences?.iter().map(ToString::to_string).collect();
    if let Some(delivery) = &delivery {
        problems.extend(screen::delivery_problems(delivery));
    }
    if let Some(windows) = windows {
        problems.extend(windows.problems.into_iter().map(|problem| format!("measurements at the agent: {problem}")));
    }
    if report.ambiguous > 0 {
        problems
            .push(format!("{} spans got no certain answer: nobody can compare them", format::count(report.ambiguous)));
    }
    if spans == 0 {
        let why = report.last_error.as_deref().unwrap_or("nothing was sent");
        problems.push(format!("no span was acknowledged: {why}"));
    }
    let spans = format::count(spans);
    let good = problems.is_empty();
    let verdict = match (good, &delivery) {
        (true, Some(_)) => {
            format!("every one of {spans} spans: tagged, delivered, counted — measurement equals ground truth")
        }
        (true, None) => format!("every one of {spans} spans: acknowledged, counted — measurement equals ground truth"),
        (false, _) => format!("{spans} spans acknowledged: measurement and ground truth differ"),
    };
    screen.verdict(good, &verdict, &problems);
    if report.refused > 0 {
        let refused = format::count(report.refused);
        eprintln!("{refused} spans were refused and count nowhere: {}", report.last_error.unwrap_or_default());
    }
    Ok(good)
}

fn free_port() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

/// What `collector-config.yaml` says by default, on free ports, with the demo's chains by name; `endpoint` (`HOST:PORT`)
/// is the one destination.
pub fn config(endpoint: &str) -> Config {
    let chains: BTreeMap<ChainId, ChainInfo> = DEMO_CHAINS
        .iter()
        .filter_map(|id| {
            let info = ChainInfo {
                name: spec::chain_name(*id).map(str::to_owned),
                block_time: Some(Duration::from_millis(spec::block_time_ms(*id))),
            };
            Some((ChainId::new(*id)?, info))
        })
        .collect();
    let mut config = Config::shipped();
    config.receiver.protocols.grpc.endpoint = free_port();
    config.prometheus = Some(config::Prometheus { endpoint: free_port() });
    config.health_check = Some(config::HealthCheck { endpoint: free_port() });
    if let Some(gateway) = &mut config.gateway {
        gateway.chains = chains;
    }
    for destination in &mut config.destinations {
        destination.endpoint = endpoint.to_owned();
    }
    // Not by default: whoever wants a store says where.
    config.file_storage = None;
    config.logs.level = LogLevel::Warn;
    config.shutdown_timeout = Duration::from_secs(10);
    config
}
