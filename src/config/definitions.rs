//! Reads every component that the file defines, and remembers which, so that the pipelines can be held against them.

use super::component::{Component, Kind};
use super::error::Mark;
use super::form::Keys;
use super::keys::{Chain, Destination, FileStorage, Gateway, HealthCheck, Prometheus, Receiver};
use super::reader::{Reader, Section};

/// The one destination that every configuration may name without defining it.
const DATADOG: &str = "otlp/datadog";

/// What the file defines. Components that have defaults for all their keys exist even when it does not.
#[derive(Default)]
pub(super) struct Definitions {
    pub(super) receiver: Receiver,
    pub(super) chain: Chain,
    pub(super) gateway: Gateway,
    pub(super) destinations: Vec<Destination>,
    pub(super) prometheus: Prometheus,
    pub(super) health_check: HealthCheck,
    pub(super) file_storage: FileStorage,
    /// Every valid component of the file, where its key stands.
    pub(super) defined: Vec<(Kind, String, Mark)>,
}

impl Definitions {
    pub(super) fn read<'a>(reader: &'a Reader<'a>, root: &Section<'a>) -> Self {
        let mut all = Self::default();
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
            Component::Otlp => self.receiver = Keys::read(section),
            Component::Chain => self.chain = Keys::read(section),
            Component::Gateway => self.gateway = Keys::read(section),
            Component::Destination => self.destinations.push(destination(name, section)),
            Component::Prometheus => self.prometheus = Keys::read(section),
            Component::HealthCheck => self.health_check = Keys::read(section),
            Component::FileStorage => self.file_storage = Keys::read(section),
        }
    }

    /// The index of the destination `name`; `otlp/datadog` comes into being when it is asked for.
    pub(super) fn destination(&mut self, name: &str) -> Option<usize> {
        let index = self.destinations.iter().position(|destination| destination.name == name);
        if index.is_none() && name == DATADOG {
            self.destinations.push(Destination { name: name.to_owned(), ..Destination::default() });
            return Some(self.destinations.len() - 1);
        }
        index
    }
}

/// The destination `name`, which no pipeline names yet.
fn destination(name: &str, section: Section<'_>) -> Destination {
    if name != DATADOG && section.get("endpoint").is_none() {
        section.problem("endpoint is missing; say where to send, for example endpoint: 127.0.0.1:4317");
    }
    Destination { name: name.to_owned(), ..Destination::read(section) }
}
