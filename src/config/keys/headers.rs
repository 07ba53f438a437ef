//! `headers` of an exporter.

use std::collections::HashSet;

use crate::config::form::{Form, Naming, Shape};
use crate::config::forms::Text;
use crate::config::output::Yaml;
use crate::config::reader::Field;
use crate::config::secret::Secret;

/// Names and secret values that gRPC can carry, each name once.
pub(super) struct Headers;

impl Form for Headers {
    type Value = Vec<(String, Secret)>;

    fn read(&self, field: &Field<'_>) -> Option<Vec<(String, Secret)>> {
        let (mut headers, mut seen) = (Vec::new(), HashSet::new());
        for (key, field) in field.section().all() {
            let name = key.text.to_ascii_lowercase();
            if http::HeaderName::from_bytes(name.as_bytes()).is_err() || name.ends_with("-bin") {
                field.key_problem("not a header name; use letters, digits, \"-\", \"_\" and \".\"");
            } else if is_reserved(&name) {
                field.key_problem("gRPC sets this header itself; remove it");
            } else if !seen.insert(name.clone()) {
                field.key_problem("named twice, upper and lower case are the same; keep one of them");
            }
            let Some(value) = Text("").read(&field) else { continue };
            if value.bytes().all(|b| (0x20..0x7f).contains(&b)) {
                headers.push((name, Secret::new(value)));
            } else {
                field.problem("a header value consists of printable ASCII characters; remove the others");
            }
        }
        Some(headers)
    }

    fn write(&self, value: &Vec<(String, Secret)>) -> Yaml {
        Yaml::map(value.iter().map(|(name, _)| (name.as_str(), Yaml::Text("****".to_owned()))))
    }

    fn shape(&self) -> Shape {
        Shape::Named {
            placeholder: "HEADER",
            names: Naming::Pattern("^[A-Za-z0-9._-]+$"),
            each: Box::new(Shape::Text("text, a secret")),
        }
    }
}

/// Headers that belong to gRPC.
fn is_reserved(name: &str) -> bool {
    name.starts_with("grpc-") || matches!(name, "content-type" | "te" | "host" | "user-agent")
}
