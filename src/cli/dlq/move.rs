//! `chainspan dlq replay` and `chainspan dlq purge`: send again, or give up.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::json;

use super::args::{Place, Which, none};
use super::link::Desk;
use super::{amount, answer, meant, plain};
use crate::admin::letters::api;
use crate::cli::format::count;
use crate::cli::say;

/// Between two lines about how far it is.
const PAUSE: Duration = Duration::from_secs(5);

/// More spans than these are not sent again by accident.
const MANY: u64 = 1_000;

/// Send dead letters again; stopped half way, the same command goes on
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  chainspan dlq replay --reason rejected --dry-run")]
pub(super) struct ReplayArgs {
    /// These alone; without numbers all that match
    #[arg(value_name = "ID")]
    ids: Vec<i64>,
    #[command(flatten)]
    pub(super) place: Place,
    #[command(flatten)]
    which: Which,
    /// Spans a second; 0: no limit
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    rate: u64,
    /// Only say what would be sent
    #[arg(long)]
    dry_run: bool,
    /// Do not ask, even for more than 1,000 spans
    #[arg(long)]
    yes: bool,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// Give dead letters up: they are counted as discarded
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  chainspan dlq purge --until 30d --yes")]
pub(super) struct PurgeArgs {
    /// These alone; without numbers all that match
    #[arg(value_name = "ID")]
    ids: Vec<i64>,
    #[command(flatten)]
    pub(super) place: Place,
    #[command(flatten)]
    which: Which,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// Lets them go, and says how far it is.
pub(super) async fn replay(desk: &mut Desk, args: ReplayArgs) -> anyhow::Result<ExitCode> {
    let filter = args.which.filter(&args.ids);
    let plan = meant(desk, filter.clone()).await?;
    let all = plan.meant.unwrap_or_default();
    for name in &plan.unknown_destinations {
        eprintln!("{}: no such destination is configured; its dead letters stay where they are", plain(name));
    }
    if args.dry_run || all.records == 0 {
        let text =
            if all.records == 0 { none(&filter).to_owned() } else { format!("{} would be sent again", amount(&all)) };
        result(
            args.json,
            &text,
            json!({"dry_run": args.dry_run, "meant": numbers(&all), "moved": numbers(&api::Count::default())}),
        )?;
        return Ok(ExitCode::SUCCESS);
    }
    let what = format!("{} would be sent again", amount(&all));
    if all.spans > MANY && !args.yes && !confirmed(&what, "look with --dry-run, then add --yes")? {
        return Ok(ExitCode::FAILURE);
    }
    let request = api::ReplayRequest { filter: Some(filter), spans_per_second: args.rate, dry_run: false };
    let mut parts = answer(desk.client().replay(request)).await?.into_inner();
    let (mut moved, mut progress) = (api::Count::default(), Progress::new());
    let ended = loop {
        match answer(parts.message()).await {
            Ok(Some(part)) => {
                moved = part.moved.unwrap_or_default();
                progress.show(&moved, &part.meant.unwrap_or_default());
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    progress.end();
    if let Err(error) = ended {
        return Err(
            error.context(format!("{} were let go before this; run the command again for the rest", amount(&moved)))
        );
    }
    let when = if desk.running() { "wait to be sent again" } else { "will be sent again when chainspan runs" };
    let text = format!("{} {when}", amount(&moved));
    result(args.json, &text, json!({"dry_run": false, "meant": numbers(&all), "moved": numbers(&moved)}))?;
    Ok(ExitCode::SUCCESS)
}

/// Gives them up, once that is certain.
pub(super) async fn purge(desk: &mut Desk, args: PurgeArgs) -> anyhow::Result<ExitCode> {
    let filter = args.which.filter(&args.ids);
    let plan = meant(desk, filter.clone()).await?;
    let all = sum(plan.meant.unwrap_or_default(), plan.left.unwrap_or_default());
    if all.records == 0 {
        result(args.json, none(&filter), json!({"purged": numbers(&all)}))?;
        return Ok(ExitCode::SUCCESS);
    }
    let what = format!("{} would be gone for good", amount(&all));
    if !args.yes && !confirmed(&what, "look with chainspan dlq list, then add --yes")? {
        return Ok(ExitCode::FAILURE);
    }
    let purged = answer(desk.client().purge(api::PurgeRequest { filter: Some(filter) })).await?.into_inner();
    let purged = purged.purged.unwrap_or_default();
    result(
        args.json,
        &format!("{} purged, counted as discarded", amount(&purged)),
        json!({"purged": numbers(&purged)}),
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Asks, where somebody can answer; where nobody can, `fix` says what to write.
fn confirmed(what: &str, fix: &str) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        eprintln!("chainspan: {what}: {fix}");
        return Ok(false);
    }
    eprint!("{what}. Go on? [y/N] ");
    std::io::stderr().flush()?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let yes = matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes");
    if !yes {
        eprintln!("nothing was changed");
    }
    Ok(yes)
}

fn result(as_json: bool, text: &str, object: serde_json::Value) -> anyhow::Result<()> {
    say(&if as_json { format!("{object}\n") } else { format!("{text}\n") })
}

fn numbers(count: &api::Count) -> serde_json::Value {
    json!({"letters": count.records, "spans": count.spans, "requests": count.requests})
}

fn sum(one: api::Count, other: api::Count) -> api::Count {
    api::Count {
        records: one.records + other.records,
        spans: one.spans + other.spans,
        requests: one.requests + other.requests,
        bytes: one.bytes + other.bytes,
    }
}

/// How far a replay is: one line that changes on a terminal, a line now and then elsewhere. On stderr.
struct Progress {
    terminal: bool,
    shown: Option<Instant>,
    drawn: bool,
}

impl Progress {
    fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), shown: None, drawn: false }
    }

    fn show(&mut self, moved: &api::Count, meant: &api::Count) {
        let line = format!("{} of {} spans let go", count(moved.spans), count(meant.spans));
        if self.terminal {
            eprint!("\r\x1b[K{line}");
            self.drawn = true;
        } else if moved.records > 0 && self.shown.is_none_or(|shown| shown.elapsed() > PAUSE) {
            eprintln!("{line}");
            self.shown = Some(Instant::now());
        }
    }

    fn end(&self) {
        if self.drawn {
            eprintln!();
        }
    }
}
