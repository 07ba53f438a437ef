//! `/status`: a documented format, which scripts may rely on.
//!
//! ```json
//! {
//!   "version": "0.1.0",
//!   "uptime_seconds": 12,
//!   "listening": {"otlp/grpc": "127.0.0.1:14317"},
//!   "destinations": {
//!     "otlp/datadog": {
//!       "role": "required",
//!       "spans":    {"accepted": 5, "delivered": 5, "rejected": 0, "in_flight": 0, "spilled": 0, "dead": 0, "discarded": 0},
//!       "requests": {"accepted": 0, "delivered": 0, "rejected": 0, "in_flight": 0, "spilled": 0, "dead": 0, "discarded": 0},
//!       "breaker": "closed", "failures": 0, "last_error": null, "unimplemented": {}, "backlog_age_seconds": 0.0, "queue_bytes": 0
//!     }
//!   },
//!   "chains": {"8453": {"health": "degraded", "why": "too many operations fail"}, "1": {"health": "healthy", "why": null}},
//!   "store": {"used_bytes": 0, "max_bytes": 1073741824, "free_bytes": 90000000000, "refusing": null, "set_aside": []},
//!   "memory": {"resident_bytes": 9000000, "budget_used_bytes": 0, "budget_limit_bytes": 268435456}
//! }
//! ```
//!
//! `breaker` is `closed`, `open` or `half_open`. `unimplemented` has an entry for each signal that the destination does not take,
//! with its words: `{"logs": "UNIMPLEMENTED: unknown service opentelemetry.proto.collector.logs.v1.LogsService"}`.
//!
//! `store` is `null` without `file_storage`, and before it is open; `refusing` says why nothing can be put in, `set_aside`
//! names damaged files that were set aside.
//!
//! `spans` counts spans, `requests` counts requests of metrics and logs. `last_error` is `null` while `failures` is 0,
//! `resident_bytes` is `null` where the system does not say. A chain that several services or environments report on shows
//! the worst of them; `chains` is `null` when the metrics did not answer in time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::monitor::Monitor;
use crate::config::Role;
use crate::delivery::{Conservation, DestinationStatus};
use crate::red::ChainState;
use crate::store::StoreStatus;

/// How long the queries may take, all at the same time; then the last answer of each is shown.
const QUERY_TIMEOUT: Duration = Duration::from_millis(40);

#[derive(Serialize)]
struct Status<'a> {
    version: &'static str,
    uptime_seconds: u64,
    listening: &'a BTreeMap<String, SocketAddr>,
    destinations: BTreeMap<&'a str, Destination<'a>>,
    chains: Option<BTreeMap<String, Chain>>,
    store: Option<Store>,
    memory: Memory,
}

#[derive(Serialize)]
struct Chain {
    health: &'static str,
    why: Option<&'static str>,
}

#[derive(Serialize)]
struct Destination<'a> {
    role: &'static str,
    spans: Conservation,
    requests: Conservation,
    breaker: &'static str,
    failures: u32,
    last_error: Option<&'a str>,
    unimplemented: BTreeMap<&'static str, &'a str>,
    backlog_age_seconds: f64,
    queue_bytes: u64,
}

#[derive(Serialize)]
struct Store {
    used_bytes: u64,
    max_bytes: u64,
    free_bytes: u64,
    refusing: Option<String>,
    set_aside: Vec<PathBuf>,
}

#[derive(Serialize)]
struct Memory {
    resident_bytes: Option<u64>,
    budget_used_bytes: usize,
    budget_limit_bytes: usize,
}

/// The status now, as JSON.
pub(super) async fn status(monitor: &Monitor) -> serde_json::Result<String> {
    let (destinations, chains, store) = tokio::join!(
        monitor.destinations().ask(QUERY_TIMEOUT),
        monitor.chains().ask(QUERY_TIMEOUT),
        monitor.store().ask(QUERY_TIMEOUT),
    );
    let destinations = destinations.unwrap_or_else(|last| last);
    let budget = monitor.budget();
    serde_json::to_string_pretty(&Status {
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: monitor.uptime().as_secs(),
        listening: monitor.listening(),
        destinations: destinations.iter().map(|status| (status.name.as_str(), destination(status))).collect(),
        chains: chains.ok().map(|chains| worst(&chains)),
        store: store.unwrap_or_else(|last| last).as_ref().as_ref().map(self::store),
        memory: Memory {
            resident_bytes: resident_bytes(),
            budget_used_bytes: budget.used(),
            budget_limit_bytes: budget.limit(),
        },
    })
}

/// The worst state of each chain.
fn worst(states: &[ChainState]) -> BTreeMap<String, Chain> {
    // Later entries replace earlier ones: the worst comes last.
    let mut states: Vec<&ChainState> = states.iter().collect();
    states.sort_by_key(|state| std::cmp::Reverse(state.health));
    let chain = |state: &ChainState| {
        (state.chain.to_string(), Chain { health: state.health.label(), why: state.why.map(|why| why.text()) })
    };
    states.into_iter().map(chain).collect()
}

fn destination(status: &DestinationStatus) -> Destination<'_> {
    Destination {
        role: match status.role {
            Role::Required => "required",
            Role::Debug => "debug",
        },
        spans: status.spans,
        requests: status.requests,
        breaker: status.breaker.label(),
        failures: status.failures,
        last_error: status.last_error.as_deref(),
        unimplemented: status.unimplemented.iter().map(|(signal, why)| (signal.name(), why.as_str())).collect(),
        backlog_age_seconds: status.backlog_age.unwrap_or_default().as_secs_f64(),
        queue_bytes: status.queue_bytes,
    }
}

fn store(status: &StoreStatus) -> Store {
    Store {
        used_bytes: status.used_bytes,
        max_bytes: status.max_bytes,
        free_bytes: status.free_bytes,
        refusing: status.refusing.as_ref().map(ToString::to_string),
        set_aside: status.set_aside.clone(),
    }
}

/// Resident memory, which Linux gives in kibibytes. The kernel makes up the file as it is read: this does not wait.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}
