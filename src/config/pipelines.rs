//! Reads `service.pipelines` and holds every name in it against the components: defined, in a place where it can work,
//! and both ends of the connector connected.

use std::collections::BTreeSet;

use super::component::{Component, Kind};
use super::definitions::Definitions;
use super::error::suggest;
use super::forms::listed;
use super::keys::{Destination, PIPELINES, Pipeline};
use super::reader::{Field, Section};

/// Which components something names, as section and name; and on which sides the connector stands.
#[derive(Default)]
pub(super) struct Used {
    pub(super) names: BTreeSet<(&'static str, String)>,
    fed: bool,
    read: bool,
}

impl Used {
    pub(super) fn mark(&mut self, kind: Kind, name: &str) {
        self.names.insert((kind.section(), name.to_owned()));
    }
}

/// Reads the pipelines; whether there are any.
pub(super) fn pipelines(section: Section<'_>, all: &mut Definitions, used: &mut Used) -> bool {
    let mut count = 0;
    for (key, field) in section.all() {
        count += 1;
        match PIPELINES.iter().find(|(name, _)| *name == key.text) {
            Some((_, pipeline)) => read(*pipeline, field.section(), all, used),
            None => {
                let hint = suggest(&key.text, PIPELINES.iter().map(|(name, _)| *name), "the pipelines are");
                field.key_problem(format!("unknown pipeline; {hint}"));
            }
        }
    }
    if count == 0 {
        section.problem(
            "nothing would run; name at least one pipeline, for example \
             traces: {receivers: [otlp], processors: [chain], exporters: [otlp/datadog]}",
        );
    } else if used.fed != used.read {
        let (is, is_not) = if used.fed {
            ("an exporter of traces", "a receiver of metrics/gateway: its measurements would go nowhere")
        } else {
            ("a receiver of metrics/gateway", "an exporter of traces: there would be nothing to measure")
        };
        section.problem(format!("\"gateway\" is {is} but not {is_not}; name it in both or in neither"));
    }
    count > 0
}

fn read(pipeline: Pipeline, section: Section<'_>, all: &mut Definitions, used: &mut Used) {
    for (key, kind) in [("receivers", Kind::Receiver), ("processors", Kind::Processor), ("exporters", Kind::Exporter)] {
        let field = section.get(key);
        let names = field.as_ref().map(listed).unwrap_or_default();
        let empty = field.as_ref().is_none_or(Field::is_empty_list);
        if empty && kind != Kind::Processor {
            section.problem(format!("no {key}; name at least one, for example {key}: [{}]", pipeline.example(kind)));
        }
        for (name, item) in names {
            match pipeline.take(kind, &name) {
                Ok(Component::Destination) => match all.destination(&name) {
                    Some(index) => {
                        used.mark(kind, &name);
                        pipeline.feed(&mut all.destinations[index]);
                    }
                    None => {
                        let known = all.destinations.iter().map(|destination| destination.name.as_str());
                        let hint = suggest(&name, known, "defined are");
                        item.problem(format!("\"{name}\" is not defined under exporters; {hint}"));
                    }
                },
                Ok(component) => {
                    used.fed |= component == Component::Gateway && kind == Kind::Exporter;
                    used.read |= component == Component::Gateway && kind == Kind::Receiver;
                    used.mark(if component == Component::Gateway { Kind::Connector } else { kind }, &name);
                }
                Err(why) => {
                    // Named in a wrong place is one mistake, not also "not used".
                    used.mark(kind, &name);
                    used.mark(Kind::Connector, &name);
                    item.problem(format!("\"{name}\": {why}"));
                }
            }
        }
    }
    section.finish();
}

impl Pipeline {
    fn example(self, kind: Kind) -> &'static str {
        match (self, kind) {
            (Self::Derived, Kind::Receiver) => "gateway",
            (Self::Derived, _) => "otlp/datadog, prometheus",
            (_, Kind::Receiver) => "otlp",
            (Self::Traces, _) => "gateway, otlp/datadog",
            _ => "otlp/datadog",
        }
    }

    /// What `name` is in this list of this pipeline.
    ///
    /// # Errors
    /// Why it cannot stand there.
    fn take(self, kind: Kind, name: &str) -> Result<Component, String> {
        let component = match (kind, name) {
            (Kind::Receiver | Kind::Exporter, "gateway") => Component::Gateway,
            _ => kind.component(name)?,
        };
        let no = match (self, kind, component) {
            (Self::Traces, Kind::Exporter, Component::Gateway) => return Ok(component),
            (Self::Derived, Kind::Receiver, Component::Gateway) => return Ok(component),
            (Self::Derived, Kind::Receiver, _) => {
                "metrics/gateway takes what \"gateway\" measures; write receivers: [gateway]"
            }
            (_, Kind::Receiver, Component::Gateway) => {
                "\"gateway\" feeds only metrics/gateway; write receivers: [otlp]"
            }
            (_, Kind::Receiver, _) => return Ok(component),
            (Self::Traces, Kind::Processor, _) => return Ok(component),
            (_, Kind::Processor, _) => "works only on traces; remove it here",
            (Self::Derived, _, Component::Prometheus) => return Ok(component),
            (_, _, Component::Prometheus) => {
                "prometheus shows what \"gateway\" measures; name it only in metrics/gateway"
            }
            (_, _, Component::Gateway) => "\"gateway\" measures traces; name it in the traces pipeline, not here",
            (_, _, component) => return Ok(component),
        };
        Err(no.to_owned())
    }

    fn feed(self, destination: &mut Destination) {
        match self {
            Self::Traces => destination.signals.traces = true,
            Self::Metrics => destination.signals.metrics = true,
            Self::Logs => destination.signals.logs = true,
            Self::Derived => destination.signals.derived = true,
        }
    }
}
