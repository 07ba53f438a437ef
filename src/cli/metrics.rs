//! `chainspan metrics`: every metric that there is, from the two tables in the code.

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::say;
use crate::red::{CALL_METRICS, CallMetric, Entry, Instrument, Metric};
use crate::telemetry::{Kind, OWN};

/// The default namespace, as OTLP and as Prometheus write it.
const NAMESPACE: (&str, &str) = ("avs.gateway", "avs_gateway");

/// Lists every metric: those derived from spans, those for Jaeger, then those of chainspan itself
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  chainspan metrics | grep quorum")]
pub struct MetricsArgs {
    /// How they are listed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// Columns
    Table,
    /// The tables of docs/metrics.md
    Markdown,
}

/// Runs the command.
///
/// # Errors
/// When the result cannot be written.
pub fn metrics(args: &MetricsArgs) -> anyhow::Result<ExitCode> {
    let write = match args.format {
        Format::Table => columns,
        Format::Markdown => markdown,
    };
    say(&[derived(), calls(), own()].map(|table| write(&table)).join("\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// The metrics derived from spans as a Markdown table.
pub fn derived_markdown() -> String {
    markdown(&derived())
}

/// The metrics for Jaeger as a Markdown table.
pub fn calls_markdown() -> String {
    markdown(&calls())
}

/// The metrics of chainspan itself as a Markdown table.
pub fn own_markdown() -> String {
    markdown(&own())
}

/// A table: the heads of its columns and its rows.
struct Table {
    heads: Vec<&'static str>,
    /// Columns whose texts are names.
    names: usize,
    rows: Vec<Vec<String>>,
}

fn derived() -> Table {
    let row = |entry: &Entry| {
        let attributes: Vec<&str> = entry.attributes.iter().map(|attribute| attribute.name()).collect();
        let (kind, suffix) = match entry.instrument {
            Instrument::Counter => ("counter", "_total"),
            Instrument::Histogram(_) => ("histogram", ""),
            Instrument::Gauge => ("gauge", ""),
        };
        vec![
            format!("{}.{}", NAMESPACE.0, entry.name),
            format!("{}_{}{suffix}", NAMESPACE.1, entry.prometheus),
            format!("{kind}, {}", entry.unit),
            attributes.join(", "),
            entry.help.to_owned(),
        ]
    };
    Table {
        heads: vec!["OTLP", "Prometheus", "instrument, unit", "attributes", "what it says"],
        names: 2,
        rows: Metric::all().map(|metric| row(metric.entry())).collect(),
    }
}

fn calls() -> Table {
    let row = |metric: &CallMetric| {
        let (kind, suffix) = if metric.histogram { ("histogram, ms", "") } else { ("counter, {call}", "_total") };
        vec![format!("{}{suffix}", metric.name), kind.to_owned(), metric.labels.join(", "), metric.help.to_owned()]
    };
    Table {
        heads: vec!["Prometheus", "instrument, unit", "labels", "what it says"],
        names: 1,
        rows: CALL_METRICS.iter().map(row).collect(),
    }
}

fn own() -> Table {
    let row = |own: &crate::telemetry::Own| {
        let kind = match own.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        vec![own.name.to_owned(), kind.to_owned(), own.labels.join(", "), own.help.to_owned()]
    };
    Table {
        heads: vec!["Prometheus", "instrument", "labels", "what it says"],
        names: 1,
        rows: OWN.iter().map(row).collect(),
    }
}

fn columns(table: &Table) -> String {
    let width = |column: usize| {
        let cells = table.rows.iter().map(|row| row[column].chars().count());
        cells.chain([table.heads[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..table.heads.len()).map(width).collect();
    let line = |cells: &[&str]| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", padded.collect::<Vec<_>>().join("  ").trim_end())
    };
    let rows = table.rows.iter().map(|row| line(&row.iter().map(String::as_str).collect::<Vec<_>>()));
    std::iter::once(line(&table.heads)).chain(rows).collect()
}

fn markdown(table: &Table) -> String {
    let row = |cells: &[String]| {
        let cell = |(column, text): (usize, &String)| {
            if column < table.names { format!("`{text}`") } else { text.replace('|', "\\|") }
        };
        format!("| {} |\n", cells.iter().enumerate().map(cell).collect::<Vec<_>>().join(" | "))
    };
    let head = format!("| {} |\n|{}\n", table.heads.join(" | "), "---|".repeat(table.heads.len()));
    std::iter::once(head).chain(table.rows.iter().map(|cells| row(cells))).collect()
}
