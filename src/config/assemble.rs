//! Holds `service` against the components that are defined, and puts the configuration together.

use super::component::Kind;
use super::definitions::Definitions;
use super::effective::Config;
use super::endpoint;
use super::error::Mark;
use super::form::Keys;
use super::keys::{Destination, Service};
use super::pipelines::{Used, pipelines};
use super::reader::{Reader, Section};

/// Holds `service` against the definitions and puts the configuration together.
pub(super) fn assemble<'a>(reader: &'a Reader<'a>, root: &Section<'a>, mut all: Definitions) -> Config {
    let service = Service::read(root.section("service"));
    let mut used = Used::default();
    service.extensions.iter().for_each(|name| used.mark(Kind::Extension, name));
    let any = pipelines(root.section("service").section("pipelines"), &mut all, &mut used);

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
        logs: service.telemetry.logs,
        shutdown_timeout: service.shutdown_timeout,
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
    let mut taken = vec![("receivers.otlp.protocols.grpc".to_owned(), config.receiver.protocols.grpc.endpoint)];
    let ours = [
        (Kind::Exporter, "prometheus", config.prometheus.map(|exporter| exporter.endpoint)),
        (Kind::Extension, "health_check", config.health_check.map(|extension| extension.endpoint)),
    ];
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
        if endpoint::same(endpoint, config.receiver.protocols.grpc.endpoint) {
            let text = "this is chainspan's own receiver, the data would go in circles; name the agent's address";
            reader.problem(place(Kind::Exporter, name), format!("exporters.{name}.endpoint"), text);
        }
    }
}
