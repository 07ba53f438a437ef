//! Lists of names.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use super::texts::Text;
use crate::config::form::{Form, Shape};
use crate::config::output::Yaml;
use crate::config::reader::Field;

/// Longer names are refused, bytes.
const LONGEST_NAME: usize = 256;

/// Names, none of them empty or listed twice.
pub(in crate::config) struct Names {
    /// What they name, for the reference.
    pub(in crate::config) what: &'static str,
    /// How many there may be.
    pub(in crate::config) count: RangeInclusive<usize>,
}

impl Form for Names {
    type Value = Vec<String>;

    fn read(&self, field: &Field<'_>) -> Option<Vec<String>> {
        names(field, &self.count)
    }

    fn write(&self, value: &Vec<String>) -> Yaml {
        Yaml::List(value.clone())
    }

    fn shape(&self) -> Shape {
        Shape::List { what: self.what, low: *self.count.start(), high: *self.count.end() }
    }
}

/// The names in a list, as many as `count` allows. `None`: it is no list of texts.
pub(in crate::config) fn names(field: &Field<'_>, count: &RangeInclusive<usize>) -> Option<Vec<String>> {
    let items = field.items()?;
    let (mut names, mut seen) = (Vec::with_capacity(items.len()), HashSet::new());
    for item in &items {
        match Text("").read(item)? {
            text if text.trim().is_empty() => item.problem("an empty name; remove it"),
            text if text.len() > LONGEST_NAME => item.problem("a name longer than 256 bytes; shorten it"),
            text if !seen.insert(text.clone()) => item.problem("named twice; keep one of them"),
            text => names.push(text),
        }
    }
    if names.len() == items.len() && !count.contains(&items.len()) {
        field.problem(format!("{} names; give {} to {}", items.len(), count.start(), count.end()));
    }
    Some(names)
}

/// The texts of a list and their places; one that is listed twice is reported and left out.
pub(in crate::config) fn listed<'a>(field: &Field<'a>) -> Vec<(String, Field<'a>)> {
    let (mut texts, mut seen) = (Vec::new(), HashSet::new());
    for item in field.items().unwrap_or_default() {
        match Text("").read(&item) {
            Some(name) if !seen.insert(name.clone()) => {
                item.problem(format!("\"{name}\" is named twice; keep one of them"));
            }
            Some(name) => texts.push((name, item)),
            None => {}
        }
    }
    texts
}
