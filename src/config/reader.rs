//! Asking the tree for typed values: every question that fails leaves a problem behind and the asker carries on with
//! the default, so that one pass finds every mistake of the file.
//!
//! Values that came from the environment, and values that may hold a password, are never repeated in a problem.

use std::cell::RefCell;

use super::env::Env;
use super::error::{Mark, Problem};
use super::field::{Field, kind};
use super::yaml::{Key, Node, Value};

/// Collects the problems of one file.
pub(super) struct Reader<'a> {
    pub(super) env: Env<'a>,
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
            Some(Node { value: Value::Map(map), .. }) => entries = map,
            Some(node) if !node.is_null() => {
                reader.problem(node.at, &path, format!("expected keys and values, found {}", kind(node)));
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
        self.known.borrow_mut().push(key);
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
        Field::new(self.reader, self.join(&key.text), key.at, node)
    }

    fn join(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

/// `did you mean "x"?`, or the whole list when nothing is near.
pub(super) fn suggest<'n>(wrong: &str, names: impl Iterator<Item = &'n str>, list: &str) -> String {
    let names: Vec<&str> = names.collect();
    let near = names.iter().map(|name| (strsim::damerau_levenshtein(wrong, name), name)).min();
    match near {
        Some((distance, name)) if distance <= 1 + name.len() / 4 => format!("did you mean \"{name}\"?"),
        _ if names.is_empty() => "remove it".to_owned(),
        _ => format!("{list} {}", names.join(", ")),
    }
}
