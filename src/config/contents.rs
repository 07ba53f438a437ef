//! The whole file as one tree of keys: what the JSON schema and the reference are made from.

use super::component::{COMPONENTS, Component, Kind};
use super::form::{Key, Keys, Shape};
use super::keys::{Chain, Destination, FileStorage, Gateway, HealthCheck, Prometheus, Receiver, Service};
use super::output::Yaml;

/// Every key of the file, section by section.
pub(super) fn contents() -> Vec<Key> {
    let components = |kind: Kind| {
        let of_kind = COMPONENTS.into_iter().filter(move |(_, other, _)| *other == kind);
        Shape::Section(of_kind.map(|(component, _, name)| describe(component, name)).collect())
    };
    let sections =
        Kind::ALL.map(|kind| Key { name: kind.section(), about: "", default: Yaml::Absent, shape: components(kind) });
    sections.into_iter().chain([section::<Service>("service")]).collect()
}

fn describe(component: Component, name: &'static str) -> Key {
    match component {
        Component::Otlp => section::<Receiver>(name),
        Component::Chain => section::<Chain>(name),
        Component::Gateway => section::<Gateway>(name),
        Component::Destination => section::<Destination>(name),
        Component::Prometheus => section::<Prometheus>(name),
        Component::HealthCheck => section::<HealthCheck>(name),
        Component::FileStorage => section::<FileStorage>(name),
    }
}

fn section<K: Keys>(name: &'static str) -> Key {
    Key { name, about: K::ABOUT, default: Yaml::Absent, shape: Shape::Section(K::keys()) }
}

#[cfg(test)]
mod tests {
    use super::super::source::SHIPPED;
    use super::super::yaml::{self, Node, NodeValue};
    use super::*;

    fn missing(keys: &[Key], node: &Node, path: &str, out: &mut Vec<String>) {
        let NodeValue::Map(entries) = &node.value else { return };
        for Key { name, shape, .. } in keys {
            let name = if *name == "otlp/NAME" { "otlp/datadog" } else { name };
            let path = format!("{path}.{name}");
            match entries.iter().find(|(key, _)| key.text == name) {
                Some((_, node)) => {
                    if let Shape::Section(keys) = shape {
                        missing(keys, node, &path, out);
                    }
                }
                None => out.push(path),
            }
        }
    }

    /// The shipped file names every key there is, so that nobody has to look elsewhere for what can be set. Optional
    /// lists of a pipeline are the exception.
    #[test]
    fn the_shipped_file_names_every_key() {
        let tree = yaml::parse(SHIPPED).expect("valid").expect("not empty");
        let mut out = Vec::new();
        missing(&contents(), &tree, "", &mut out);
        out.retain(|path| !path.ends_with(".processors"));
        assert_eq!(out, Vec::<String>::new());
    }

    fn described(keys: &[Key], path: &str) {
        for Key { name, about, shape, .. } in keys {
            let path = format!("{path}.{name}");
            assert!(path.matches('.').count() < 2 || about.trim().ends_with('.'), "{path}: {about}");
            if let Shape::Section(keys) = shape {
                described(keys, &path);
            }
        }
    }

    /// Every key has a sentence.
    #[test]
    fn every_key_is_described() {
        described(&contents(), "");
    }
}
