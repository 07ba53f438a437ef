//! How the demo looks: a table that redraws itself on a terminal, plain lines elsewhere.

use std::io::{IsTerminal, Write};

use super::tally::{Tallies, Tally};
use crate::cli::format::{count, percent, seconds};
use crate::cli::table::{Column, Table, fit};
use chainspan_sim::{Verification, spec};

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";

/// Where the demo is drawn.
pub(super) struct Screen {
    terminal: bool,
    colour: bool,
    /// Lines of the table that is on the terminal now.
    drawn: usize,
}

/// What the live table shows besides the chains.
pub(super) struct Moment {
    pub(super) elapsed: u64,
    pub(super) seconds: u64,
    pub(super) spans: u64,
    pub(super) spans_per_second: f64,
}

impl Screen {
    /// Looks at stdout and `NO_COLOR`.
    pub(super) fn new() -> Self {
        let terminal = std::io::stdout().is_terminal();
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { terminal, colour: terminal && !plain, drawn: 0 }
    }

    /// Seconds between two pictures.
    pub(super) fn period(&self) -> u64 {
        if self.terminal { 1 } else { 3 }
    }

    fn paint(&self, text: &str, colour: &str) -> String {
        if self.colour { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn write(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        // Whoever closed our stdout has seen enough; the exit code still tells the result.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    /// What runs, and where to look.
    pub(super) fn opening(&self, way: &str, pages: &[(&str, String)]) {
        let mut text = format!("{}  {way}\n", self.paint("chainspan demo", BOLD));
        for (page, url) in pages {
            text += &format!("  {page:<8} {url}\n");
        }
        self.write(&(text + "\n"));
    }

    /// The live table; `before` is the last one, `apart` the seconds between them.
    pub(super) fn live(&mut self, moment: &Moment, now: &Tallies, before: &Tallies, apart: f64) {
        let rate = |chain: &str, tally: &Tally| {
            let earlier = before.get(chain).map_or(0, |tally| tally.operations);
            tally.operations.saturating_sub(earlier) as f64 / apart.max(1e-3)
        };
        let footer = format!(
            "{} of {} s   {} spans acknowledged   {} spans/s",
            moment.elapsed,
            moment.seconds,
            count(moment.spans),
            count(moment.spans_per_second as u64)
        );
        if !self.terminal {
            let mut text = footer + "\n";
            for (chain, tally) in ordered(now) {
                text += &format!(
                    "  {} ({chain}): {} ops/s, p50 {}, p99 {}, errors {}, quorum failures {}, most: {}\n",
                    name(chain),
                    count(rate(chain, tally) as u64),
                    time(tally.quantile(0.5)),
                    time(tally.quantile(0.99)),
                    percent(tally.failures, tally.operations),
                    percent(tally.quorum_failures, tally.aggregations),
                    tally.top_reason().unwrap_or("-"),
                );
            }
            return self.write(&text);
        }
        let mut lines = self.table(now, rate);
        lines.push(String::new());
        lines.push(footer);
        let mut text = String::new();
        if self.drawn > 0 {
            text += &format!("\x1b[{}A", self.drawn);
        }
        for line in &lines {
            text += &format!("{line}\x1b[K\n");
        }
        text += "\x1b[J";
        self.drawn = lines.len();
        self.write(&text);
    }

    /// One line per chain under a heading, at most 79 columns wide.
    fn table(&self, now: &Tallies, rate: impl Fn(&str, &Tally) -> f64) -> Vec<String> {
        const COLUMNS: &[Column] = &[
            Column::text("CHAIN").fixed(13),
            Column::number("ID").fixed(8),
            Column::number("OPS/S").fixed(6),
            Column::number("P50").fixed(7),
            Column::number("P99").fixed(7),
            Column::number("ERRORS").fixed(8),
            Column::number("NO QUORUM").fixed(9),
            Column::text("TOP REASON").fixed(14),
        ];
        let rows = ordered(now).into_iter().map(|(chain, tally)| {
            let errors = percent(tally.failures, tally.operations);
            let quorum = percent(tally.quorum_failures, tally.aggregations);
            vec![
                name(chain).to_owned(),
                if chain.parse::<u64>().is_ok() { chain.to_owned() } else { String::new() },
                count(rate(chain, tally) as u64),
                time(tally.quantile(0.5)),
                time(tally.quantile(0.99)),
                self.graded(&errors, tally.failures, tally.operations, 0.05),
                self.graded(&quorum, tally.quorum_failures, tally.aggregations, 0.02),
                tally.top_reason().unwrap_or("-").to_owned(),
            ]
        });
        let text = Table::compact(COLUMNS).print(rows);
        let lines = text.lines().enumerate();
        lines.map(|(at, line)| if at == 0 { self.paint(line, DIM) } else { line.to_owned() }).collect()
    }

    /// Green below half the limit, red above it.
    fn graded(&self, text: &str, part: u64, whole: u64, limit: f64) -> String {
        let ratio = part as f64 / whole.max(1) as f64;
        let colour = match ratio {
            r if r > limit => RED,
            r if r > limit / 2.0 => YELLOW,
            _ => GREEN,
        };
        self.paint(text, colour)
    }

    /// Truth and measurement of every chain, side by side.
    pub(super) fn side_by_side(&self, truth: &Tallies, measured: &Tallies) {
        let nothing = Tally::default();
        let mut chains: Tallies = measured.clone();
        chains.extend(truth.clone());
        let pair = |left: &str, right: &str| format!(" {left:>8} {right:>9}");
        let [mut groups, mut heading] = [fit("", 13), fit("CHAIN", 13)];
        for group in ["OPERATIONS", "FAILURES", "NO QUORUM"] {
            groups += &format!(" {group:>18}");
            heading += &pair("truth", "measured");
        }
        let mut text = format!("\n{}\n{}\n", self.paint(&groups, DIM), self.paint(&heading, DIM));
        for (chain, _) in ordered(&chains) {
            let (want, have) = (truth.get(chain).unwrap_or(&nothing), measured.get(chain).unwrap_or(&nothing));
            let columns = [
                (want.operations, have.operations),
                (want.failures, have.failures),
                (want.quorum_failures, have.quorum_failures),
            ];
            text += &fit(name(chain), 13);
            for (want, have) in columns {
                text += &pair(&count(want), &count(have));
            }
            let equal = columns.iter().all(|(want, have)| want == have);
            text += &if equal { self.paint("  equal", GREEN) } else { self.paint("  DIFFERS", RED) };
            text.push('\n');
        }
        self.write(&text);
    }

    /// The last lines.
    pub(super) fn verdict(&self, good: bool, verdict: &str, problems: &[String]) {
        let mut text = format!("\n{}\n", self.paint(verdict, if good { GREEN } else { RED }));
        for problem in problems.iter().take(20) {
            text += &format!("  {problem}\n");
        }
        if problems.len() > 20 {
            text += &format!("  … and {} more\n", count(problems.len() as u64 - 20));
        }
        self.write(&text);
    }
}

/// What is wrong with a delivery, in words.
pub(super) fn delivery_problems(delivery: &Verification) -> Vec<String> {
    let mut problems = Vec::new();
    if delivery.missing > 0 {
        problems.push(format!("{} acknowledged spans never reached the agent", count(delivery.missing)));
    }
    if delivery.mistagged > 0 {
        problems.push(format!("{} spans reached the agent with a wrong chain_id", count(delivery.mistagged)));
    }
    problems.extend(delivery.examples.iter().cloned());
    problems
}

fn time(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), seconds)
}

fn name(chain: &str) -> &str {
    match chain.parse() {
        Ok(id) => spec::chain_name(id).unwrap_or("unnamed"),
        Err(_) if chain == "unknown" => "(no chain)",
        Err(_) => chain,
    }
}

/// By number, what has no number last.
fn ordered(tallies: &Tallies) -> Vec<(&str, &Tally)> {
    let mut rows: Vec<(&str, &Tally)> = tallies.iter().map(|(chain, tally)| (chain.as_str(), tally)).collect();
    rows.sort_by_key(|(chain, _)| chain.parse::<u64>().unwrap_or(u64::MAX));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use chainspan_sim::{Chain, Truth, gateways, parse_exposition};

    /// The table of the demo's chains fits a terminal of 80 columns and 24 lines, and shows every chain with its figures.
    #[test]
    fn the_table_fits_a_small_terminal() {
        let mut truth = Truth::new();
        for mut gateway in gateways(3, &Chain::with_profiles(&super::super::DEMO_CHAINS), 1) {
            truth.add(&gateway.next_batch(2_000, 1_800_000_000_000_000_000).facts);
        }
        let page: String =
            truth.series("avs.gateway").iter().map(|(series, value)| format!("{series} {value}\n")).collect();
        let tallies =
            super::super::tally::of_scrape(&parse_exposition(&page).expect("it is well formed"), "avs_gateway_");
        let screen = Screen { terminal: true, colour: false, drawn: 0 };
        let lines = screen.table(&tallies, |_, _| 12_345.0);
        assert_eq!(lines.len(), 8, "a heading, six chains, and what has no chain");
        assert!(lines.iter().all(|line| line.chars().count() <= 79), "{lines:#?}");
        let base = lines.iter().find(|line| line.starts_with("Base ")).expect("Base has a line");
        let columns: Vec<&str> = base.split_whitespace().collect();
        assert_eq!(columns[1..3], ["8453", "12,345"]);
        assert!(lines[7].starts_with("(no chain)"), "{lines:#?}");
    }
}
