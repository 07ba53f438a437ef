//! What is measured: one subject, one size of request, one round.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::bodies::Shape;
use crate::chainspan::{Chainspan, DIRECTORY};
use crate::load::{Load, Outcome};
use crate::process::{self, Role};
use crate::{Plan, bodies};

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    /// A TCP proxy.
    Proxy,
    /// chainspan; every span carries its tags already.
    Tagged,
    /// The raw relay: the common measure.
    Relay,
    /// chainspan; every span needs its tags.
    Untagged,
    /// Decode into structs, tag, encode; every span needs a tag.
    Prost,
}

impl Subject {
    /// In the order in which a round goes, with the relay beside both of ours.
    pub(crate) const ALL: [Self; 5] = [Self::Proxy, Self::Tagged, Self::Relay, Self::Untagged, Self::Prost];

    /// As in the table, in `target/hop.json` and in `HOP_SUBJECTS`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Proxy => "proxy",
            Self::Tagged => "chainspan-tagged",
            Self::Relay => "relay",
            Self::Untagged => "chainspan-untagged",
            Self::Prost => "prost",
        }
    }

    fn wants_tagged_input(self) -> bool {
        !matches!(self, Self::Untagged | Self::Prost)
    }

    /// Whether each span must have its `chain_id` when it leaves.
    fn promises_tags(self) -> bool {
        matches!(self, Self::Tagged | Self::Untagged | Self::Prost)
    }
}

/// One subject, one size of request, one round.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Cell {
    pub(crate) round: usize,
    pub(crate) subject: &'static str,
    pub(crate) spans_per_request: usize,
    /// User and system time of the process, nanoseconds per span.
    pub(crate) cpu_ns_per_span: f64,
    /// Spans acknowledged per second of wall time, with load generator and sink on the same cores.
    pub(crate) spans_per_second: f64,
    pub(crate) idle_mib: f64,
    pub(crate) peak_mib: f64,
    /// Latency at the paced rate.
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// Requests that arrived at the sink per request sent: below 1 where requests are joined on the way.
    pub(crate) requests_out_per_in: f64,
}

enum Running {
    Role(Role),
    Chainspan(Box<Chainspan>),
}

impl Running {
    fn start(subject: Subject, sink: SocketAddr) -> Result<Self, Box<dyn Error>> {
        let role = match subject {
            Subject::Tagged | Subject::Untagged => {
                return Ok(Self::Chainspan(Box::new(start_chainspan(sink, Settings::default())?)));
            }
            Subject::Proxy | Subject::Relay | Subject::Prost => subject.name(),
        };
        Ok(Self::Role(Role::start(role, Some(sink))?))
    }

    fn pid(&self) -> u32 {
        match self {
            Self::Role(role) => role.pid(),
            Self::Chainspan(chainspan) => chainspan.pid(),
        }
    }

    fn address(&self) -> SocketAddr {
        match self {
            Self::Role(role) => role.address,
            Self::Chainspan(chainspan) => chainspan.grpc(),
        }
    }
}

/// In what chainspan's configuration differs from the one that is shipped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) destinations: usize,
    /// Of requests to the destinations.
    pub(crate) compression: &'static str,
    pub(crate) max_series: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { destinations: 1, compression: "none", max_series: 4_096 }
    }
}

/// The whole pipeline, as shipped, with ports of its own.
pub(crate) fn start_chainspan(sink: SocketAddr, settings: Settings) -> Result<Chainspan, Box<dyn Error>> {
    let names: Vec<String> = (0..settings.destinations).map(|nth| format!("otlp/datadog{nth}")).collect();
    let destination = |name: &String| {
        format!("  {name}: {{endpoint: {sink}, tls: {{insecure: true}}, compression: {}}}\n", settings.compression)
    };
    let (exporters, names) = (names.iter().map(destination).collect::<String>(), names.join(", "));
    let max_series = settings.max_series;
    let config = format!(
        "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: 127.0.0.1:0}}}}}}}}
processors: {{chain: {{}}}}
connectors: {{gateway: {{max_series: {max_series}}}}}
exporters:
{exporters}  prometheus: {{endpoint: 127.0.0.1:0}}
extensions:
  health_check: {{endpoint: 127.0.0.1:0}}
  file_storage: {{directory: {DIRECTORY}/store}}
service:
  extensions: [health_check, file_storage]
  telemetry: {{logs: {{level: info, encoding: json}}}}
  pipelines:
    traces: {{receivers: [otlp], processors: [chain], exporters: [gateway, {names}]}}
    metrics/gateway: {{receivers: [gateway], exporters: [prometheus]}}
"
    );
    Ok(Chainspan::try_start(&config)?)
}

/// Measures `subject` with requests of `spans` spans, in a process of its own.
pub(crate) async fn measure(
    plan: &Plan,
    sink: &mut Role,
    subject: Subject,
    spans: usize,
    round: usize,
) -> Result<Cell, Box<dyn Error>> {
    let running = Running::start(subject, sink.address)?;
    let pid = running.pid();
    process::cpu_once_quiet(pid).await?;
    let idle_mib = process::memory_mib(pid, "VmRSS")?;

    let bodies = Arc::new(bodies::make(Shape::usual(spans, subject.wants_tagged_input())));
    let load = Load::connect(running.address(), plan.connections, bodies, None).await?;
    ok(load.saturate(plan.warm_up).await)?;
    let before = (process::cpu_once_quiet(pid).await?, sink.stats()?);
    let outcome = ok(load.saturate(plan.time).await)?;
    let after = (process::cpu_once_quiet(pid).await?, sink.stats()?);

    let sent = outcome.ok * spans as u64;
    check_arrivals(&before.1, &after.1, sent, subject.promises_tags())?;
    let requests = count(&after.1, "requests") - count(&before.1, "requests");
    let mut paced = ok(load.pace(plan.spans_per_second / spans as f64, plan.pace).await)?;
    Ok(Cell {
        round,
        subject: subject.name(),
        spans_per_request: spans,
        cpu_ns_per_span: (after.0 - before.0).as_nanos() as f64 / sent as f64,
        spans_per_second: sent as f64 / outcome.elapsed.as_secs_f64(),
        idle_mib,
        peak_mib: process::memory_mib(pid, "VmHWM")?,
        p50_ms: paced.quantile(0.5).as_secs_f64() * 1e3,
        p99_ms: paced.quantile(0.99).as_secs_f64() * 1e3,
        requests_out_per_in: requests as f64 / outcome.ok as f64,
    })
}

pub(crate) fn ok(outcome: Outcome) -> Result<Outcome, Box<dyn Error>> {
    match outcome.error {
        Some(error) => Err(format!("a request was not answered OK: {error}").into()),
        None if outcome.ok == 0 => Err("no request was answered".into()),
        None => Ok(outcome),
    }
}

fn count(stats: &serde_json::Value, key: &str) -> u64 {
    stats[key].as_u64().unwrap_or_default()
}

/// A subject that loses, doubles or forgets to tag spans has not done the work that it is measured for.
pub(crate) fn check_arrivals(
    before: &serde_json::Value,
    after: &serde_json::Value,
    sent: u64,
    promises_tags: bool,
) -> Result<(), Box<dyn Error>> {
    let arrived = |key| count(after, key) - count(before, key);
    if arrived("spans") != sent {
        return Err(format!("{sent} spans were acknowledged, {} arrived", arrived("spans")).into());
    }
    if promises_tags && (arrived("checked_spans") == 0 || arrived("untagged_spans") > 0) {
        let (untagged, checked) = (arrived("untagged_spans"), arrived("checked_spans"));
        return Err(format!("{untagged} of {checked} spans looked at arrived without their chain_id").into());
    }
    Ok(())
}

/// How long each part of a cell takes, for the estimate that the header shows.
pub(crate) fn seconds_per_cell(plan: &Plan) -> f64 {
    (plan.warm_up + plan.time + plan.pace + Duration::from_millis(500)).as_secs_f64()
}
