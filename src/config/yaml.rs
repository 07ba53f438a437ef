//! YAML text into a tree in which every key and value knows its place in the file.
//!
//! The parser's events are folded with a stack of our own, so hostile nesting costs a message and not the stack.
//! Nothing here knows what the keys mean; scalars keep their text, because what `30` is depends on who asks.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use super::error::{Mark, Problem};

/// Deeper than any key of ours by far.
const MAX_DEPTH: usize = 32;
/// Bounds what aliases of aliases may blow up to.
const MAX_NODES: usize = 100_000;

/// A value and where it begins.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) at: Mark,
    pub(super) value: Value,
}

/// What a value is before anybody has asked for a type.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// `plain`: written without quotes, so that it may be a number, a truth value or null.
    Scalar { text: String, plain: bool },
    /// `[a, b]`.
    List(Vec<Node>),
    /// `{a: b}`, in the order of the file; each key once.
    Map(Vec<(Key, Node)>),
}

/// A key and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) at: Mark,
    pub(super) text: String,
}

impl Node {
    /// Nothing was written: `key:`, `key: ~` or `key: null`.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    fn count(&self) -> usize {
        1 + match &self.value {
            Value::Scalar { .. } => 0,
            Value::List(items) => items.iter().map(Self::count).sum(),
            Value::Map(entries) => entries.iter().map(|(_, node)| node.count()).sum(),
        }
    }
}

/// A list or mapping whose end has not been seen.
struct Open {
    at: Mark,
    anchor: usize,
    body: Body,
}

enum Body {
    List(Vec<Node>),
    Map { entries: Vec<(Key, Node)>, key: Option<Key> },
}

/// Reads one document. `None`: the file holds nothing but comments.
///
/// # Errors
/// The syntax error at which the parser gave up, or every duplicate key of the file.
pub(super) fn parse(text: &str) -> Result<Option<Node>, Vec<Problem>> {
    let mut tree = Tree::default();
    let mut parser = Parser::new_from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
    while let Some(event) = parser.next_event() {
        match event.map_err(|error| syntax(&error, text)).and_then(|(event, span)| tree.take(event, span)) {
            Ok(()) => {}
            Err(problem) => {
                tree.problems.push(problem);
                return Err(tree.problems);
            }
        }
    }
    if tree.problems.is_empty() { Ok(tree.root) } else { Err(tree.problems) }
}

fn syntax(error: &ScanError, text: &str) -> Problem {
    let at = mark(*error.marker());
    // `{a: ${env:B}}` is how everybody writes it first.
    let braces = text.lines().nth(at.line - 1).is_some_and(|line| line.contains("${"));
    let hint = if braces { "; between { } or [ ] a \"${env:NAME}\" needs quotes around it" } else { "" };
    Problem::new(at, "", format!("not valid YAML: {}{hint}", error.info()))
}

fn mark(marker: saphyr_parser::Marker) -> Mark {
    Mark { line: marker.line().max(1), column: marker.col() + 1 }
}

#[derive(Default)]
struct Tree {
    root: Option<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    problems: Vec<Problem>,
}

impl Tree {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        let at = mark(span.start);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.no_tag(tag.is_some(), at)?;
                let value = Value::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain };
                self.close(Node { at, value }, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.no_tag(tag.is_some(), at)?;
                self.enter(Open { at, anchor, body: Body::List(Vec::new()) })
            }
            Event::MappingStart(anchor, tag) => {
                self.no_tag(tag.is_some(), at)?;
                self.enter(Open { at, anchor, body: Body::Map { entries: Vec::new(), key: None } })
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(Open { at, anchor, body }) = self.open.pop() else { return Ok(()) };
                let value = match body {
                    Body::List(items) => Value::List(items),
                    Body::Map { entries, .. } => Value::Map(entries),
                };
                self.close(Node { at, value }, anchor)
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some(node) => {
                    self.nodes += node.count();
                    self.close(Node { at, ..node }, 0)
                }
                None => Err(Problem::new(at, self.path(), "an alias inside its own anchor; write the value out")),
            },
            Event::DocumentStart(_) if self.root.is_some() => {
                Err(Problem::new(at, "", "a second YAML document; keep one configuration in a file"))
            }
            Event::DocumentStart(_) | Event::DocumentEnd | Event::StreamStart | Event::StreamEnd | Event::Nothing => {
                Ok(())
            }
        }
    }

    fn no_tag(&self, tagged: bool, at: Mark) -> Result<(), Problem> {
        if tagged { Err(Problem::new(at, self.path(), "YAML tags have no meaning here; remove it")) } else { Ok(()) }
    }

    fn enter(&mut self, open: Open) -> Result<(), Problem> {
        if let Some(Open { body: Body::Map { key: None, .. }, .. }) = self.open.last() {
            return Err(Problem::new(open.at, self.path(), "a list or mapping as a key; keys are names"));
        }
        if self.open.len() == MAX_DEPTH {
            return Err(Problem::new(open.at, "", format!("nested deeper than {MAX_DEPTH} levels")));
        }
        self.open.push(open);
        Ok(())
    }

    /// A whole value has been read: it belongs to what is open, or is the document.
    fn close(&mut self, node: Node, anchor: usize) -> Result<(), Problem> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(Problem::new(
                node.at,
                "",
                format!("more than {MAX_NODES} values once aliases are written out"),
            ));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let path = self.path();
        match self.open.last_mut().map(|open| &mut open.body) {
            None => self.root = Some(node),
            Some(Body::List(items)) => items.push(node),
            Some(Body::Map { entries, key: slot }) => match slot.take() {
                None => {
                    let Value::Scalar { text, .. } = node.value else {
                        return Err(Problem::new(node.at, path, "a list or mapping as a key; keys are names"));
                    };
                    *slot = Some(Key { at: node.at, text });
                }
                Some(key) => match entries.iter().find(|(earlier, _)| earlier.text == key.text) {
                    Some((earlier, _)) => {
                        let text = format!("named twice, first on line {}; keep one of them", earlier.at.line);
                        self.problems.push(Problem::new(key.at, path, text));
                    }
                    None => entries.push((key, node)),
                },
            },
        }
        Ok(())
    }

    /// The dotted path of the keys that are open.
    fn path(&self) -> String {
        let keys = self.open.iter().filter_map(|open| match &open.body {
            Body::Map { key: Some(key), .. } => Some(key.text.as_str()),
            _ => None,
        });
        keys.collect::<Vec<_>>().join(".")
    }
}
