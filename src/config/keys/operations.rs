//! `connectors.gateway.operations`.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;

use crate::config::error::suggest;
use crate::config::form::{Form, Naming, Shape};
use crate::config::forms::names;
use crate::config::output::Yaml;
use crate::config::reader::Field;
use crate::gateway::Operation;

/// How many span names one operation may have.
const COUNT: RangeInclusive<usize> = 0..=256;

/// Span names by operation; none means two operations.
pub(super) struct Operations;

impl Form for Operations {
    type Value = BTreeMap<String, Vec<String>>;

    fn read(&self, field: &Field<'_>) -> Option<BTreeMap<String, Vec<String>>> {
        let mut operations = BTreeMap::new();
        let mut seen: HashMap<String, &str> = HashMap::new();
        for (key, field) in field.section().all() {
            if Operation::from_label(key.text.as_bytes()).is_none() {
                let known = Operation::ALL.into_iter().map(Operation::label);
                let hint = suggest(&key.text, known, "the operations are");
                field.key_problem(format!("unknown operation; {hint}"));
                continue;
            }
            let Some(names) = names(&field, &COUNT) else { continue };
            for (name, item) in names.iter().zip(field.items().unwrap_or_default()) {
                let folded = name.to_ascii_lowercase();
                if let Some(operation) = seen.get(&folded) {
                    item.problem(format!(
                        "a span name can mean only one operation and {operation} has it; remove it here"
                    ));
                } else {
                    seen.insert(folded, &key.text);
                }
            }
            operations.insert(key.text.clone(), names);
        }
        Some(operations)
    }

    fn write(&self, value: &BTreeMap<String, Vec<String>>) -> Yaml {
        Yaml::map(value.iter().map(|(operation, names)| (operation.as_str(), Yaml::List(names.clone()))))
    }

    fn shape(&self) -> Shape {
        let list = Shape::List { what: "span names", low: *COUNT.start(), high: *COUNT.end() };
        let names = Naming::Known(Operation::ALL.map(Operation::label).to_vec());
        Shape::Named { placeholder: "OPERATION", names, each: Box::new(list) }
    }
}
