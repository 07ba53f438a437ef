//! `HOP_STEADY=30m`: whether the cost of a span depends on how long the process has run.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::bodies::{self, Shape};
use crate::cell::ok;
use crate::load::Load;
use crate::ours::{Settings, start_chainspan};
use crate::process::{self, Role};

/// Spans a request.
const SPANS: usize = 512;

/// Runs the usual load for `time`, at `rate` spans a second or as fast as it goes, and prints what a span cost, and how much
/// memory there was, minute by minute.
pub(crate) async fn run(time: Duration, rate: Option<f64>) -> Result<(), Box<dyn Error>> {
    let sink = Role::start("sink", None)?;
    let chainspan = start_chainspan(sink.address, Settings::default())?;
    let pid = chainspan.pid();
    let load = Load::connect(chainspan.grpc(), 8, Arc::new(bodies::make(Shape::usual(SPANS, false))), None).await?;
    let (begin, minute) = (Instant::now(), Duration::from_secs(60));
    println!("\n| minute | CPU ns/span | k spans/s | resident MiB | peak MiB |");
    println!("|--:|--:|--:|--:|--:|");
    while begin.elapsed() < time {
        let before = process::cpu(pid)?;
        let stretch = minute.min(time);
        let outcome = ok(match rate {
            Some(rate) => load.pace(rate / SPANS as f64, stretch).await,
            None => load.saturate(stretch).await,
        })?;
        let spans = (outcome.ok * SPANS as u64) as f64;
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
