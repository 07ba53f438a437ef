//! `service.pipelines`.

use crate::config::form::{Form, Key, Naming, Shape};
use crate::config::output::Yaml;
use crate::config::reader::Field;

/// The pipelines that there can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum Pipeline {
    Traces,
    Derived,
    Metrics,
    Logs,
}

/// Every pipeline by its name.
pub(in crate::config) const PIPELINES: [(&str, Pipeline); 4] = [
    ("traces", Pipeline::Traces),
    ("metrics/gateway", Pipeline::Derived),
    ("metrics", Pipeline::Metrics),
    ("logs", Pipeline::Logs),
];

/// The lists that each pipeline consists of.
const LISTS: [(&str, &str); 3] = [
    ("receivers", "Where the data comes from: `otlp`, or `gateway` in `metrics/gateway`. At least one."),
    ("processors", "What happens on the way: `chain`, in `traces` only."),
    ("exporters", "Where the data goes. `gateway` in `traces` measures it. At least one."),
];

/// The pipelines: declared here, but read once all components are known, and printed from what came of them.
pub(super) struct Pipelines;

impl Form for Pipelines {
    type Value = ();

    fn read(&self, _: &Field<'_>) -> Option<()> {
        Some(())
    }

    fn write(&self, (): &()) -> Yaml {
        Yaml::Absent
    }

    fn shape(&self) -> Shape {
        let lists = LISTS.map(|(name, about)| {
            let shape = Shape::List { what: "component names", low: 0, high: 64 };
            Key { name, about, default: Yaml::Absent, shape }
        });
        let names = Naming::Known(PIPELINES.map(|(name, _)| name).to_vec());
        let each = Box::new(Shape::Section(lists.into_iter().collect()));
        Shape::Named { placeholder: "PIPELINE", names, each }
    }
}
