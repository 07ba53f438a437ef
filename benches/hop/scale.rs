//! `HOP_SCALE=1`: how the cost per span depends on what there is to count, on the size and number of requests, on
//! compression and on the number of destinations. `HOP_STEADY=30m`: whether it depends on how long the process has run.
//!
//! Only chainspan is measured here; figures of one table are to be compared with each other.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tonic::codec::CompressionEncoding;

use crate::Plan;
use crate::bodies::{self, Shape};
use crate::chainspan::Chainspan;
use crate::load::Load;
use crate::process::{self, Role};
use crate::subject::{Settings, check_arrivals, ok, start_chainspan};

/// One line of a table.
struct Variant {
    name: String,
    shape: Shape,
    settings: Settings,
    connections: usize,
    encoding: Option<CompressionEncoding>,
}

/// What it came to.
struct Measured {
    cpu_ns_per_span: f64,
    spans_per_second: f64,
    series: f64,
    idle_mib: f64,
    peak_mib: f64,
}

/// The usual load, from which each variant departs in one respect.
fn usual(name: impl Into<String>) -> Variant {
    Variant {
        name: name.into(),
        shape: Shape::usual(512, true),
        settings: Settings::default(),
        connections: 8,
        encoding: None,
    }
}

fn tables() -> Vec<(&'static str, Vec<Variant>)> {
    let counted = |name: &str, chains, services, operations| {
        let shape = Shape { chains, services, operations, ..Shape::usual(512, true) };
        let settings = Settings { max_series: 16_384, ..Settings::default() };
        Variant { shape, settings, ..usual(name) }
    };
    let sized = |spans| Variant { shape: Shape::usual(spans, true), ..usual(format!("{spans} spans a request")) };
    let connected = |connections| Variant {
        connections,
        shape: Shape::usual(16, true),
        ..usual(format!("{connections} connections, 16 spans"))
    };
    let compressed = |inward: &str, outward: &'static str| {
        let encoding = match inward {
            "gzip" => Some(CompressionEncoding::Gzip),
            "zstd" => Some(CompressionEncoding::Zstd),
            _ => None,
        };
        let settings = Settings { compression: outward, ..Settings::default() };
        Variant { encoding, settings, ..usual(format!("{inward} in, {outward} out")) }
    };
    let sent_to = |destinations| {
        let settings = Settings { destinations, ..Settings::default() };
        Variant { settings, ..usual(format!("{destinations} destinations")) }
    };
    vec![
        (
            "series and chains",
            vec![
                counted("1 chain, 1 service, 1 operation", 1, 1, 1),
                counted("1 chain, 3 services, 5 operations", 1, 3, 5),
                counted("1 chain, 64 services, 5 operations", 1, 64, 5),
                counted("64 chains, 1 service, 1 operation", 64, 1, 1),
                counted("64 chains, 3 services, 5 operations", 64, 3, 5),
            ],
        ),
        ("size of requests", [16, 128, 512, 8_192].map(sized).into()),
        ("connections", [1, 8, 200, 2_000].map(connected).into()),
        (
            "compression",
            vec![
                compressed("none", "none"),
                compressed("gzip", "none"),
                compressed("zstd", "none"),
                compressed("none", "gzip"),
                compressed("none", "zstd"),
            ],
        ),
        ("destinations", [1, 2, 3].map(sent_to).into()),
    ]
}

/// Measures and prints every table.
pub(crate) async fn run(plan: &Plan) -> Result<(), Box<dyn Error>> {
    for (what, variants) in tables() {
        println!("\n| {what} | CPU ns/span | k spans/s | series | idle MiB | peak MiB |");
        println!("|---|--:|--:|--:|--:|--:|");
        for variant in variants {
            match measure(plan, &variant).await {
                Ok(Measured { cpu_ns_per_span, spans_per_second, series, idle_mib, peak_mib }) => println!(
                    "| {} | {cpu_ns_per_span:.0} | {:.0} | {series:.0} | {idle_mib:.1} | {peak_mib:.1} |",
                    variant.name,
                    spans_per_second / 1e3,
                ),
                // One that this machine does not allow (2,000 connections need as many file descriptors) is no reason to
                // go without the others.
                Err(error) => println!("| {} | not measured: {error} | | | | |", variant.name),
            }
        }
    }
    Ok(())
}

async fn measure(plan: &Plan, variant: &Variant) -> Result<Measured, Box<dyn Error>> {
    let mut sink = Role::start("sink", None)?;
    let chainspan = start_chainspan(sink.address, variant.settings)?;
    let pid = chainspan.pid();
    process::cpu_once_quiet(pid).await?;
    let idle_mib = process::memory_mib(pid, "VmRSS")?;
    let bodies = Arc::new(bodies::make(variant.shape));
    let load = Load::connect(chainspan.grpc(), variant.connections, bodies, variant.encoding).await?;
    ok(load.saturate(plan.warm_up).await)?;
    let before = (process::cpu_once_quiet(pid).await?, sink.stats()?);
    let outcome = ok(load.saturate(plan.time).await)?;
    let after = (process::cpu_once_quiet(pid).await?, sink.stats()?);
    let sent = outcome.ok * variant.shape.spans as u64;
    check_arrivals(&before.1, &after.1, sent * variant.settings.destinations as u64, true)?;
    Ok(Measured {
        cpu_ns_per_span: (after.0 - before.0).as_nanos() as f64 / sent as f64,
        spans_per_second: sent as f64 / outcome.elapsed.as_secs_f64(),
        series: series(&chainspan),
        idle_mib,
        peak_mib: process::memory_mib(pid, "VmHWM")?,
    })
}

/// How many series there are, as chainspan itself says.
fn series(chainspan: &Chainspan) -> f64 {
    let metrics = chainspan.metrics();
    let line = metrics.lines().find_map(|line| line.strip_prefix("chainspan_series "));
    line.and_then(|count| count.trim().parse().ok()).unwrap_or(f64::NAN)
}

/// Runs the usual load for `time` and prints what a span cost, and how much memory there was, minute by minute.
pub(crate) async fn steady(time: Duration) -> Result<(), Box<dyn Error>> {
    let sink = Role::start("sink", None)?;
    let chainspan = start_chainspan(sink.address, Settings::default())?;
    let pid = chainspan.pid();
    let load = Load::connect(chainspan.grpc(), 8, Arc::new(bodies::make(Shape::usual(512, false))), None).await?;
    let (begin, minute) = (Instant::now(), Duration::from_secs(60));
    println!("\n| minute | CPU ns/span | k spans/s | resident MiB | peak MiB |");
    println!("|--:|--:|--:|--:|--:|");
    while begin.elapsed() < time {
        let before = process::cpu(pid)?;
        let outcome = ok(load.saturate(minute.min(time)).await)?;
        let spans = (outcome.ok * 512) as f64;
        println!(
            "| {:.0} | {:.0} | {:.0} | {:.1} | {:.1} |",
            begin.elapsed().as_secs_f64() / 60.0,
            (process::cpu(pid)? - before).as_nanos() as f64 / spans,
            spans / outcome.elapsed.as_secs_f64() / 1e3,
            process::memory_mib(pid, "VmRSS")?,
            process::memory_mib(pid, "VmHWM")?,
        );
    }
    Ok(())
}
