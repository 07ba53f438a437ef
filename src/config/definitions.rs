//! Reads every component that the file defines, and remembers which, so that the pipelines can be held against them.

use std::net::SocketAddr;

use super::component::{Component, Kind};
use super::error::Mark;
use super::reader::{Reader, Section};
use super::types::{Chain, Destination, FileStorage, Gateway, Receiver};
use super::{defaults, exporter, sections, storage};

/// What the file defines. Components that have defaults for all their keys exist even when it does not.
pub(super) struct Definitions {
    pub(super) receiver: Receiver,
    pub(super) chain: Chain,
    pub(super) gateway: Gateway,
    pub(super) destinations: Vec<Destination>,
    pub(super) prometheus: SocketAddr,
    pub(super) health_check: SocketAddr,
    pub(super) file_storage: FileStorage,
    /// Every valid component of the file, where its key stands.
    pub(super) defined: Vec<(Kind, String, Mark)>,
}

impl Definitions {
    pub(super) fn read<'a>(reader: &'a Reader<'a>, root: &Section<'a>) -> Self {
        let mut all = Self {
            receiver: defaults::receiver(),
            chain: defaults::chain(),
            gateway: defaults::gateway(),
            destinations: Vec::new(),
            prometheus: defaults::PROMETHEUS,
            health_check: defaults::HEALTH_CHECK,
            file_storage: defaults::file_storage(),
            defined: Vec::new(),
        };
        for kind in Kind::ALL {
            for (key, field) in root.section(kind.section()).all() {
                match kind.component(&key.text) {
                    Ok(component) => {
                        all.defined.push((kind, key.text.clone(), key.at));
                        all.take(component, &key.text, field.section());
                    }
                    Err(why) => reader.problem(key.at, format!("{}.{}", kind.section(), key.text), why),
                }
            }
        }
        all
    }

    fn take(&mut self, component: Component, name: &str, section: Section<'_>) {
        match component {
            Component::Otlp => self.receiver = sections::receiver(section),
            Component::Chain => self.chain = sections::chain(section),
            Component::Gateway => self.gateway = sections::gateway(section),
            Component::Destination => self.destinations.push(exporter::destination(name, section)),
            Component::Prometheus => self.prometheus = sections::listener(section, self.prometheus),
            Component::HealthCheck => self.health_check = sections::listener(section, self.health_check),
            Component::FileStorage => self.file_storage = storage::file_storage(section),
        }
    }

    /// The index of the destination `name`; `otlp/datadog` comes into being when it is asked for.
    pub(super) fn destination<'a>(&mut self, name: &str, reader: &'a Reader<'a>) -> Option<usize> {
        let index = self.destinations.iter().position(|destination| destination.name == name);
        if index.is_none() && name == "otlp/datadog" {
            let section = Section::open(reader, "exporters.otlp/datadog", Mark::START, None);
            self.destinations.push(exporter::destination(name, section));
            return Some(self.destinations.len() - 1);
        }
        index
    }
}
