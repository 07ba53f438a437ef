//! The torture run: a real chainspan is killed, terminated and cut off from its agent, as often and for as long as asked,
//! and at the end every acknowledged span is looked for.
//!
//! ```console
//! cargo run --release --example torture                                  # a minute or two of everything
//! cargo run --release --example torture -- --kills 1000 --terms 200      # the long run
//! cargo run --release --example torture -- --kills 0 --terms 0 --outage 10m --rate 50000
//! ```
//!
//! Exit code 1: something acknowledged is lost, something was sent twice without a reason, or the books did not balance.

mod options;
mod program;
mod report;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chainspan_testing::torture::scenario::{kills, outage, terms};
use clap::Parser as _;

use options::Options;
use report::Report;

fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    let program = program::find(options.binary.as_deref())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start threads")?;
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    eprintln!("torturing {} with --seed {seed}", program.display());
    let mut report = Report::new(seed);
    runtime.block_on(async {
        if options.kills > 0 {
            let longest = Duration::from_millis(options.longest_life_ms.max(30));
            let plan = kills::Plan { kills: options.kills, seed, storage: true, longest };
            let begin = Instant::now();
            let every = (options.kills / 20).max(1);
            let done = kills::run(&program, plan, |kill| {
                if kill % every == 0 {
                    say(format_args!("{kill} of {} kills, {:.0} s", options.kills, begin.elapsed().as_secs_f64()));
                }
            });
            report.kills(&done.await?, begin.elapsed());
        }
        if options.terms > 0 {
            let begin = Instant::now();
            let every = (options.terms / 10).max(1);
            let done = terms::run(&program, options.terms, seed, |cycle| {
                if cycle % every == 0 {
                    say(format_args!("{cycle} of {} drains, {:.0} s", options.terms, begin.elapsed().as_secs_f64()));
                }
            });
            report.terms(options.terms, &done.await?, begin.elapsed());
        }
        if !options.outage.is_zero() {
            let Options { outage, rate, spans, max_size_mib, .. } = options;
            let plan = outage::Plan { outage, rate, spans, max_size_mib };
            let every = (outage.as_secs() / 20).max(1);
            let done = outage::run(&program, plan, |second, spilled, resident| {
                if second % every == 0 {
                    let mib = resident as f64 / f64::from(1 << 20);
                    say(format_args!("{second} s of outage, {spilled} spans kept, {mib:.1} MiB resident"));
                }
            });
            report.outage(&plan, &done.await?);
        }
        anyhow::Ok(())
    })?;
    print!("{report}");
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn say(line: std::fmt::Arguments<'_>) {
    // Who closed our standard error does not want to hear it.
    let _ = writeln!(std::io::stderr(), "  {line}");
}
