//! Where the demo is shown: colours and a table that redraws itself on a terminal, plain lines elsewhere.

use std::io::{IsTerminal as _, Write as _};

use crate::cli::format::count;

/// The most problems that are listed.
const MAX_PROBLEMS: usize = 20;

/// A colour of the terminal, as the number in its escape sequence.
#[derive(Clone, Copy, Debug)]
pub(super) struct Colour(&'static str);

impl Colour {
    pub(super) const BOLD: Self = Self("1");
    pub(super) const DIM: Self = Self("2");
    pub(super) const RED: Self = Self("31");
    pub(super) const GREEN: Self = Self("32");
    pub(super) const YELLOW: Self = Self("33");
}

/// Standard output.
pub(super) struct Screen {
    terminal: bool,
    colour: bool,
    /// Lines of the table that is on the terminal now.
    drawn: usize,
}

impl Screen {
    /// Looks whether stdout is a terminal, and whether `NO_COLOR` is set.
    pub(super) fn new() -> Self {
        let terminal = std::io::stdout().is_terminal();
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { terminal, colour: terminal && !no_color, drawn: 0 }
    }

    /// A terminal without colours.
    #[cfg(test)]
    pub(super) fn plain_terminal() -> Self {
        Self { terminal: true, colour: false, drawn: 0 }
    }

    pub(super) fn is_terminal(&self) -> bool {
        self.terminal
    }

    pub(super) fn paint(&self, text: &str, Colour(colour): Colour) -> String {
        if self.colour { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(super) fn write(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        // A closed stdout does not matter: the exit code still tells the result.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    /// Writes `lines` over those of the last call.
    pub(super) fn redraw(&mut self, lines: &[String]) {
        let mut text = String::new();
        if self.drawn > 0 {
            text += &format!("\x1b[{}A", self.drawn);
        }
        for line in lines {
            text += &format!("{line}\x1b[K\n");
        }
        text += "\x1b[J";
        self.drawn = lines.len();
        self.write(&text);
    }

    /// What runs, and where to look at it.
    pub(super) fn opening(&self, path: &str, pages: &[(&str, String)]) {
        let mut text = format!("{}  {path}\n", self.paint("chainspan demo", Colour::BOLD));
        for (page, url) in pages {
            text += &format!("  {page:<8} {url}\n");
        }
        self.write(&(text + "\n"));
    }

    /// The result, and what is wrong.
    pub(super) fn closing(&self, verdict: &str, problems: &[String]) {
        let colour = if problems.is_empty() { Colour::GREEN } else { Colour::RED };
        let mut text = format!("\n{}\n", self.paint(verdict, colour));
        for problem in problems.iter().take(MAX_PROBLEMS) {
            text += &format!("  {problem}\n");
        }
        if let Some(more @ 1..) = problems.len().checked_sub(MAX_PROBLEMS) {
            text += &format!("  … and {} more\n", count(more as u64));
        }
        self.write(&text);
    }
}
