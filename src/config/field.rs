//! One value of the file, asked for as what it should be.
//!
//! Values that came from the environment, and values that may hold a password, are never repeated in a problem.

use std::borrow::Cow;
use std::cell::Cell;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::error::Mark;
use super::reader::{Reader, Section, suggest};
use super::yaml::{Node, Value};
use super::{env, units};

/// One value of the file and what is known about its place.
pub(super) struct Field<'a> {
    reader: &'a Reader<'a>,
    path: String,
    key_at: Mark,
    node: &'a Node,
    broken: Cell<bool>,
}

impl<'a> Field<'a> {
    pub(super) fn new(reader: &'a Reader<'a>, path: String, key_at: Mark, node: &'a Node) -> Self {
        Self { reader, path, key_at, node, broken: Cell::new(false) }
    }

    pub(super) fn at(&self) -> Mark {
        if self.node.is_null() { self.key_at } else { self.node.at }
    }

    /// Reports a problem of this value.
    pub(super) fn problem(&self, text: impl Into<String>) {
        if !self.broken.replace(true) {
            self.reader.problem(self.at(), &self.path, text);
        }
    }

    /// Reports a problem of the key and not of its value.
    pub(super) fn key_problem(&self, text: impl Into<String>) {
        self.reader.problem(self.key_at, &self.path, text);
    }

    /// The value as a mapping.
    pub(super) fn section(&self) -> Section<'a> {
        Section::open(self.reader, self.path.clone(), self.key_at, Some(self.node))
    }

    /// The items of a list, each with its own place.
    pub(super) fn items(&self) -> Option<Vec<Field<'a>>> {
        let Value::List(items) = &self.node.value else {
            self.problem(format!("expected a list, for example [a, b]; found {}", kind(self.node)));
            return None;
        };
        let item = |node: &'a Node| Field::new(self.reader, self.path.clone(), node.at, node);
        Some(items.iter().map(item).collect())
    }

    /// `[]` or nothing at all.
    pub(super) fn is_empty_list(&self) -> bool {
        self.node.is_null() || matches!(&self.node.value, Value::List(items) if items.is_empty())
    }

    /// A text. Plain numbers and truth values are refused: they become text in quotes.
    pub(super) fn text(&self) -> Option<String> {
        let scalar = self.scalar("a text")?;
        if scalar.typed && is_other_type(&scalar.text) {
            self.problem(format!("expected a text, found {}; put it in quotes", kind(self.node)));
            return None;
        }
        if scalar.text.chars().any(char::is_control) {
            self.problem("a text with a control character in it; remove that character");
            return None;
        }
        Some(scalar.text.into_owned())
    }

    /// A whole number in `range`.
    pub(super) fn integer(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let scalar = self.scalar("a whole number")?;
        let number = scalar.number.then(|| whole(&scalar.text)).flatten();
        match number {
            Some(number) if u64::try_from(number).is_ok_and(|number| range.contains(&number)) => {
                u64::try_from(number).ok()
            }
            Some(_) => self.wrong(&scalar, format!("must be {} to {}", range.start(), range.end())),
            None if !scalar.number && whole(&scalar.text).is_some() => {
                self.wrong(&scalar, "expected a whole number, found a text; remove the quotes".to_owned())
            }
            None => self.wrong(&scalar, format!("expected a whole number from {} to {}", range.start(), range.end())),
        }
    }

    /// The same, as what the machine counts with.
    pub(super) fn count(&self, range: RangeInclusive<u64>) -> Option<usize> {
        self.integer(range).and_then(|number| usize::try_from(number).ok())
    }

    /// A share from 0 to 1.
    pub(super) fn ratio(&self) -> Option<f64> {
        let scalar = self.scalar("a number")?;
        match scalar.text.parse::<f64>() {
            Ok(ratio) if scalar.number && (0.0..=1.0).contains(&ratio) => Some(ratio),
            _ => self.wrong(&scalar, "expected a number from 0 to 1, for example 0.05".to_owned()),
        }
    }

    /// `true` or `false`.
    pub(super) fn truth(&self) -> Option<bool> {
        let scalar = self.scalar("true or false")?;
        match &*scalar.text {
            "true" | "True" | "TRUE" if scalar.number => Some(true),
            "false" | "False" | "FALSE" if scalar.number => Some(false),
            _ => self.wrong(&scalar, "expected true or false".to_owned()),
        }
    }

    /// A duration such as `1m30s` in `range`.
    pub(super) fn duration(&self, range: RangeInclusive<Duration>) -> Option<Duration> {
        let scalar = self.scalar("a duration")?;
        match units::parse_duration(&scalar.text) {
            Ok(duration) if range.contains(&duration) => Some(duration),
            Ok(_) => {
                let [low, high] = [range.start(), range.end()].map(|bound| units::format_duration(*bound));
                self.wrong(&scalar, format!("must be {low} to {high}"))
            }
            Err(why) => self.wrong(&scalar, why.to_owned()),
        }
    }

    /// A size such as `1MiB` in `range` of bytes.
    pub(super) fn size(&self, range: RangeInclusive<u64>) -> Option<usize> {
        let scalar = self.scalar("a size")?;
        match units::parse_size(&scalar.text) {
            Ok(bytes) if range.contains(&bytes) => usize::try_from(bytes).ok(),
            Ok(_) => {
                let [low, high] = [range.start(), range.end()].map(|bound| units::format_size(*bound));
                self.wrong(&scalar, format!("must be {low} to {high}"))
            }
            Err(why) => self.wrong(&scalar, why.to_owned()),
        }
    }

    /// Whatever `parse` makes of the text; its error is a sentence that does not repeat the text.
    pub(super) fn parse<T>(&self, wanted: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let scalar = self.scalar(wanted)?;
        parse(&scalar.text).or_else(|why| self.wrong(&scalar, why).ok_or(())).ok()
    }

    /// One of the names in `table`.
    pub(super) fn one_of<T: Copy>(&self, table: &[(&'static str, T)]) -> Option<T> {
        let scalar = self.scalar("a name")?;
        match table.iter().find(|(name, _)| *name == scalar.text) {
            Some((_, value)) => Some(*value),
            None => {
                let hint = suggest(&scalar.text, table.iter().map(|(name, _)| *name), "the values are");
                self.wrong(&scalar, format!("unknown value; {hint}"))
            }
        }
    }

    /// Reports `why`, preceded by the value where that gives nothing away.
    fn wrong<T>(&self, scalar: &Scalar<'_>, why: String) -> Option<T> {
        if scalar.substituted || scalar.text.contains('@') || scalar.text.chars().count() > 60 {
            self.problem(why);
        } else {
            self.problem(format!("\"{}\": {why}", scalar.text.escape_debug()));
        }
        None
    }

    fn scalar(&self, wanted: &str) -> Option<Scalar<'a>> {
        let Value::Scalar { text, plain } = &self.node.value else {
            self.problem(format!("expected {wanted}, found {}", kind(self.node)));
            return None;
        };
        if self.node.is_null() {
            self.problem("no value; give one, or remove the key for its default");
            return None;
        }
        match env::expand(text, self.reader.env) {
            Ok(expanded) => {
                let substituted = text.contains("${");
                Some(Scalar {
                    text: expanded,
                    typed: *plain && !substituted,
                    number: *plain || substituted,
                    substituted,
                })
            }
            Err(why) => {
                self.problem(why);
                None
            }
        }
    }
}

/// A scalar after substitution. What came from the environment has whatever type is wanted, as in the Collector.
struct Scalar<'a> {
    text: Cow<'a, str>,
    /// Written plainly in the file, so that `5` is a number and not a text.
    typed: bool,
    /// May be read as a number or a truth value.
    number: bool,
    substituted: bool,
}

/// A whole number of YAML 1.2: decimal, `0x` or `0o`.
fn whole(text: &str) -> Option<i128> {
    let digits = |text: &str, radix| {
        if text.starts_with(['+', '-']) { None } else { i128::from_str_radix(text, radix).ok() }
    };
    match (text.strip_prefix("0x"), text.strip_prefix("0o")) {
        (Some(hex), _) => digits(hex, 16),
        (_, Some(octal)) => digits(octal, 8),
        _ => text.parse().ok(),
    }
}

fn is_other_type(text: &str) -> bool {
    let number = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'))
        && (whole(text).is_some() || text.parse::<f64>().is_ok());
    number || matches!(text, "true" | "True" | "TRUE" | "false" | "False" | "FALSE")
}

/// What a value looks like, for `found …`.
pub(super) fn kind(node: &Node) -> &'static str {
    match &node.value {
        Value::List(_) => "a list",
        Value::Map(_) => "keys and values",
        Value::Scalar { text, plain: true } if whole(text).is_some() => "a number",
        Value::Scalar { text, plain: true } if matches!(text.to_ascii_lowercase().as_str(), "true" | "false") => {
            "true or false"
        }
        Value::Scalar { text, plain: true } if is_other_type(text) => "a number",
        Value::Scalar { .. } if node.is_null() => "nothing",
        Value::Scalar { .. } => "a text",
    }
}

/// Whether plain `text` would be read as something else than this text.
pub(super) fn needs_quotes(text: &str) -> bool {
    is_other_type(text) || matches!(text.to_ascii_lowercase().as_str(), "null" | "true" | "false")
}
