//! Tables on stdout, for every command that prints one: aligned columns that fit the terminal, whole rows in a pipe.

use std::io::IsTerminal as _;

/// Spaces between columns.
const GAP: usize = 2;
/// No text is cut to fewer characters than this; a terminal that is too narrow for it breaks the lines.
const MIN_WIDTH: usize = 6;
/// Taken where the terminal does not say how wide it is.
const DEFAULT_TERMINAL: usize = 80;

/// A column: its heading, and how its cells are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    heading: &'static str,
    kind: Kind,
    /// `None`: as wide as its widest cell.
    width: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Name,
    Number,
}

impl Column {
    /// Of texts: aligned left, cut where the terminal is too narrow.
    pub(crate) const fn text(heading: &'static str) -> Self {
        Self { heading, kind: Kind::Text, width: None }
    }

    /// The same, of names that Markdown sets as code.
    pub(crate) const fn name(heading: &'static str) -> Self {
        Self { heading, kind: Kind::Name, width: None }
    }

    /// Of numbers: aligned right, never cut.
    pub(crate) const fn number(heading: &'static str) -> Self {
        Self { heading, kind: Kind::Number, width: None }
    }

    /// The same column with a fixed width, for a table that is drawn again and again.
    pub(crate) const fn fixed(self, width: usize) -> Self {
        Self { width: Some(width), ..self }
    }
}

/// A table that is written in parts: the first part has the headings and decides how wide the columns are.
#[derive(Debug)]
pub(crate) struct Table {
    columns: &'static [Column],
    /// Spaces between columns.
    gap: usize,
    /// Characters in a line.
    line: usize,
    widths: Option<Vec<usize>>,
}

impl Table {
    /// For stdout: no line is longer than the terminal is wide; into a pipe or a file nothing is cut.
    pub(crate) fn new(columns: &'static [Column]) -> Self {
        let out = std::io::stdout();
        let line = if out.is_terminal() {
            terminal_size::terminal_size_of(out)
                .map_or(DEFAULT_TERMINAL, |(terminal_size::Width(width), _)| width.into())
        } else {
            usize::MAX
        };
        Self { columns, gap: GAP, line, widths: None }
    }

    /// Nothing is cut, on a terminal either.
    pub(crate) fn uncut(columns: &'static [Column]) -> Self {
        Self { columns, gap: GAP, line: usize::MAX, widths: None }
    }

    /// Of fixed columns, with one space between them.
    pub(crate) fn compact(columns: &'static [Column]) -> Self {
        Self { columns, gap: 1, line: usize::MAX, widths: None }
    }

    /// The rows as lines, below the headings when these are the first; nothing for no rows.
    pub(crate) fn print(&mut self, rows: impl IntoIterator<Item = Vec<String>>) -> String {
        let rows: Vec<Vec<String>> = rows.into_iter().collect();
        if rows.is_empty() {
            return String::new();
        }
        let Self { columns, gap, line: room, .. } = *self;
        let mut text = String::new();
        let widths = match &self.widths {
            Some(widths) => widths,
            None => {
                let widths = widths(columns, &rows, gap, room);
                let headings: Vec<String> = columns.iter().map(|column| column.heading.to_owned()).collect();
                text += &line(columns, &headings, &widths, gap);
                self.widths.insert(widths)
            }
        };
        for row in &rows {
            text += &line(columns, row, widths, gap);
        }
        text
    }
}

/// The same rows as a Markdown table.
pub(crate) fn markdown(columns: &[Column], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let headings: Vec<&str> = columns.iter().map(|column| column.heading).collect();
    let mut text = format!("| {} |\n|{}\n", headings.join(" | "), "---|".repeat(columns.len()));
    for row in rows {
        let cell = |(text, column): (&String, &Column)| match column.kind {
            Kind::Name => format!("`{text}`"),
            Kind::Text | Kind::Number => text.replace('|', "\\|"),
        };
        let cells: Vec<String> = row.iter().zip(columns).map(cell).collect();
        text += &format!("| {} |\n", cells.join(" | "));
    }
    text
}

fn line(columns: &[Column], cells: &[String], widths: &[usize], gap: usize) -> String {
    let cell = |((text, &width), column): ((&String, &usize), &Column)| match column.kind {
        Kind::Number => " ".repeat(width.saturating_sub(length(text))) + text,
        Kind::Text | Kind::Name => fit(text, width),
    };
    let cells: Vec<String> = cells.iter().zip(widths).zip(columns).map(cell).collect();
    format!("{}\n", cells.join(&" ".repeat(gap)).trim_end())
}

/// The text in exactly `width` columns, cut with an ellipsis or filled with spaces.
pub(crate) fn fit(text: &str, width: usize) -> String {
    let length = length(text);
    if length <= width {
        return text.to_owned() + &" ".repeat(width - length);
    }
    let mut cut: String = text.chars().take(width.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// Characters that take a place on the terminal: a colour (`ESC [ 31 m`) takes none.
fn length(text: &str) -> usize {
    let mut parts = text.split('\x1b');
    let plain = parts.next().map_or(0, |part| part.chars().count());
    plain + parts.map(|part| part.split_once('m').map_or(0, |(_, rest)| rest.chars().count())).sum::<usize>()
}

/// As wide as the widest cell; where a line is too short for that, the widest texts are cut first.
fn widths(columns: &[Column], rows: &[Vec<String>], gap: usize, line: usize) -> Vec<usize> {
    let widest = |(at, column): (usize, &Column)| {
        let cells = rows.iter().map(|row| length(&row[at]));
        column.width.unwrap_or_else(|| cells.fold(length(column.heading), usize::max))
    };
    let mut widths: Vec<usize> = columns.iter().enumerate().map(widest).collect();
    let gaps = gap * columns.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > line {
        let over = widths.iter().sum::<usize>() + gaps - line;
        let texts = columns.iter().zip(&mut widths);
        let texts = texts.filter(|(column, _)| column.kind != Kind::Number && column.width.is_none());
        let mut texts: Vec<&mut usize> = texts.map(|(_, width)| width).collect();
        texts.sort_unstable_by_key(|width| std::cmp::Reverse(**width));
        let second = texts.get(1).map_or(0, |width| **width);
        let Some(widest) = texts.into_iter().next().filter(|width| **width > MIN_WIDTH) else { break };
        // Down to the second widest, or as far as needed; by one at least, so that this ends.
        let spare = (*widest - second.max(MIN_WIDTH)).max(1);
        *widest -= over.min(spare);
    }
    widths
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[Column] = &[Column::number("ID"), Column::name("NAME"), Column::text("MESSAGE")];

    fn row(id: &str, name: &str, message: &str) -> Vec<String> {
        [id, name, message].map(str::to_owned).to_vec()
    }

    /// Whatever the cells, no line is wider than the terminal while a text can be cut; numbers stay whole; without a
    /// terminal nothing is cut.
    #[test]
    fn tables_fit() {
        let rows = vec![row("1234567", "a rather long name, it is", &"long ".repeat(50)), row("1", "n", "m")];
        for width in 27..100 {
            let mut table = Table { columns: COLUMNS, gap: GAP, line: width, widths: None };
            let text = table.print(rows.clone());
            assert!(text.lines().all(|line| line.chars().count() <= width), "{width}:\n{text}");
            assert!(text.contains("1234567  a r"), "{text}");
            assert_eq!(text.lines().count(), 3);
        }
        let mut table = Table::uncut(COLUMNS);
        let text = table.print(rows);
        assert!(text.contains("a rather long name, it is") && text.contains(&"long ".repeat(49)), "{text}");
        assert_eq!(table.print([row("2", "x", "y")]).lines().count(), 1, "headings only once");
        assert_eq!(table.print([]), "");
    }

    /// A colour moves nothing, and a fixed column is as wide as it says whatever is in it.
    #[test]
    fn colours_and_fixed_columns_stay_aligned() {
        const FIXED: &[Column] = &[Column::text("CHAIN").fixed(4), Column::number("OPS").fixed(6)];
        let rows = [["Optimism", "\x1b[31m12\x1b[0m"], ["Base", "1"]].map(|row| row.map(str::to_owned).to_vec());
        let text = Table::compact(FIXED).print(rows);
        assert_eq!(text, "CHA…    OPS\nOpt…     \x1b[31m12\x1b[0m\nBase      1\n");
    }

    /// Names are code, and a cell cannot end its column.
    #[test]
    fn markdown_is_escaped() {
        let text = markdown(COLUMNS, [row("1", "a.b", "one|two")]);
        assert_eq!(text, "| ID | NAME | MESSAGE |\n|---|---|---|\n| 1 | `a.b` | one\\|two |\n");
    }
}
