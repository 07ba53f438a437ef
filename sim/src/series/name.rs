//! The identity of a series, as Prometheus has it.

use std::collections::BTreeMap;

/// One series: its name and its labels, without empty ones, in order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Series {
    /// Metric name, with its suffix.
    pub name: String,
    /// Labels by name; an empty value means the label is absent, as in Prometheus itself.
    pub labels: BTreeMap<String, String>,
}

impl Series {
    /// A series without labels.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), labels: BTreeMap::new() }
    }

    /// Adds a label unless its value is empty.
    #[must_use]
    pub fn with(mut self, label: &str, value: impl Into<String>) -> Self {
        let value = value.into();
        if !value.is_empty() {
            self.labels.insert(label.to_owned(), value);
        }
        self
    }

    /// The value of a label, empty when it is absent.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

impl std::fmt::Display for Series {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)?;
        for (index, (label, value)) in self.labels.iter().enumerate() {
            write!(f, "{}{label}={value:?}", if index == 0 { "{" } else { "," })?;
        }
        if self.labels.is_empty() { Ok(()) } else { f.write_str("}") }
    }
}
