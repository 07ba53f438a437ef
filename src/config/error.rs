//! What is wrong with a configuration file, all of it, each line naming the place and the fix.

use std::fmt;

/// What every refusal of a function of a later version says.
pub(super) const LATER: &str = "not available in this version; remove it";

/// Longer names are not compared: nobody misspells them, and comparing takes time and memory in proportion.
const LONGEST_COMPARED: usize = 64;

/// A place in the file. Lines and columns count from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Mark {
    /// The beginning of the file: where what is missing altogether is reported.
    pub(super) const START: Self = Self { line: 1, column: 1 };
}

/// One mistake: where, and what to do. Never holds a secret or a value from the environment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    at: Option<Mark>,
    path: String,
    text: String,
}

impl Problem {
    pub(super) fn new(at: Mark, path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { at: Some(at), path: path.into(), text: text.into() }
    }

    /// A mistake of the file as a whole, such as that it cannot be read.
    pub(super) fn of_file(text: impl Into<String>) -> Self {
        Self { at: None, path: String::new(), text: text.into() }
    }
}

/// Every mistake of one file, in the order of its lines. Printed one a line: `file:line:column: key: problem; hint`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors {
    file: String,
    problems: Vec<Problem>,
}

impl ConfigErrors {
    pub(super) fn new(file: impl Into<String>, mut problems: Vec<Problem>) -> Self {
        problems.sort();
        problems.dedup();
        Self { file: file.into(), problems }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Problem { at, path, text }) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}:", self.file)?;
            if let Some(Mark { line, column }) = at {
                write!(f, "{line}:{column}:")?;
            }
            if !path.is_empty() {
                write!(f, " {path}:")?;
            }
            write!(f, " {text}")?;
        }
        Ok(())
    }
}

/// `did you mean "x"?`, or the whole list when nothing is near.
pub(super) fn suggest<'n>(wrong: &str, names: impl Iterator<Item = &'n str>, list: &str) -> String {
    let names: Vec<&str> = names.collect();
    let compared = names.iter().filter(|_| wrong.len() <= LONGEST_COMPARED);
    let near = compared.map(|name| (strsim::damerau_levenshtein(wrong, name), name)).min();
    match near {
        Some((distance, name)) if distance <= 1 + name.len() / 4 => format!("did you mean \"{name}\"?"),
        _ if names.is_empty() => "remove it".to_owned(),
        _ => format!("{list} {}", names.join(", ")),
    }
}
