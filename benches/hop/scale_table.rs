//! Measures and prints the tables of `scale`.

use std::error::Error;

use chainspan_testing::chainspan::Chainspan;

use crate::Plan;
use crate::cell::{Sent, Stretch, saturate};
use crate::limits;
use crate::ours::start_chainspan;
use crate::process::{self, Role};
use crate::scale::{Table, Variant, tables};
use crate::subject::{Running, Subject};

/// What a variant came to.
struct Measured {
    stretch: Stretch,
    series: f64,
    peak_mib: f64,
    /// CPU of the relay with the same load, nanoseconds per span.
    relay_ns_per_span: Option<f64>,
}

/// Measures and prints every table.
pub(crate) async fn run(plan: &Plan) -> Result<(), Box<dyn Error>> {
    for table in tables() {
        let mut all = Vec::new();
        for variant in &table.variants {
            let measured = measure(plan, variant, table.with_relay).await;
            match &measured {
                Ok(measured) => eprintln!("{}: {:.0} ns/span", variant.name, measured.stretch.cpu_ns_per_span),
                Err(error) => eprintln!("{}: NOT MEASURED: {error}", variant.name),
            }
            all.push(measured);
        }
        print(&table, &all);
    }
    Ok(())
}

fn print(table: &Table, all: &[Result<Measured, Box<dyn Error>>]) {
    let cpu = |measured: &Measured| measured.stretch.cpu_ns_per_span;
    let baseline = all.get(table.baseline).and_then(|measured| measured.as_ref().ok()).map(cpu);
    let against = |own: f64, other: Option<f64>| other.map_or("–".to_owned(), |other| format!("{:.2}", own / other));
    let name = table.variants.get(table.baseline).map_or("", |variant| &variant.name);
    let relay = |text: &str| if table.with_relay { format!(" {text} |") } else { String::new() };
    println!(
        "\n| {} | CPU ns/span | × {name} |{} k spans/s | series | idle MiB | peak MiB |",
        table.what,
        relay("× relay, same load")
    );
    println!("|---|--:|--:|{}--:|--:|--:|--:|", if table.with_relay { "--:|" } else { "" });
    for (variant, measured) in table.variants.iter().zip(all) {
        match measured {
            Ok(measured) => println!(
                "| {} | {:.0} | {} |{} {:.0} | {:.0} | {:.1} | {:.1} |",
                variant.name,
                cpu(measured),
                against(cpu(measured), baseline),
                relay(&against(cpu(measured), measured.relay_ns_per_span)),
                measured.stretch.spans_per_second / 1e3,
                measured.series,
                measured.stretch.idle_mib,
                measured.peak_mib,
            ),
            // One that this machine does not allow (2,000 connections need as many open files) is no reason to go without
            // the others.
            Err(error) => println!("| {} | not measured: {error} | | | | | | |", variant.name),
        }
    }
}

async fn measure(plan: &Plan, variant: &Variant, with_relay: bool) -> Result<Measured, Box<dyn Error>> {
    if let Some(reason) = limits::too_few_for(variant.connections) {
        return Err(reason.into());
    }
    let mut sink = Role::start("sink", None)?;
    let sent = Sent {
        shape: variant.shape,
        connections: variant.connections,
        encoding: variant.encoding,
        copies: variant.settings.destinations,
        promises_tags: true,
    };
    let (stretch, series, peak_mib) = {
        let chainspan = start_chainspan(sink.address, variant.settings)?;
        let stretch = saturate(plan, &mut sink, (chainspan.pid(), chainspan.grpc()), sent).await?;
        (stretch, series(&chainspan), process::memory_mib(chainspan.pid(), "VmHWM")?)
    };
    let relay_ns_per_span = match with_relay {
        true => Some(relay(plan, &mut sink, sent).await.map_err(|error| format!("relay: {error}"))?),
        false => None,
    };
    Ok(Measured { stretch, series, peak_mib, relay_ns_per_span })
}

/// What a span costs the relay.
async fn relay(plan: &Plan, sink: &mut Role, sent: Sent) -> Result<f64, Box<dyn Error>> {
    let relay = Running::start(Subject::Relay, sink.address)?;
    let sent = Sent { promises_tags: false, ..sent };
    Ok(saturate(plan, sink, (relay.pid(), relay.address()), sent).await?.cpu_ns_per_span)
}

/// How many series there are, as chainspan itself says.
fn series(chainspan: &Chainspan) -> f64 {
    let metrics = chainspan.metrics();
    let line = metrics.lines().find_map(|line| line.strip_prefix("chainspan_series "));
    line.and_then(|count| count.trim().parse().ok()).unwrap_or(f64::NAN)
}
