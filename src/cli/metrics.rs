//! `chainspan metrics`: lists every metric, from the tables that the code itself uses.

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::output::say;
use super::table::{self, Column, Table};
use crate::red::{CALL_METRICS, CallMetric, CatalogueEntry, Instrument, Metric};
use crate::telemetry::{MetricKind, OWN_METRICS};

/// The default namespace, as OTLP and as Prometheus write it.
const NAMESPACE: (&str, &str) = ("avs.gateway", "avs_gateway");

/// List every metric that chainspan exports
///
/// First those derived from spans, then those for Jaeger, then those of chainspan
/// itself.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  chainspan metrics | grep quorum")]
pub struct MetricsArgs {
    /// Output format
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
/// The result could not be written.
pub fn metrics(args: &MetricsArgs) -> anyhow::Result<ExitCode> {
    let write = match args.format {
        Format::Table => |(columns, rows): Metrics| Table::uncut(columns).print(rows),
        Format::Markdown => |(columns, rows): Metrics| table::markdown(columns, rows),
    };
    say(&[derived(), calls(), own()].map(write).join("\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// The columns of a table and its rows.
type Metrics = (&'static [Column], Vec<Vec<String>>);

fn derived() -> Metrics {
    const COLUMNS: &[Column] = &[
        Column::name("OTLP"),
        Column::name("Prometheus"),
        Column::text("instrument, unit"),
        Column::text("attributes"),
        Column::text("what it says"),
    ];
    let row = |entry: &CatalogueEntry| {
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
    (COLUMNS, Metric::all().map(|metric| row(metric.entry())).collect())
}

fn calls() -> Metrics {
    const COLUMNS: &[Column] = &[
        Column::name("Prometheus"),
        Column::text("instrument, unit"),
        Column::text("labels"),
        Column::text("what it says"),
    ];
    let row = |metric: &CallMetric| {
        let (kind, suffix) = if metric.histogram { ("histogram, ms", "") } else { ("counter, {call}", "_total") };
        vec![format!("{}{suffix}", metric.name), kind.to_owned(), metric.labels.join(", "), metric.help.to_owned()]
    };
    (COLUMNS, CALL_METRICS.iter().map(row).collect())
}

fn own() -> Metrics {
    const COLUMNS: &[Column] =
        &[Column::name("Prometheus"), Column::text("instrument"), Column::text("labels"), Column::text("what it says")];
    let row = |own: &crate::telemetry::OwnMetric| {
        let kind = match own.kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
        };
        vec![own.name.to_owned(), kind.to_owned(), own.labels.join(", "), own.help.to_owned()]
    };
    (COLUMNS, OWN_METRICS.iter().map(row).collect())
}
