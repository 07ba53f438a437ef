//! The table for people and `target/hop.json` for programs.

use std::error::Error;
use std::fmt;
use std::path::Path;
use std::process::Command;

use serde::Serialize;
use serde_json::json;

use crate::cell::Cell;
use crate::subject::Subject;

/// A peer that could not be measured in one round with one size of request.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Failure {
    pub(crate) round: usize,
    pub(crate) subject: &'static str,
    pub(crate) spans: usize,
    pub(crate) error: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} spans a request: NOT MEASURED: {}", self.subject, self.spans, self.error)
    }
}

/// One line of the table: medians over the rounds.
struct Row<'a> {
    subject: Subject,
    spans: usize,
    cells: Vec<&'a Cell>,
    /// CPU per span over that of the relay, round by round.
    ratios: Vec<f64>,
}

impl Row<'_> {
    fn median_of(&self, value: impl Fn(&Cell) -> f64) -> f64 {
        median(self.cells.iter().map(|c| value(c)).collect())
    }

    fn max_of(&self, value: impl Fn(&Cell) -> f64) -> f64 {
        self.cells.iter().map(|c| value(c)).fold(f64::NAN, f64::max)
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n.is_multiple_of(2) => (values[n / 2 - 1] + values[n / 2]) / 2.0,
        n => values[n / 2],
    }
}

/// `value` of `cell` over that of `other` in the same round with the same size of request.
fn against(cells: &[Cell], cell: &Cell, other: Subject, value: impl Fn(&Cell) -> f64) -> Option<f64> {
    let same =
        |c: &&Cell| (c.round, c.spans_per_request, c.subject) == (cell.round, cell.spans_per_request, other.name());
    cells.iter().find(same).map(|c| value(cell) / value(c))
}

fn rows<'a>(cells: &'a [Cell], sizes: &[usize]) -> Vec<Row<'a>> {
    let mut rows = Vec::new();
    for &spans in sizes {
        for subject in Subject::ALL {
            let mine = |c: &&Cell| c.subject == subject.name() && c.spans_per_request == spans;
            let of_row: Vec<_> = cells.iter().filter(mine).collect();
            let ratios =
                of_row.iter().filter_map(|c| against(cells, c, Subject::Relay, |c| c.cpu_ns_per_span)).collect();
            if !of_row.is_empty() {
                rows.push(Row { subject, spans, cells: of_row, ratios });
            }
        }
    }
    rows
}

/// What the run was: the lines above the table.
pub(crate) fn header() -> Vec<String> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|l| l.strip_prefix("model name")).unwrap_or("unknown");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let git = |args: &[&str]| {
        let output = Command::new("git").args(args).output().ok().filter(|o| o.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".into());
    let dirty = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|s| !s.is_empty());
    let profile = if cfg!(debug_assertions) { "DEBUG BUILD: these figures mean nothing" } else { "release build" };
    vec![
        format!("machine: {}, {cores} cores", model.trim_start_matches([' ', '\t', ':'])),
        format!("kernel:  {}", read("/proc/sys/kernel/osrelease").trim()),
        format!("commit:  {commit}{}, {profile}", if dirty { " with changes" } else { "" }),
    ]
}

/// Prints the table, then how it stands against the budget of the specification.
pub(crate) fn print(cells: &[Cell], failures: &[Failure], sizes: &[usize]) {
    println!();
    println!(
        "| subject | spans a request | CPU ns/span | × relay (min–max) | k spans/s | idle MiB | peak MiB | p50 ms | p99 ms | requests out per in |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    let rows = rows(cells, sizes);
    for row in &rows {
        let least = row.ratios.iter().copied().fold(f64::NAN, f64::min);
        let most = row.ratios.iter().copied().fold(f64::NAN, f64::max);
        println!(
            "| {} | {} | {:.0} | {:.2} ({least:.2}–{most:.2}) | {:.0} | {:.1} | {:.1} | {:.2} | {:.2} | {:.2} |",
            row.subject.name(),
            row.spans,
            row.median_of(|c| c.cpu_ns_per_span),
            median(row.ratios.clone()),
            row.median_of(|c| c.spans_per_second) / 1e3,
            row.max_of(|c| c.idle_mib),
            row.max_of(|c| c.peak_mib),
            row.median_of(|c| c.p50_ms),
            row.median_of(|c| c.p99_ms),
            row.median_of(|c| c.requests_out_per_in),
        );
    }
    println!();
    for failure in failures {
        println!("round {}: {failure}", failure.round);
    }
    for (what, value, goal) in goals(cells, &rows) {
        let digits = if goal < 0.2 { 3 } else { 2 };
        let met = if value <= goal { "met   " } else { "MISSED" };
        println!("{met} {what}: {value:.digits$}, goal ≤ {goal:.digits$}");
    }
}

/// The lines of the budget that this bench can speak of: what, value, goal.
fn goals(cells: &[Cell], rows: &[Row<'_>]) -> Vec<(String, f64, f64)> {
    let mut goals = Vec::new();
    for row in rows {
        let name = format!("{}, {} spans", row.subject.name(), row.spans);
        let cpu_goal = match (row.subject, row.spans) {
            (Subject::Tagged, 512) => 1.5,
            (Subject::Untagged, 512) => 1.9,
            (Subject::Tagged | Subject::Untagged, 16) => 0.75,
            _ => continue,
        };
        if !row.ratios.is_empty() {
            goals.push((format!("{name}, CPU × relay"), median(row.ratios.clone()), cpu_goal));
        }
        let ratios = |other, value: fn(&Cell) -> f64| -> Vec<f64> {
            row.cells.iter().filter_map(|c| against(cells, c, other, value)).collect()
        };
        let prost = ratios(Subject::Prost, |c| c.cpu_ns_per_span);
        if row.spans == 512 && row.subject == Subject::Untagged && !prost.is_empty() {
            goals.push((format!("{name}, CPU × prost"), median(prost), 1.0 / 3.0));
        }
        for (peer, goal) in [(Subject::CollectorSpanmetrics, 1.0 / 8.0), (Subject::Rotel, 1.0 / 12.0)] {
            let peers = ratios(peer, |c| c.cpu_ns_per_span);
            if row.spans == 512 && !peers.is_empty() {
                goals.push((format!("{name}, CPU × {}", peer.name()), median(peers), goal));
            }
        }
        let added = ratios(Subject::Relay, |c| c.p99_ms)
            .iter()
            .zip(&row.cells)
            .map(|(ratio, cell)| cell.p99_ms - cell.p99_ms / ratio)
            .collect::<Vec<_>>();
        if !added.is_empty() {
            goals.push((format!("{name}, added p99 in ms"), median(added), 5.0));
        }
        goals.push((format!("{name}, idle MiB"), row.max_of(|c| c.idle_mib), 15.0));
        goals.push((format!("{name}, peak MiB"), row.max_of(|c| c.peak_mib), 64.0));
    }
    goals
}

/// Writes everything to `path`, each cell of each round.
pub(crate) fn write(
    path: &Path,
    header: &[String],
    cells: &[Cell],
    failures: &[Failure],
    sizes: &[usize],
) -> Result<(), Box<dyn Error>> {
    let rows = rows(cells, sizes);
    let medians: Vec<_> = rows
        .iter()
        .map(|row| {
            json!({
                "subject": row.subject.name(),
                "spans_per_request": row.spans,
                "cpu_ns_per_span": row.median_of(|c| c.cpu_ns_per_span),
                "cpu_over_relay": median(row.ratios.clone()),
                "spans_per_second": row.median_of(|c| c.spans_per_second),
                "idle_mib": row.max_of(|c| c.idle_mib),
                "peak_mib": row.max_of(|c| c.peak_mib),
                "p50_ms": row.median_of(|c| c.p50_ms),
                "p99_ms": row.median_of(|c| c.p99_ms),
            })
        })
        .collect();
    let goals: Vec<_> = goals(cells, &rows)
        .into_iter()
        .map(|(what, value, goal)| json!({"what": what, "value": value, "goal": goal, "met": value <= goal}))
        .collect();
    let all = json!({"header": header, "medians": medians, "goals": goals, "failures": failures, "cells": cells});
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    Ok(std::fs::write(path, serde_json::to_vec_pretty(&all)?)?)
}
