//! Reads `service`: what runs, what it says and how long it may take to stop; and puts the configuration together.

use std::time::Duration;

use super::component::Kind;
use super::definitions::Definitions;
use super::error::Mark;
use super::pipelines::{Used, names, pipelines};
use super::reader::{Reader, Section};
use super::types::{Config, Destination, LogEncoding, LogLevel, Logs};
use super::{defaults, endpoint};

/// The names of `logs.level`.
pub(super) const LEVELS: [(&str, LogLevel); 4] =
    [("error", LogLevel::Error), ("warn", LogLevel::Warn), ("info", LogLevel::Info), ("debug", LogLevel::Debug)];
/// The names of `logs.encoding`.
pub(super) const ENCODINGS: [(&str, LogEncoding); 2] = [("console", LogEncoding::Console), ("json", LogEncoding::Json)];

/// The longest drain that can be asked for.
const HOUR: Duration = Duration::from_secs(3600);

/// Holds `service` against the definitions and puts the configuration together.
pub(super) fn assemble<'a>(reader: &'a Reader<'a>, root: &Section<'a>, mut all: Definitions) -> Config {
    let service = root.section("service");
    let mut used = Used::default();
    extensions(&service, &mut used);
    let telemetry = service.section("telemetry");
    telemetry.refuse("metrics", "chainspan's own metrics are on exporters.prometheus; remove it");
    let logs = logs(telemetry.section("logs"));
    telemetry.finish();
    let shutdown_timeout =
        service.or("shutdown_timeout", defaults::SHUTDOWN_TIMEOUT, |field| field.duration(Duration::ZERO..=HOUR));
    let any = pipelines(reader, service.section("pipelines"), &mut all, &mut used);
    service.finish();

    for (kind, name, at) in all.defined.iter().filter(|_| any) {
        if !used.names.contains(&(kind.section(), name.clone())) {
            let place =
                if *kind == Kind::Extension { "service.extensions" } else { "a pipeline under service.pipelines" };
            reader.problem(
                *at,
                format!("{}.{name}", kind.section()),
                format!("not used; name it in {place}, or remove it"),
            );
        }
    }
    let is_used = |kind: Kind, name: &str| used.names.contains(&(kind.section(), name.to_owned()));
    let config = Config {
        chain: is_used(Kind::Processor, "chain").then_some(all.chain),
        gateway: is_used(Kind::Connector, "gateway").then_some(all.gateway),
        destinations: all.destinations,
        prometheus: is_used(Kind::Exporter, "prometheus").then_some(all.prometheus),
        health_check: is_used(Kind::Extension, "health_check").then_some(all.health_check),
        receiver: all.receiver,
        file_storage: is_used(Kind::Extension, "file_storage").then_some(all.file_storage),
        logs,
        shutdown_timeout,
    };
    addresses(reader, &all.defined, &config);
    config
}

/// Two components of ours on one address, or a destination that is our own receiver.
fn addresses(reader: &Reader<'_>, defined: &[(Kind, String, Mark)], config: &Config) {
    let place = |kind: Kind, name: &str| {
        let found = defined.iter().find(|(other, defined, _)| *other == kind && defined == name);
        found.map_or(Mark::START, |(_, _, at)| *at)
    };
    let mut taken = vec![("receivers.otlp.protocols.grpc".to_owned(), config.receiver.grpc)];
    let ours =
        [(Kind::Exporter, "prometheus", config.prometheus), (Kind::Extension, "health_check", config.health_check)];
    for (kind, name, address) in ours {
        let Some(address) = address else { continue };
        let path = format!("{}.{name}", kind.section());
        if let Some((other, _)) = taken.iter().find(|(_, earlier)| endpoint::clash(*earlier, address)) {
            let text = format!("{other} listens on port {} already; choose another port", address.port());
            reader.problem(place(kind, name), format!("{path}.endpoint"), text);
        }
        taken.push((path, address));
    }
    for Destination { name, endpoint, .. } in &config.destinations {
        if endpoint::same(endpoint, config.receiver.grpc) {
            let text =
                "this is chainspan's own receiver, everything would go round in a circle; name the agent's address";
            reader.problem(place(Kind::Exporter, name), format!("exporters.{name}.endpoint"), text);
        }
    }
}

fn extensions(service: &Section<'_>, used: &mut Used) {
    let Some(field) = service.get("extensions") else {
        defaults::EXTENSIONS.iter().for_each(|name| used.mark(Kind::Extension, name));
        return;
    };
    for (name, item) in names(&field) {
        match Kind::Extension.component(&name) {
            Ok(_) => used.mark(Kind::Extension, &name),
            Err(why) => item.problem(format!("\"{name}\": {why}")),
        }
    }
}

fn logs(section: Section<'_>) -> Logs {
    let Logs { level, encoding } = defaults::LOGS;
    let logs = Logs {
        level: section.or("level", level, |field| field.one_of(&LEVELS)),
        encoding: section.or("encoding", encoding, |field| field.one_of(&ENCODINGS)),
    };
    section.finish();
    logs
}
