//! YAML text into a tree in which every key and value knows its place in the file.
//!
//! The parser's events are folded with a stack of our own, so hostile nesting costs a message and not the stack.
//! Nothing here knows what the keys mean; scalars keep their text, because what `30` is depends on who asks.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use super::error::{Mark, Problem};
use super::scalar;

/// Deeper than any key of ours by far.
const MAX_DEPTH: usize = 32;
/// The most values, keys included: bounds what aliases of aliases may blow up to.
const MAX_NODES: usize = 100_000;
/// The most bytes of text: bounds what aliases of long texts may blow up to.
const MAX_TEXT: usize = 4 << 20;
/// The longest key, bytes: keys are repeated in the paths of all that is below them.
const MAX_KEY: usize = 256;

/// A value and where it begins.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) at: Mark,
    pub(super) value: NodeValue,
}

/// What a value is before anybody has asked for a type.
#[derive(Clone, Debug)]
pub(super) enum NodeValue {
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
        matches!(&self.value, NodeValue::Scalar { text, plain: true } if scalar::is_null(text))
    }

    /// What the value looks like, for `found …` in an error.
    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            NodeValue::List(_) => "a list",
            NodeValue::Map(_) => "keys and values",
            NodeValue::Scalar { text, plain: true } => scalar::kind(text),
            NodeValue::Scalar { .. } => "a text",
        }
    }

    /// How many values there are in this one, and how many bytes of text.
    fn size(&self) -> (usize, usize) {
        let sum = |(nodes, text), (more_nodes, more_text)| (nodes + more_nodes, text + more_text);
        match &self.value {
            NodeValue::Scalar { text, .. } => (1, text.len()),
            NodeValue::List(items) => items.iter().map(Self::size).fold((1, 0), sum),
            NodeValue::Map(entries) => {
                entries.iter().map(|(key, node)| sum((1, key.text.len()), node.size())).fold((1, 0), sum)
            }
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
    Map {
        entries: Vec<(Key, Node)>,
        /// The line of each key.
        lines: HashMap<String, usize>,
        /// The key whose value comes next.
        key: Option<Key>,
    },
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
    let braces = lines(text).nth(at.line - 1).is_some_and(|line| line.contains("${"));
    let hint = if braces { "; between { } or [ ] a \"${env:NAME}\" needs quotes around it" } else { "" };
    Problem::new(at, "", format!("not valid YAML: {}{hint}", error.info()))
}

/// The lines of `text` as the parser counts them: a carriage return alone ends one, too (YAML 1.2.2, section 5.4).
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('\r'))
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
    text: usize,
    problems: Vec<Problem>,
}

impl Tree {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        let at = mark(span.start);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.no_tag(tag.is_some(), at)?;
                let value = NodeValue::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain };
                self.close(Node { at, value }, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.no_tag(tag.is_some(), at)?;
                self.enter(Open { at, anchor, body: Body::List(Vec::new()) })
            }
            Event::MappingStart(anchor, tag) => {
                self.no_tag(tag.is_some(), at)?;
                self.enter(Open {
                    at,
                    anchor,
                    body: Body::Map { entries: Vec::new(), lines: HashMap::new(), key: None },
                })
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(Open { at, anchor, body }) = self.open.pop() else { return Ok(()) };
                let value = match body {
                    Body::List(items) => NodeValue::List(items),
                    Body::Map { entries, .. } => NodeValue::Map(entries),
                };
                self.close(Node { at, value }, anchor)
            }
            Event::Alias(anchor) => match self.anchors.remove(&anchor) {
                Some(node) => {
                    // Counted before it is copied.
                    let (nodes, text) = node.size();
                    self.grow(at, nodes, text)?;
                    let copy = Node { at, value: node.value.clone() };
                    self.anchors.insert(anchor, node);
                    self.close(copy, 0)
                }
                None => Err(Problem::new(at, self.path(), "an alias inside its own anchor; write the value instead")),
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
        if tagged {
            Err(Problem::new(at, self.path(), "YAML tags have no meaning here; remove the tag"))
        } else {
            Ok(())
        }
    }

    fn enter(&mut self, open: Open) -> Result<(), Problem> {
        if let Some(Open { body: Body::Map { key: None, .. }, .. }) = self.open.last() {
            return Err(Problem::new(open.at, self.path(), "a list or mapping as a key; keys are names"));
        }
        if self.open.len() == MAX_DEPTH {
            return Err(Problem::new(
                open.at,
                "",
                format!("nested deeper than {MAX_DEPTH} levels; no key is that deep"),
            ));
        }
        self.open.push(open);
        Ok(())
    }

    /// A whole value has been read: it belongs to what is open, or is the document.
    fn close(&mut self, node: Node, anchor: usize) -> Result<(), Problem> {
        let text = if let NodeValue::Scalar { text, .. } = &node.value { text.len() } else { 0 };
        self.grow(node.at, 1, text)?;
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        let (entries, lines, slot) = match &mut open.body {
            Body::Map { entries, lines, key } => (entries, lines, key),
            Body::List(items) => {
                items.push(node);
                return Ok(());
            }
        };
        let Some(key) = slot.take() else {
            return match node.value {
                NodeValue::Scalar { text, .. } if text.len() <= MAX_KEY => {
                    *slot = Some(Key { at: node.at, text });
                    Ok(())
                }
                NodeValue::Scalar { .. } => Err(Problem::new(
                    node.at,
                    self.path(),
                    format!("a key longer than {MAX_KEY} bytes; keys are names"),
                )),
                _ => Err(Problem::new(node.at, self.path(), "a list or mapping as a key; keys are names")),
            };
        };
        match lines.get(&key.text).copied() {
            Some(line) => {
                let mut path = self.path();
                path.push_str(if path.is_empty() { "" } else { "." });
                path.push_str(&key.text);
                let text = format!("named twice, first on line {line}; keep one of them");
                self.problems.push(Problem::new(key.at, path, text));
            }
            None => {
                lines.insert(key.text.clone(), key.at.line);
                entries.push((key, node));
            }
        }
        Ok(())
    }

    /// Counts `nodes` values with `text` bytes of text.
    fn grow(&mut self, at: Mark, nodes: usize, text: usize) -> Result<(), Problem> {
        self.nodes += nodes;
        self.text += text;
        if self.nodes > MAX_NODES {
            return Err(Problem::new(
                at,
                "",
                format!("more than {MAX_NODES} values once aliases are filled in; remove some"),
            ));
        }
        if self.text > MAX_TEXT {
            return Err(Problem::new(at, "", "more than 4 MiB of text once aliases are filled in; remove some"));
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
