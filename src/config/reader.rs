//! Walking the tree of a file: every question that fails leaves a problem behind and the asker carries on with the
//! default, so that one pass finds every mistake of the file.
//!
//! Values that came from the environment, and values that may hold a password, are never repeated in a problem.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};

use super::env::{self, Env};
use super::error::{Mark, Problem, suggest};
use super::yaml::{Key, Node, NodeValue};

/// Collects the problems of one file.
pub(super) struct Reader<'a> {
    env: Env<'a>,
    problems: RefCell<Vec<Problem>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(env: Env<'a>) -> Self {
        Self { env, problems: RefCell::default() }
    }

    pub(super) fn problem(&self, at: Mark, path: impl Into<String>, text: impl Into<String>) {
        self.problems.borrow_mut().push(Problem::new(at, path, text));
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }
}

/// One mapping of the file, or the absence of one. Each key that is asked for becomes a known key;
/// [`Section::finish`] reports all others.
pub(super) struct Section<'a> {
    reader: &'a Reader<'a>,
    path: String,
    at: Mark,
    entries: &'a [(Key, Node)],
    known: RefCell<Vec<&'static str>>,
    refused: RefCell<Vec<&'a str>>,
}

impl<'a> Section<'a> {
    /// The mapping `node`; nothing and null are an empty one.
    pub(super) fn open(reader: &'a Reader<'a>, path: impl Into<String>, at: Mark, node: Option<&'a Node>) -> Self {
        let (path, mut entries) = (path.into(), &[][..]);
        match node {
            Some(Node { value: NodeValue::Map(map), .. }) => entries = map,
            Some(node) if !node.is_null() => {
                reader.problem(node.at, &path, format!("expected keys and values, found {}", node.kind()));
            }
            _ => {}
        }
        Self { reader, path, at, entries, known: RefCell::default(), refused: RefCell::default() }
    }

    /// Reports a problem of the section as a whole.
    pub(super) fn problem(&self, text: impl Into<String>) {
        self.reader.problem(self.at, &self.path, text);
    }

    /// All keys, for sections whose keys are names of the user's choice. They need no [`Section::finish`].
    pub(super) fn all(&self) -> impl Iterator<Item = (&'a Key, Field<'a>)> {
        self.entries.iter().map(|(key, node)| (key, self.field(key, node)))
    }

    /// The value of `key`, if the file has it.
    pub(super) fn get(&self, key: &'static str) -> Option<Field<'a>> {
        let mut known = self.known.borrow_mut();
        if !known.contains(&key) {
            known.push(key);
        }
        let (key, node) = self.entries.iter().find(|(name, _)| name.text == key)?;
        Some(self.field(key, node))
    }

    /// The mapping under `key`.
    pub(super) fn section(&self, key: &'static str) -> Section<'a> {
        match self.get(key) {
            Some(field) => field.section(),
            None => Self::open(self.reader, self.join(key), self.at, None),
        }
    }

    /// The value of `key` as `read` understands it; `default` when it is left out or wrong.
    pub(super) fn or<T>(&self, key: &'static str, default: T, read: impl FnOnce(&Field<'a>) -> Option<T>) -> T {
        self.get(key).and_then(|field| read(&field)).unwrap_or(default)
    }

    /// `key` exists elsewhere or later, but not here: `why` says what to do instead.
    pub(super) fn refuse(&self, key: &str, why: &str) {
        if let Some((key, _)) = self.entries.iter().find(|(name, _)| name.text == key) {
            self.refused.borrow_mut().push(&key.text);
            self.reader.problem(key.at, self.join(&key.text), why);
        }
    }

    /// Reports every key that nobody asked for.
    pub(super) fn finish(self) {
        let (known, refused) = (self.known.borrow(), self.refused.borrow());
        for (key, _) in self.entries {
            if !known.contains(&key.text.as_str()) && !refused.contains(&key.text.as_str()) {
                let hint = suggest(&key.text, known.iter().copied(), "the keys here are");
                self.reader.problem(key.at, self.join(&key.text), format!("unknown key; {hint}"));
            }
        }
    }

    fn field(&self, key: &'a Key, node: &'a Node) -> Field<'a> {
        Field { reader: self.reader, path: self.join(&key.text), key_at: key.at, node, broken: Cell::new(false) }
    }

    fn join(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

/// One value of the file and what is known about its place.
pub(super) struct Field<'a> {
    reader: &'a Reader<'a>,
    path: String,
    key_at: Mark,
    node: &'a Node,
    broken: Cell<bool>,
}

impl<'a> Field<'a> {
    /// Reports a problem of this value, unless it has one already.
    pub(super) fn problem(&self, text: impl Into<String>) {
        if !self.broken.replace(true) {
            let at = if self.node.is_null() { self.key_at } else { self.node.at };
            self.reader.problem(at, &self.path, text);
        }
    }

    /// Reports a problem of the key and not of its value.
    pub(super) fn key_problem(&self, text: impl Into<String>) {
        self.reader.problem(self.key_at, &self.path, text);
    }

    /// Reports `why`, preceded by the value where that gives nothing away.
    pub(super) fn wrong<T>(&self, scalar: &Scalar<'_>, why: impl Into<String>) -> Option<T> {
        let why = why.into();
        if scalar.substituted || scalar.text.contains('@') || scalar.text.chars().count() > 60 {
            self.problem(why);
        } else {
            self.problem(format!("\"{}\": {why}", scalar.text.escape_debug()));
        }
        None
    }

    /// The value as a mapping.
    pub(super) fn section(&self) -> Section<'a> {
        Section::open(self.reader, self.path.clone(), self.key_at, Some(self.node))
    }

    /// The items of a list, each with its own place.
    pub(super) fn items(&self) -> Option<Vec<Field<'a>>> {
        let NodeValue::List(items) = &self.node.value else {
            self.problem(format!("expected a list, for example [a, b]; found {}", self.node.kind()));
            return None;
        };
        let (reader, path) = (self.reader, &self.path);
        let item =
            |node: &'a Node| Field { reader, path: path.clone(), key_at: node.at, node, broken: Cell::default() };
        Some(items.iter().map(item).collect())
    }

    /// `[]` or nothing at all.
    pub(super) fn is_empty_list(&self) -> bool {
        self.node.is_null() || matches!(&self.node.value, NodeValue::List(items) if items.is_empty())
    }

    /// The value as a scalar with the environment filled in; `wanted` says in an error what it should have been.
    pub(super) fn scalar(&self, wanted: &str) -> Option<Scalar<'a>> {
        let NodeValue::Scalar { text, plain } = &self.node.value else {
            self.problem(format!("expected {wanted}, found {}", self.node.kind()));
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
pub(super) struct Scalar<'a> {
    pub(super) text: Cow<'a, str>,
    /// Written plainly in the file, so that `5` is a number and not a text.
    pub(super) typed: bool,
    /// May be read as a number or a truth value.
    pub(super) number: bool,
    substituted: bool,
}
