//! The table of the chains while the gateways send.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chainspan_sim::{self as sim, Progress};
use tokio::task::JoinHandle;

use super::screen::{Colour, Screen};
use super::totals::{self, ChainTotals, TotalsByChain};
use crate::cli::format::{count, percent, seconds};
use crate::cli::http_get;
use crate::cli::table::{Column, Table};

/// Shares of failures and of missed quorums above which a chain is shown in red; above half of them in yellow.
const ERROR_LIMIT: f64 = 0.05;
const QUORUM_LIMIT: f64 = 0.02;

/// One picture: the figures now, those of the picture before, and the seconds between them.
struct Frame<'a> {
    now: &'a TotalsByChain,
    before: &'a TotalsByChain,
    interval: f64,
}

/// Redraws the table until the gateways are done.
pub(super) async fn watch(
    mut load: JoinHandle<()>,
    progress: &Progress,
    metrics: SocketAddr,
    namespace: &str,
    duration: u64,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_secs(if screen.is_terminal() { 1 } else { 3 }));
    tick.tick().await;
    let (mut before, mut drawn, mut spans_before) = (TotalsByChain::new(), begun, 0);
    loop {
        tokio::select! {
            ended = &mut load => return ended.context("the gateways stopped unexpectedly"),
            _ = tick.tick() => {
                let page = http_get::page(metrics, "/metrics").await?;
                let now = totals::from_scrape(&sim::parse_exposition(&page)?, namespace);
                let spans = progress.acknowledged();
                let interval = drawn.elapsed().as_secs_f64().max(1e-3);
                drawn = Instant::now();
                let footer = format!(
                    "{} of {duration} s   {} spans acknowledged   {} spans/s",
                    begun.elapsed().as_secs().min(duration),
                    count(spans),
                    count(((spans - spans_before) as f64 / interval) as u64),
                );
                draw(screen, &Frame { now: &now, before: &before, interval }, footer);
                (before, spans_before) = (now, spans);
            }
        }
    }
}

fn draw(screen: &mut Screen, frame: &Frame<'_>, footer: String) {
    if screen.is_terminal() {
        let mut lines = frame.table(screen);
        lines.extend([String::new(), footer]);
        screen.redraw(&lines);
    } else {
        screen.write(&(footer + "\n" + &frame.lines()));
    }
}

impl Frame<'_> {
    fn operations_per_second(&self, chain: &str, totals: &ChainTotals) -> String {
        let before = self.before.get(chain).map_or(0, |totals| totals.operations);
        count((totals.operations.saturating_sub(before) as f64 / self.interval) as u64)
    }

    /// One line per chain.
    fn lines(&self) -> String {
        let line = |(chain, totals): (&str, &ChainTotals)| {
            format!(
                "  {} ({chain}): {} ops/s, p50 {}, p99 {}, errors {}, quorum failures {}, top reason {}\n",
                totals::name(chain),
                self.operations_per_second(chain, totals),
                time(totals.quantile(0.5)),
                time(totals.quantile(0.99)),
                percent(totals.failures, totals.operations),
                percent(totals.quorum_failures, totals.aggregations),
                totals.top_reason().unwrap_or("-"),
            )
        };
        totals::ordered(self.now).into_iter().map(line).collect()
    }

    /// One line per chain under a heading, at most 79 columns wide.
    fn table(&self, screen: &Screen) -> Vec<String> {
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
        let row = |(chain, totals): (&str, &ChainTotals)| {
            vec![
                totals::name(chain).to_owned(),
                if chain.parse::<u64>().is_ok() { chain.to_owned() } else { String::new() },
                self.operations_per_second(chain, totals),
                time(totals.quantile(0.5)),
                time(totals.quantile(0.99)),
                graded(screen, totals.failures, totals.operations, ERROR_LIMIT),
                graded(screen, totals.quorum_failures, totals.aggregations, QUORUM_LIMIT),
                totals.top_reason().unwrap_or("-").to_owned(),
            ]
        };
        let text = Table::compact(COLUMNS).print(totals::ordered(self.now).into_iter().map(row));
        let lines = text.lines().enumerate();
        lines.map(|(at, line)| if at == 0 { screen.paint(line, Colour::DIM) } else { line.to_owned() }).collect()
    }
}

/// A share in percent, green below half the limit, red above it.
fn graded(screen: &Screen, part: u64, whole: u64, limit: f64) -> String {
    let colour = match part as f64 / whole.max(1) as f64 {
        share if share > limit => Colour::RED,
        share if share > limit / 2.0 => Colour::YELLOW,
        _ => Colour::GREEN,
    };
    screen.paint(&percent(part, whole), colour)
}

fn time(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), seconds)
}

#[cfg(test)]
mod tests {
    use chainspan_sim::{Chain, Truth, gateways, parse_exposition};

    use super::super::config::DEMO_CHAINS;
    use super::*;

    /// The table of the demo's chains fits a terminal of 80 columns and 24 lines, and shows every chain with its figures.
    #[test]
    fn the_table_fits_a_small_terminal() {
        let mut truth = Truth::new();
        for mut gateway in gateways(3, &Chain::with_profiles(&DEMO_CHAINS), 1) {
            truth.add(&gateway.next_batch(2_000, 1_800_000_000_000_000_000).facts);
        }
        let page: String =
            truth.series("avs.gateway").iter().map(|(series, value)| format!("{series} {value}\n")).collect();
        let now = totals::from_scrape(&parse_exposition(&page).expect("it is well formed"), "avs.gateway");
        let frame = Frame { now: &now, before: &TotalsByChain::new(), interval: 1.0 };
        let lines = frame.table(&Screen::plain_terminal());
        assert_eq!(lines.len(), 8, "a heading, six chains, and what has no chain");
        assert!(lines.iter().all(|line| line.chars().count() <= 79), "{lines:#?}");
        let base = lines.iter().find(|line| line.starts_with("Base ")).expect("Base has a line");
        let columns: Vec<&str> = base.split_whitespace().collect();
        assert_eq!(columns[1..3], ["8453".to_owned(), count(now["8453"].operations)]);
        assert!(lines[7].starts_with("(no chain)"), "{lines:#?}");
    }
}
