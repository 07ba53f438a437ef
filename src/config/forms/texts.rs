//! Texts: any, those that must parse, and paths.

use std::path::PathBuf;

use crate::config::form::{Form, Shape};
use crate::config::output::Yaml;
use crate::config::reader::Field;
use crate::config::scalar;

/// Any text without control characters. Plain numbers and truth values are refused: they become text in quotes.
pub(in crate::config) struct Text(pub(in crate::config) &'static str);

impl Form for Text {
    type Value = String;

    fn read(&self, field: &Field<'_>) -> Option<String> {
        let scalar = field.scalar("a text")?;
        if scalar.typed && scalar::is_typed(&scalar.text) {
            let found = scalar::kind(&scalar.text);
            field.problem(format!("expected a text, found {found}; put it in quotes"));
            return None;
        }
        if scalar.text.chars().any(char::is_control) {
            field.problem("a text with a control character in it; remove that character");
            return None;
        }
        Some(scalar.text.into_owned())
    }

    fn write(&self, value: &String) -> Yaml {
        Yaml::Text(value.clone())
    }

    fn shape(&self) -> Shape {
        Shape::Text(self.0)
    }
}

/// A text that `parse` makes sense of.
pub(in crate::config) struct Parsed<T> {
    /// What the text is, for the reference: `IP:PORT`.
    pub(in crate::config) what: &'static str,
    /// The value, or a sentence that says what to write and does not repeat the text.
    pub(in crate::config) parse: fn(&str) -> Result<T, String>,
}

impl<T: ToString> Form for Parsed<T> {
    type Value = T;

    fn read(&self, field: &Field<'_>) -> Option<T> {
        let scalar = field.scalar(self.what)?;
        (self.parse)(&scalar.text).or_else(|why| field.wrong(&scalar, why).ok_or(())).ok()
    }

    fn write(&self, value: &T) -> Yaml {
        Yaml::Text(value.to_string())
    }

    fn shape(&self) -> Shape {
        Shape::Text(self.what)
    }
}

/// The path of a directory, absolute or from where the program is started.
pub(in crate::config) struct Directory;

impl Form for Directory {
    type Value = PathBuf;

    fn read(&self, field: &Field<'_>) -> Option<PathBuf> {
        let text = Text("").read(field)?;
        if text.trim().is_empty() {
            field.problem("an empty path; name a directory, for example /var/lib/chainspan");
            return None;
        }
        Some(PathBuf::from(text))
    }

    fn write(&self, value: &PathBuf) -> Yaml {
        Yaml::Text(value.to_string_lossy().into_owned())
    }

    fn shape(&self) -> Shape {
        Shape::Text("path of a directory")
    }
}
