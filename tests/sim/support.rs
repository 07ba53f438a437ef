//! What the tests share: a real service behind faulty gateways, and what became of their spans.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use chainspan::config::{self, Config};
use chainspan::service::Service;
use chainspan_sim::{
    self as sim, Agent, Chain, Client, FaultPlan, Fleet, LoadPlan, Progress, Relay, RetryLimits, Truth,
};
use chainspan_testing::http_get;
use tokio::sync::{Mutex, MutexGuard};

pub const NAMESPACE: &str = "avs.gateway";
pub const GATEWAYS: usize = 4;

const CHAINS: [u64; 6] = [1, 8_453, 42_161, 10, 137, 11_155_111];

/// One at a time: each of these tests takes all of the machine, and what they say about time should not hang on the others.
pub async fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    TURN.lock().await
}

/// Everything to `agent`, on free ports.
pub fn config(agent: SocketAddr) -> Config {
    let yaml = format!(
        "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: 127.0.0.1:0}}}}}}}}
processors: {{chain: {{}}}}
connectors: {{gateway: {{max_series: 16384}}}}
exporters:
  otlp/datadog: {{endpoint: {agent}, tls: {{insecure: true}}}}
  prometheus: {{endpoint: 127.0.0.1:0}}
extensions: {{health_check: {{endpoint: 127.0.0.1:0}}}}
service:
  extensions: [health_check]
  pipelines:
    traces: {{receivers: [otlp], processors: [chain], exporters: [gateway, otlp/datadog]}}
    metrics/gateway: {{receivers: [gateway], exporters: [prometheus, otlp/datadog]}}
    metrics: {{receivers: [otlp], exporters: [otlp/datadog]}}
    logs: {{receivers: [otlp], exporters: [otlp/datadog]}}
"
    );
    config::parse(&yaml, "test.yaml", &|_| None).unwrap()
}

/// A chainspan and the agent behind it, which gets the measured metrics too.
pub struct Setup {
    pub agent: Agent,
    pub service: Service,
    /// It began to measure between these moments.
    began: (u64, u64),
}

impl Setup {
    pub async fn start() -> Self {
        let agent = Agent::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        Self::over(agent).await
    }

    /// One that delivers to this agent.
    pub async fn over(agent: Agent) -> Self {
        let config = config(agent.address());
        let earliest = sim::now_unix_nano();
        let service = Service::start(config).await.unwrap();
        Self { agent, service, began: (earliest, sim::now_unix_nano()) }
    }

    /// What it must measure; `truth` has nothing yet.
    pub fn measures(&self, truth: Truth) -> Arc<Progress> {
        Arc::new(Progress::new(truth.measured_since(self.began.0, self.began.1)))
    }

    pub fn grpc(&self) -> SocketAddr {
        self.service.listening()["otlp/grpc"]
    }

    /// The Prometheus page.
    pub async fn page(&self) -> String {
        http_get::fetch(self.service.listening()["prometheus"], "/metrics").await.unwrap()
    }
}

/// Sends for `duration` through `relay`; the truth is in the progress.
pub async fn send(relay: &Relay, faults: &FaultPlan, seed: u64, duration: Duration, progress: &Arc<Progress>) {
    let gateways = faults.apply_to(sim::gateways(GATEWAYS, &Chain::with_profiles(&CHAINS), seed));
    let fleet = Fleet::start(gateways, 100).unwrap();
    let limits = RetryLimits { attempt_timeout: Duration::from_secs(10), max_elapsed_time: Duration::from_secs(40) };
    let client = Arc::new(Client::new(&relay.address().to_string(), GATEWAYS, limits).unwrap());
    let plan = LoadPlan { rate: Some(3_000.0), duration, in_flight: 32 };
    sim::drive_with_faults(fleet, client, plan, Arc::clone(progress), faults).await;
}

/// Every family that is compared has the value of the truth on the page, or lies within the bounds of what is ambiguous.
pub fn assert_page(truth: &Truth, page: &str) {
    let differences = truth.compare(page, NAMESPACE).unwrap();
    let lines: Vec<String> = differences.iter().take(20).map(ToString::to_string).collect();
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), lines.join("\n"));
}

/// The sum of all series of that name.
pub fn sum(page: &str, name: &str) -> Option<f64> {
    let samples = sim::parse_exposition(page).unwrap();
    let mut values = samples.iter().filter(|(series, _)| series.name == name).map(|(_, value)| *value).peekable();
    values.peek()?;
    Some(values.sum())
}

/// Late spans and spans from the future are counted, as far as one can know from outside. A chainspan that exports no
/// windows has no such counters.
pub fn assert_timing(truth: &Truth, page: &str) {
    let timing = truth.timing();
    for (name, least, most) in [
        ("chainspan_late_spans_total", timing.late_at_least, timing.late_at_most),
        ("chainspan_future_spans_total", timing.future_at_least, timing.future_at_most),
    ] {
        let counted = sum(page, name).unwrap_or(0.0);
        assert!((least as f64..=most as f64).contains(&counted), "{name} is {counted}, must be {least} to {most}");
    }
}
