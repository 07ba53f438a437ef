//! Reads what the receiver, the processor, the connector and the extension may be told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::component::LATER;
use super::field::Field;
use super::reader::{Section, suggest};
use super::types::{Chain, ChainInfo, Gateway, Health, Receiver};
use super::{defaults, endpoint, limits};
use crate::chain::ChainId;

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);
/// What a duration may be where zero would mean nothing.
pub(super) const SOME_TIME: RangeInclusive<Duration> = MS..=HOUR;

/// A series lives for a few windows at least, so that a pause between two requests does not end it.
const IDLE: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(24 * 3600);

/// The operations that more span names can be given for.
const OPERATIONS: [&str; 5] = ["task", "task_broadcast", "bls_aggregation", "tx_submission", "webhook_delivery"];
/// Labels that the metrics have already, as Prometheus spells them.
const LABELS: [&str; 13] = [
    "chain_id",
    "operation",
    "outcome",
    "error_type",
    "reason",
    "class",
    "result",
    "status_class",
    "signer",
    "target",
    "le",
    "job",
    "instance",
];

/// `receivers.otlp`.
pub(super) fn receiver(section: Section<'_>) -> Receiver {
    let default = defaults::receiver();
    let protocols = section.section("protocols");
    protocols.refuse("http", LATER);
    let grpc = protocols.section("grpc");
    for key in ["tls", "auth"] {
        grpc.refuse(key, LATER);
    }
    for key in ["keepalive", "read_buffer_size", "write_buffer_size", "transport", "include_metadata"] {
        grpc.refuse(key, "not needed, chainspan chooses it; remove it");
    }
    let address = grpc.or("endpoint", default.grpc, |field| field.parse("IP:PORT", endpoint::own));
    let mib = |bytes: usize| (bytes / defaults::MIB) as u64;
    let request = grpc.or("max_recv_msg_size_mib", mib(default.max_request_bytes), |field| field.integer(1..=2047));
    let streams = grpc.or("max_concurrent_streams", default.max_concurrent_streams, |field| {
        field.integer(1..=100_000).and_then(|streams| u32::try_from(streams).ok())
    });
    let limit = section.or("memory_limit_mib", mib(default.memory_limit_bytes), |field| field.integer(1..=1_048_576));
    if let Err(why) = limits::memory(request, limit)
        && let Some(field) = section.get("memory_limit_mib").or_else(|| grpc.get("max_recv_msg_size_mib"))
    {
        field.problem(why);
    }
    grpc.finish();
    protocols.finish();
    section.finish();
    Receiver {
        grpc: address,
        max_request_bytes: request as usize * defaults::MIB,
        max_concurrent_streams: streams,
        memory_limit_bytes: limit as usize * defaults::MIB,
    }
}

/// `processors.chain`.
pub(super) fn chain(section: Section<'_>) -> Chain {
    let default = defaults::chain();
    let keys = section.or("keys", default.keys, |field| names(field, 1..=32));
    let inherit = section.section("inherit");
    let inherit_traces = inherit.or("traces", default.inherit_traces, |field| field.count(0..=10_000_000));
    let inherit_ttl = inherit.or("ttl", default.inherit_ttl, |field| field.duration(SOME_TIME));
    inherit.finish();
    let datadog_hints = section.or("datadog_hints", default.datadog_hints, Field::truth);
    section.finish();
    Chain { keys, inherit_traces, inherit_ttl, datadog_hints }
}

/// `connectors.gateway`.
pub(super) fn gateway(section: Section<'_>) -> Gateway {
    let default = defaults::gateway();
    let gateway = Gateway {
        namespace: section.or("namespace", default.namespace, |field| field.parse("a name", namespace)),
        dimensions: section.or("dimensions", default.dimensions, dimensions),
        operations: operations(section.section("operations")),
        chains: chains(section.section("chains")),
        max_chains: section.or("max_chains", default.max_chains, |field| field.count(0..=10_000)),
        max_series: section.or("max_series", default.max_series, |field| field.count(1..=1_000_000)),
        series_idle: section.or("series_idle", default.series_idle, |field| field.duration(IDLE)),
        exemplars: section.or("exemplars", default.exemplars, |field| field.count(0..=4)),
        health: health(section.section("health"), default.health),
        instance: section.or("instance", default.instance, Field::truth),
        span_metrics: section.or("span_metrics", default.span_metrics, Field::truth),
    };
    if let Err(why) = limits::series(gateway.chains.len(), gateway.max_chains, gateway.max_series, gateway.span_metrics)
        && let Some(field) = ["max_series", "max_chains", "chains"].into_iter().find_map(|key| section.get(key))
    {
        field.problem(why);
    }
    section.finish();
    gateway
}

fn health(section: Section<'_>, default: Health) -> Health {
    let health = Health {
        error_ratio: section.or("error_ratio", default.error_ratio, Field::ratio),
        quorum_failure_ratio: section.or("quorum_failure_ratio", default.quorum_failure_ratio, Field::ratio),
        no_success: section.or("no_success", default.no_success, |field| field.duration(SOME_TIME)),
    };
    section.finish();
    health
}

/// A section with one endpoint of ours: `exporters.prometheus`, `extensions.health_check`.
pub(super) fn listener(section: Section<'_>, default: SocketAddr) -> SocketAddr {
    let address = section.or("endpoint", default, |field| field.parse("IP:PORT", endpoint::own));
    section.refuse("tls", LATER);
    section.refuse("path", "the paths are fixed: /health, /health/ready and /status; remove it");
    for key in ["namespace", "const_labels"] {
        section.refuse(key, "the names come from connectors.gateway.namespace and dimensions; remove it");
    }
    section.finish();
    address
}

/// Texts that are names: not empty, none twice, as many as `count` allows.
fn names(field: &Field<'_>, count: RangeInclusive<usize>) -> Option<Vec<String>> {
    let items = field.items()?;
    let mut names = Vec::with_capacity(items.len());
    for item in &items {
        match item.text()? {
            text if text.trim().is_empty() => item.problem("an empty name; remove it"),
            text if text.len() > 256 => item.problem("a name longer than 256 bytes"),
            text if names.contains(&text) => item.problem("named twice; keep one of them"),
            text => names.push(text),
        }
    }
    if names.len() == items.len() && !count.contains(&items.len()) {
        field.problem(format!("{} names; give {} to {}", items.len(), count.start(), count.end()));
    }
    Some(names)
}

fn dimensions(field: &Field<'_>) -> Option<Vec<String>> {
    let names = names(field, 0..=16)?;
    let mut labels = LABELS.map(str::to_owned).to_vec();
    for (name, item) in names.iter().zip(field.items()?) {
        let label = name.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        if labels.contains(&label) {
            item.problem(format!("its label {label} would exist twice; leave it out"));
        }
        labels.push(label);
    }
    Some(names)
}

fn namespace(text: &str) -> Result<String, String> {
    let word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_alphabetic())
            && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    if text.len() <= 64 && text.split('.').all(word) {
        Ok(text.to_owned())
    } else {
        Err("a namespace is words of letters, digits and \"_\", joined by dots, for example avs.gateway".to_owned())
    }
}

fn operations(section: Section<'_>) -> BTreeMap<String, Vec<String>> {
    let mut operations = BTreeMap::new();
    let mut seen: Vec<(String, &str)> = Vec::new();
    for (key, field) in section.all() {
        if !OPERATIONS.contains(&key.text.as_str()) {
            let hint = suggest(&key.text, OPERATIONS.into_iter(), "the operations are");
            field.key_problem(format!("unknown operation; {hint}"));
            continue;
        }
        let Some(names) = names(&field, 0..=256) else { continue };
        for (name, item) in names.iter().zip(field.items().unwrap_or_default()) {
            let folded = name.to_ascii_lowercase();
            match seen.iter().find(|(earlier, _)| *earlier == folded) {
                Some((_, operation)) => {
                    item.problem(format!("a span name can be one operation only; {operation} has it"))
                }
                None => seen.push((folded, &key.text)),
            }
        }
        operations.insert(key.text.clone(), names);
    }
    operations
}

fn chains(section: Section<'_>) -> BTreeMap<ChainId, ChainInfo> {
    let mut chains = BTreeMap::new();
    for (key, field) in section.all() {
        let info = field.section();
        let name = info.or("name", None, |field| Some(field.text()));
        let block_time = info.or("block_time", None, |field| Some(field.duration(SOME_TIME)));
        info.finish();
        let canonical = !key.text.starts_with('0') && key.text.bytes().all(|b| b.is_ascii_digit());
        let id = if canonical { key.text.parse().ok().and_then(ChainId::new) } else { None };
        match id {
            Some(id) => {
                chains.insert(id, ChainInfo { name, block_time });
            }
            None => {
                field.key_problem(format!("not a chain id; write it as a decimal number from 1 to {}", ChainId::MAX))
            }
        }
    }
    chains
}
