//! The effective configuration as a file: every key with its value, secrets masked. It loads again to the same result.

use super::effective::Config;
use super::form::Keys;
use super::keys::{Destination, Role, Service, Telemetry};
use super::output::Yaml;

/// The effective configuration as YAML. Header values become `"****"`; everything else reads back as it is.
pub fn print(config: &Config) -> String {
    let destinations = config.destinations.iter().map(|each| (each.name.as_str(), destination(each)));
    let exporters: Vec<_> = destinations.chain(component("prometheus", config.prometheus.as_ref())).collect();
    let extensions: Vec<_> = component("health_check", config.health_check.as_ref())
        .into_iter()
        .chain(component("file_storage", config.file_storage.as_ref()))
        .collect();
    let service = service(config, extensions.iter().map(|(name, _)| (*name).to_owned()).collect());
    let root = Yaml::map([
        ("receivers", Yaml::map([("otlp", config.receiver.write())])),
        ("processors", section(component("chain", config.chain.as_ref()))),
        ("connectors", section(component("gateway", config.gateway.as_ref()))),
        ("exporters", section(exporters)),
        ("extensions", section(extensions)),
        ("service", service),
    ]);
    root.document()
}

/// A component under its name, if it runs.
fn component<'n, K: Keys>(name: &'n str, keys: Option<&K>) -> Option<(&'n str, Yaml)> {
    keys.map(|keys| (name, keys.write()))
}

/// A section of components; none of them: no section.
fn section<'n>(components: impl IntoIterator<Item = (&'n str, Yaml)>) -> Yaml {
    match Yaml::map(components) {
        Yaml::Map(entries) if entries.is_empty() => Yaml::Absent,
        section => section,
    }
}

fn destination(destination: &Destination) -> Yaml {
    let keys = destination.write();
    match (destination.role, keys) {
        // Without the key that this role refuses.
        (Role::Debug, Yaml::Map(keys)) => Yaml::map(keys.into_iter().filter(|(key, _)| key != "spill_after")),
        (_, keys) => keys,
    }
}

fn service(config: &Config, extensions: Vec<String>) -> Yaml {
    let telemetry = Telemetry { logs: config.logs };
    let keys = Service { extensions, telemetry, shutdown_timeout: config.shutdown_timeout, pipelines: () };
    let list = |names: Vec<&str>| Yaml::List(names.into_iter().map(str::to_owned).collect());
    let pipelines = config.flows().into_iter().map(|(name, flow)| {
        let processors = if flow.processors.is_empty() { Yaml::Absent } else { list(flow.processors) };
        let lists =
            [("receivers", list(flow.receivers)), ("processors", processors), ("exporters", list(flow.exporters))];
        (name, Yaml::map(lists))
    });
    let pipelines = ("pipelines".to_owned(), Yaml::map(pipelines));
    match keys.write() {
        Yaml::Map(keys) => Yaml::map(keys.into_iter().chain([pipelines])),
        other => other,
    }
}
