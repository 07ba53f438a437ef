//! A table that fits the terminal; in a pipe nothing is cut.

use std::io::IsTerminal as _;

use crate::cli::demo::format::fit;

/// Space between columns.
const GAP: &str = "  ";
/// No column gets narrower than this for the sake of others.
const NARROWEST: usize = 6;

/// A column: its head, and whether numbers stand in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    head: &'static str,
    number: bool,
}

impl Column {
    /// Of texts, which may be cut.
    pub(super) const fn text(head: &'static str) -> Self {
        Self { head, number: false }
    }

    /// Of numbers: to the right, never cut.
    pub(super) const fn number(head: &'static str) -> Self {
        Self { head, number: true }
    }
}

/// Rows in columns. What is printed first decides how wide the columns are.
#[derive(Debug)]
pub(super) struct Table {
    columns: &'static [Column],
    room: usize,
    widths: Option<Vec<usize>>,
}

impl Table {
    /// For stdout.
    pub(super) fn new(columns: &'static [Column]) -> Self {
        let terminal = std::io::stdout().is_terminal().then(|| terminal_size::terminal_size_of(std::io::stdout()));
        let room = match terminal {
            Some(Some((terminal_size::Width(width), _))) => usize::from(width),
            Some(None) => 80,
            None => usize::MAX,
        };
        Self { columns, room, widths: None }
    }

    /// The rows as lines, below their heads when these are the first; nothing for none.
    pub(super) fn print(&mut self, rows: impl Iterator<Item = Vec<String>>) -> String {
        let rows: Vec<Vec<String>> = rows.collect();
        if rows.is_empty() {
            return String::new();
        }
        let mut text = String::new();
        let widths = match &self.widths {
            Some(widths) => widths,
            None => {
                let widths = widths(self.columns, &rows, self.room);
                let heads: Vec<String> = self.columns.iter().map(|column| column.head.to_owned()).collect();
                text += &line(self.columns, &heads, &widths);
                self.widths.insert(widths)
            }
        };
        for row in &rows {
            text += &line(self.columns, row, widths);
        }
        text
    }
}

fn line(columns: &[Column], cells: &[String], widths: &[usize]) -> String {
    let cell = |((text, width), column): ((&String, &usize), &Column)| {
        if column.number { format!("{text:>width$}") } else { fit(text, *width) }
    };
    let cells: Vec<String> = cells.iter().zip(widths).zip(columns).map(cell).collect();
    format!("{}\n", cells.join(GAP).trim_end())
}

/// As wide as the widest cell; where that is too much, the widest texts give way first.
fn widths(columns: &[Column], rows: &[Vec<String>], room: usize) -> Vec<usize> {
    let length = |text: &str| text.chars().count();
    let widest =
        |(at, column): (usize, &Column)| rows.iter().map(|row| length(&row[at])).fold(length(column.head), usize::max);
    let mut widths: Vec<usize> = columns.iter().enumerate().map(widest).collect();
    let gaps = GAP.len() * columns.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > room {
        let over = widths.iter().sum::<usize>() + gaps - room;
        let texts = columns.iter().zip(&mut widths).filter(|(column, _)| !column.number).map(|(_, width)| width);
        let mut texts: Vec<&mut usize> = texts.collect();
        texts.sort_unstable_by_key(|width| std::cmp::Reverse(**width));
        let second = texts.get(1).map_or(0, |width| **width);
        let Some(widest) = texts.into_iter().next().filter(|width| **width > NARROWEST) else { break };
        // Down to the next, or as far as needed; one at least, so that this ends.
        let spare = (*widest - second.max(NARROWEST)).max(1);
        *widest -= over.min(spare);
    }
    widths
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[Column] = &[Column::number("ID"), Column::text("NAME"), Column::text("MESSAGE")];

    fn row(id: &str, name: &str, message: &str) -> Vec<String> {
        [id, name, message].map(str::to_owned).to_vec()
    }

    /// Whatever the cells, no line is wider than the terminal while the columns have something to give; numbers stay
    /// whole; without a terminal nothing is cut.
    #[test]
    fn tables_fit() {
        let rows = vec![row("1234567", "a rather long name, it is", &"long ".repeat(50)), row("1", "n", "m")];
        for room in 27..100 {
            let mut table = Table { columns: COLUMNS, room, widths: None };
            let text = table.print(rows.clone().into_iter());
            assert!(text.lines().all(|line| line.chars().count() <= room), "{room}:\n{text}");
            assert!(text.contains("1234567  a r"), "{text}");
            assert_eq!(text.lines().count(), 3);
        }
        let mut table = Table { columns: COLUMNS, room: usize::MAX, widths: None };
        let text = table.print(rows.into_iter());
        assert!(text.contains("a rather long name, it is") && text.contains(&"long ".repeat(49)), "{text}");
        assert_eq!(table.print(vec![row("2", "x", "y")].into_iter()).lines().count(), 1, "heads only once");
        assert_eq!(table.print(std::iter::empty()), "");
    }
}
