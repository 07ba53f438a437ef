//! `service`.

use std::time::Duration;

use super::pipelines::Pipelines;
use crate::config::component::Kind;
use crate::config::form::{Form, Shape, section};
use crate::config::forms::{OneOf, Time, listed, nested};
use crate::config::output::Yaml;
use crate::config::reader::Field;
pub use crate::telemetry::logs::{LogEncoding, LogLevel};

section! {
    /// What runs.
    #[derive(Clone, Debug, PartialEq)]
    pub(in crate::config) struct Service {
        /// The extensions that run.
        pub(in crate::config) extensions: Vec<String> = "extensions", Extensions, EXTENSIONS.map(str::to_owned).to_vec();
        /// What chainspan says of itself.
        pub(in crate::config) telemetry: Telemetry = "telemetry", nested();
        /// How long a shutdown waits for requests in flight. Kubernetes kills a pod after 30s.
        pub(in crate::config) shutdown_timeout: Duration =
            "shutdown_timeout", Time(Duration::ZERO..=HOUR), Duration::from_secs(25);
        /// What runs, at least one of them: `traces` tags, measures and forwards spans; `metrics/gateway` sends what
        /// `gateway` measures; `metrics` and `logs` forward those of the gateways as they came. The Datadog agent takes
        /// logs only with `logs_enabled: true` and `otlp_config.logs.enabled: true`.
        pub(in crate::config) pipelines: () = "pipelines", Pipelines;
    }
}

section! {
    /// What chainspan says of itself.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Telemetry {
        /// The log, on stderr.
        pub logs: Logs = "logs", nested();
    }
    refuse { "metrics" => "chainspan's own metrics are on exporters.prometheus; remove it"; }
}

section! {
    /// The log, on stderr.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Logs {
        /// The least severe level that is written.
        pub level: LogLevel = "level", OneOf(&LEVELS), LogLevel::Info;
        /// How a line looks: `console` for people, `json` for machines.
        pub encoding: LogEncoding = "encoding", OneOf(&ENCODINGS), LogEncoding::Console;
    }
}

/// The longest drain that can be asked for.
const HOUR: Duration = Duration::from_secs(3600);

const EXTENSIONS: [&str; 2] = ["health_check", "file_storage"];

const LEVELS: [(&str, LogLevel); 4] =
    [("error", LogLevel::Error), ("warn", LogLevel::Warn), ("info", LogLevel::Info), ("debug", LogLevel::Debug)];

const ENCODINGS: [(&str, LogEncoding); 2] = [("console", LogEncoding::Console), ("json", LogEncoding::Json)];

/// Names of extensions.
struct Extensions;

impl Form for Extensions {
    type Value = Vec<String>;

    fn read(&self, field: &Field<'_>) -> Option<Vec<String>> {
        let mut extensions = Vec::new();
        for (name, item) in listed(field) {
            match Kind::Extension.component(&name) {
                Ok(_) => extensions.push(name),
                Err(why) => item.problem(format!("\"{name}\": {why}")),
            }
        }
        Some(extensions)
    }

    fn write(&self, value: &Vec<String>) -> Yaml {
        Yaml::List(value.clone())
    }

    fn shape(&self) -> Shape {
        Shape::List { what: "extensions", low: 0, high: EXTENSIONS.len() }
    }
}
