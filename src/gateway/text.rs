//! Finding a failure's reason in the text of an error, with one automaton per family however many texts there are.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

/// A text of a reason table. All are compared with ASCII case ignored, anywhere in the error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// This text. `<n>` in it stands for one or more digits.
    Part(&'static str),
    /// This text, not as the end of a longer word: `known transaction` is not in `unknown transaction`.
    Word(&'static str),
    /// This JSON-RPC error code as a whole number, in the text or in an attribute of its own.
    Code(i32),
    /// What wraps the error proper (`execution reverted: Unauthorized()`): it counts where nothing else matches. Of
    /// several wrappers the first of the table wins.
    Wrapper(&'static str),
}

/// The marker for digits in a [`Text::Part`].
const DIGITS: &str = "<n>";

/// One family's texts as an automaton.
#[derive(Debug)]
pub(super) struct Matcher {
    automaton: AhoCorasick,
    /// Index: the automaton's pattern.
    needles: Vec<Needle>,
}

#[derive(Debug)]
struct Needle {
    /// The table's row; meaningless for [`Confirmation::Restart`].
    row: usize,
    check: Confirmation,
}

/// What is left to compare when the automaton has found its part of a text.
#[derive(Debug)]
enum Confirmation {
    Nothing,
    StartOfWord,
    WholeNumber,
    /// Digits, then this.
    DigitsThen(&'static str),
    Wrapper,
    /// What was found so far does not count: the error proper comes after this text.
    Restart,
}

/// How good a match is, to be compared: what is longer is better, and then what stands earlier in the table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Score {
    length: usize,
    row: std::cmp::Reverse<usize>,
}

impl Matcher {
    /// An automaton over the texts of `rows`, in the order of the table. After a text of `restart` everything before it
    /// is disregarded.
    pub(super) fn new(rows: impl Iterator<Item = &'static [Text]>, restart: &[&'static str]) -> Self {
        let mut patterns: Vec<String> = Vec::new();
        let mut needles = Vec::new();
        for (row, texts) in rows.enumerate() {
            for text in texts {
                let (pattern, check) = match *text {
                    Text::Part(text) => match text.split_once(DIGITS) {
                        None => (text.to_owned(), Confirmation::Nothing),
                        Some((head, tail)) => (head.to_owned(), Confirmation::DigitsThen(tail)),
                    },
                    Text::Word(text) => (text.to_owned(), Confirmation::StartOfWord),
                    Text::Code(code) => (code.to_string(), Confirmation::WholeNumber),
                    Text::Wrapper(text) => (text.to_owned(), Confirmation::Wrapper),
                };
                patterns.push(pattern);
                needles.push(Needle { row, check });
            }
        }
        for &text in restart {
            patterns.push(text.to_owned());
            needles.push(Needle { row: 0, check: Confirmation::Restart });
        }
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::DFA))
            .build(&patterns)
            .expect("cannot fail: the tables are constants of a few kilobytes, and a test builds each of them");
        Self { automaton, needles }
    }

    /// The row of the longest text that `text` contains, among the rows that `accept` takes.
    pub(super) fn find(&self, text: &[u8], accept: impl Fn(usize) -> bool) -> Option<usize> {
        let mut best: Option<Score> = None;
        let mut from = 0;
        for found in self.automaton.find_overlapping_iter(text) {
            if found.start() < from {
                continue;
            }
            let needle = &self.needles[found.pattern().as_usize()];
            if matches!(needle.check, Confirmation::Restart) {
                (best, from) = (None, found.end());
                continue;
            }
            if let Some(length) = needle.check.length(text, found.start(), found.end())
                && accept(needle.row)
            {
                best = best.max(Some(Score { length, row: std::cmp::Reverse(needle.row) }));
            }
        }
        best.map(|score| score.row.0)
    }
}

impl Confirmation {
    /// The length of the whole match that begins at `start..end`; `None` if the rest does not match; 0 for a wrapper.
    fn length(&self, text: &[u8], start: usize, end: usize) -> Option<usize> {
        let before = start.checked_sub(1).map(|at| text[at]);
        let rest = &text[end..];
        match self {
            Self::Nothing => Some(end - start),
            Self::StartOfWord => (!before.is_some_and(|byte| byte.is_ascii_alphanumeric())).then_some(end - start),
            Self::WholeNumber => {
                let inside =
                    before.is_some_and(|byte| byte.is_ascii_digit()) || rest.first().is_some_and(u8::is_ascii_digit);
                (!inside).then_some(end - start)
            }
            Self::DigitsThen(tail) => {
                let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
                let after = rest.get(digits..digits + tail.len())?;
                (digits > 0 && after.eq_ignore_ascii_case(tail.as_bytes())).then_some(end - start + digits + tail.len())
            }
            Self::Wrapper | Self::Restart => Some(0),
        }
    }
}
