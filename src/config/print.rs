//! The effective configuration as a file: every key with its value, secrets masked. It loads again to the same result.

use std::fmt::Write as _;

use super::field::needs_quotes;
use super::types::{Breaker, Config, Destination, Gateway, Role};
use super::units::{format_duration, format_size};
use super::{defaults, env, exporter, service};

/// The effective configuration as YAML. Header values become `"****"`; everything else reads back as it is.
pub fn print(config: &Config) -> String {
    let mut out = Lines::default();
    receivers(&mut out, config);
    if let Some(chain) = &config.chain {
        out.line(0, "processors:");
        out.line(1, "chain:");
        out.line(2, &format!("keys: {}", list(&chain.keys)));
        let ttl = format_duration(chain.inherit_ttl);
        out.line(2, &format!("inherit: {{traces: {}, ttl: {ttl}}}", chain.inherit_traces));
        out.line(2, &format!("datadog_hints: {}", chain.datadog_hints));
    }
    if let Some(connector) = &config.gateway {
        gateway(&mut out, connector);
    }
    if !config.destinations.is_empty() || config.prometheus.is_some() {
        out.line(0, "exporters:");
        config.destinations.iter().for_each(|each| destination(&mut out, each));
    }
    if let Some(address) = config.prometheus {
        out.line(1, "prometheus:");
        out.line(2, &format!("endpoint: {}", scalar(&address.to_string())));
    }
    extensions(&mut out, config);
    services(&mut out, config);
    out.0
}

#[derive(Default)]
struct Lines(String);

impl Lines {
    fn line(&mut self, depth: usize, text: &str) {
        writeln!(self.0, "{:1$}{text}", "", depth * 2).expect("writing to a String cannot fail");
    }
}

fn receivers(out: &mut Lines, config: &Config) {
    let receiver = &config.receiver;
    out.line(0, "receivers:");
    out.line(1, "otlp:");
    out.line(2, "protocols:");
    out.line(3, "grpc:");
    out.line(4, &format!("endpoint: {}", scalar(&receiver.grpc.to_string())));
    out.line(4, &format!("max_recv_msg_size_mib: {}", receiver.max_request_bytes / defaults::MIB));
    out.line(4, &format!("max_concurrent_streams: {}", receiver.max_concurrent_streams));
    out.line(2, &format!("memory_limit_mib: {}", receiver.memory_limit_bytes / defaults::MIB));
}

fn gateway(out: &mut Lines, gateway: &Gateway) {
    out.line(0, "connectors:");
    out.line(1, "gateway:");
    out.line(2, &format!("namespace: {}", scalar(&gateway.namespace)));
    out.line(2, &format!("dimensions: {}", list(&gateway.dimensions)));
    out.line(2, if gateway.operations.is_empty() { "operations: {}" } else { "operations:" });
    for (operation, names) in &gateway.operations {
        out.line(3, &format!("{operation}: {}", list(names)));
    }
    out.line(2, if gateway.chains.is_empty() { "chains: {}" } else { "chains:" });
    for (id, info) in &gateway.chains {
        let name = info.name.as_ref().map(|name| format!("name: {}", scalar(name)));
        let block_time = info.block_time.map(|time| format!("block_time: {}", format_duration(time)));
        let keys: Vec<String> = name.into_iter().chain(block_time).collect();
        out.line(3, &format!("{}: {{{}}}", id.get(), keys.join(", ")));
    }
    out.line(2, &format!("max_chains: {}", gateway.max_chains));
    out.line(2, &format!("max_series: {}", gateway.max_series));
    out.line(2, &format!("series_idle: {}", format_duration(gateway.series_idle)));
    out.line(2, &format!("exemplars: {}", gateway.exemplars));
    let health = gateway.health;
    let (error, quorum, no_success) =
        (health.error_ratio, health.quorum_failure_ratio, format_duration(health.no_success));
    let health = format!("{{error_ratio: {error}, quorum_failure_ratio: {quorum}, no_success: {no_success}}}");
    out.line(2, &format!("health: {health}"));
    out.line(2, &format!("instance: {}", gateway.instance));
}

fn destination(out: &mut Lines, destination: &Destination) {
    out.line(1, &format!("{}:", destination.name));
    out.line(2, &format!("endpoint: {}", scalar(&destination.endpoint)));
    out.line(2, "tls: {insecure: true}");
    out.line(2, if destination.headers.is_empty() { "headers: {}" } else { "headers:" });
    for (name, _) in &destination.headers {
        out.line(3, &format!("{}: \"****\"", scalar(name)));
    }
    out.line(2, &format!("compression: {}", name_of(&exporter::COMPRESSION, destination.compression)));
    out.line(2, &format!("timeout: {}", format_duration(destination.timeout)));
    out.line(2, &format!("max_request_size: {}", format_size(destination.max_request_bytes as u64)));
    out.line(2, &format!("connections: {}", destination.connections));
    let retry = destination.retry;
    let [initial, max] = [retry.initial_interval, retry.max_interval].map(format_duration);
    let elapsed = format_duration(retry.max_elapsed_time.unwrap_or_default());
    let retry = format!("{{initial_interval: {initial}, max_interval: {max}, max_elapsed_time: {elapsed}}}");
    out.line(2, &format!("retry_on_failure: {retry}"));
    let Breaker { consecutive_failures, open_min, open_max } = destination.breaker;
    let [min, max] = [open_min, open_max].map(format_duration);
    let breaker = format!("{{consecutive_failures: {consecutive_failures}, open_min: {min}, open_max: {max}}}");
    out.line(2, &format!("circuit_breaker: {breaker}"));
    if destination.role == Role::Required {
        out.line(2, &format!("spill_after: {}", format_duration(destination.spill_after)));
    }
    out.line(2, &format!("role: {}", name_of(&exporter::ROLE, destination.role)));
    out.line(2, &format!("temporality: {}", name_of(&exporter::TEMPORALITY, destination.temporality)));
}

fn extensions(out: &mut Lines, config: &Config) {
    if config.health_check.is_some() || config.file_storage.is_some() {
        out.line(0, "extensions:");
    }
    if let Some(address) = config.health_check {
        out.line(1, "health_check:");
        out.line(2, &format!("endpoint: {}", scalar(&address.to_string())));
    }
    if let Some(storage) = &config.file_storage {
        let mib = |bytes: u64| bytes / defaults::MIB as u64;
        out.line(1, "file_storage:");
        out.line(2, &format!("directory: {}", scalar(&storage.directory.to_string_lossy())));
        out.line(2, &format!("max_size_mib: {}", mib(storage.max_bytes)));
        out.line(2, &format!("min_free_mib: {}", mib(storage.min_free_bytes)));
    }
}

fn services(out: &mut Lines, config: &Config) {
    out.line(0, "service:");
    let extensions = [("health_check", config.health_check.is_some()), ("file_storage", config.file_storage.is_some())];
    let named: Vec<&str> = extensions.into_iter().filter(|(_, named)| *named).map(|(name, _)| name).collect();
    out.line(1, &format!("extensions: [{}]", named.join(", ")));
    let level = name_of(&service::LEVELS, config.logs.level);
    let encoding = name_of(&service::ENCODINGS, config.logs.encoding);
    out.line(1, &format!("telemetry: {{logs: {{level: {level}, encoding: {encoding}}}}}"));
    out.line(1, &format!("shutdown_timeout: {}", format_duration(config.shutdown_timeout)));
    out.line(1, "pipelines:");
    for (name, flow) in config.flows() {
        let processors = if flow.processors.is_empty() {
            String::new()
        } else {
            format!("processors: [{}], ", flow.processors.join(", "))
        };
        let (receivers, exporters) = (flow.receivers.join(", "), flow.exporters.join(", "));
        out.line(2, &format!("{name}: {{receivers: [{receivers}], {processors}exporters: [{exporters}]}}"));
    }
}

fn name_of<T: PartialEq>(table: &[(&'static str, T)], value: T) -> &'static str {
    table.iter().find(|(_, known)| *known == value).map_or("", |(name, _)| name)
}

fn list(texts: &[String]) -> String {
    format!("[{}]", texts.iter().map(|text| scalar(text)).collect::<Vec<_>>().join(", "))
}

/// `text` as a YAML scalar: plain where that reads back as the same text, else in double quotes.
fn scalar(text: &str) -> String {
    let text = env::escape(text);
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '-');
    let address = text.contains(':') && !text.contains(": ") && text.split(':').all(|part| !part.is_empty());
    let plain = !text.is_empty()
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| safe(c) || c == ':' && address)
        && !needs_quotes(&text);
    if plain {
        return text;
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            ' '..='~' => quoted.push(c),
            _ if c.is_alphanumeric() => quoted.push(c),
            _ => write!(quoted, "\\U{:08X}", u32::from(c)).expect("writing to a String cannot fail"),
        }
    }
    quoted.push('"');
    quoted
}
