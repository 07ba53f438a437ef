//! A configuration on its way out: a tree of values that becomes YAML for `check --print`, one line for the reference.

use std::fmt::Write as _;

use super::scalar::{quote, quote_key};

/// A value as it would stand in a file.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Yaml {
    /// The key is left out.
    Absent,
    /// A number, a duration, a name of ours: written as it is.
    Plain(String),
    /// A text of the user's, quoted where YAML would read something else.
    Text(String),
    /// A list of texts.
    List(Vec<String>),
    /// Keys and values in their order.
    Map(Vec<(String, Yaml)>),
}

impl Yaml {
    /// A value that needs no quotes.
    pub(super) fn plain(value: impl ToString) -> Self {
        Self::Plain(value.to_string())
    }

    /// A mapping without the keys that are left out.
    pub(super) fn map<K: Into<String>>(entries: impl IntoIterator<Item = (K, Self)>) -> Self {
        let present = entries.into_iter().filter(|(_, value)| *value != Self::Absent);
        Self::Map(present.map(|(key, value)| (key.into(), value)).collect())
    }

    /// The value on one line.
    pub(super) fn inline(&self) -> String {
        match self {
            Self::Absent => String::new(),
            Self::Plain(text) => text.clone(),
            Self::Text(text) => quote(text),
            Self::List(texts) => format!("[{}]", texts.iter().map(|text| quote(text)).collect::<Vec<_>>().join(", ")),
            Self::Map(entries) => {
                let entries: Vec<_> =
                    entries.iter().map(|(key, value)| format!("{}: {}", key_text(key), value.inline())).collect();
                format!("{{{}}}", entries.join(", "))
            }
        }
    }

    /// The value as a document: one key a line, lists on the line of their key.
    pub(super) fn document(&self) -> String {
        let mut out = String::new();
        self.lines(&mut out, 0);
        out
    }

    fn lines(&self, out: &mut String, depth: usize) {
        let Self::Map(entries) = self else { return };
        for (key, value) in entries {
            write!(out, "{:1$}{key}:", "", depth * 2, key = key_text(key)).expect("writing to a String cannot fail");
            match value {
                Self::Map(entries) if !entries.is_empty() => {
                    out.push('\n');
                    value.lines(out, depth + 1);
                }
                _ => {
                    out.push(' ');
                    out.push_str(&value.inline());
                    out.push('\n');
                }
            }
        }
    }
}

/// A key as it stands in a file, where a chain id needs no quotes.
fn key_text(key: &str) -> String {
    if !key.is_empty() && key.bytes().all(|b| b.is_ascii_digit()) { key.to_owned() } else { quote_key(key) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mappings become blocks, empty ones and lists stay on the line of their key, what is absent is left out.
    #[test]
    fn a_tree_becomes_a_document() {
        let inner = Yaml::map([
            ("a", Yaml::Absent),
            ("list", Yaml::List(vec!["x".to_owned(), "y z".to_owned()])),
            ("empty", Yaml::map([("b", Yaml::Absent)])),
            ("1", Yaml::plain(5)),
        ]);
        let root = Yaml::map([("otlp/datadog", inner)]);
        assert_eq!(root.document(), "otlp/datadog:\n  list: [x, \"y z\"]\n  empty: {}\n  1: 5\n");
        assert_eq!(root.inline(), "{otlp/datadog: {list: [x, \"y z\"], empty: {}, 1: 5}}");
    }
}
