//! `chainspan dlq replay`: queue dead letters to be sent again, and say what became of them.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::args::{FilterArgs, StoreArgs};
use super::client::{DlqClient, answer};
use super::confirm::{confirmed, print, sum_json};
use super::text::{content, letters, none, plain};
use crate::admin::letters::api;
use crate::cli::format::count;
use crate::cli::output::say;

/// Without a terminal, progress is reported no more often than this.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

/// More spans than this are only replayed after a question, or with --yes.
const CONFIRM_SPANS: u64 = 1_000;

/// Queue dead letters to be sent again, and say what became of them
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  chainspan dlq replay --reason rejected --dry-run")]
pub(super) struct ReplayArgs {
    /// Only these letters; without numbers all that match
    #[arg(value_name = "ID")]
    ids: Vec<i64>,
    #[command(flatten)]
    pub(super) store: StoreArgs,
    #[command(flatten)]
    filter: FilterArgs,
    /// Queue N spans a second; 0: no limit
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    rate: u64,
    /// How long to wait for delivery
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    wait: Duration,
    /// Only say what would be queued
    #[arg(long)]
    dry_run: bool,
    /// Do not ask, even for more than 1,000 spans
    #[arg(long)]
    yes: bool,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// Queues the letters and follows them.
pub(super) async fn replay(client: &mut DlqClient, args: ReplayArgs) -> anyhow::Result<ExitCode> {
    let filter = args.filter.filter(&args.ids);
    let preview = client.preview(filter.clone()).await?;
    let all = preview.meant.unwrap_or_default();
    for name in &preview.unknown_destinations {
        eprintln!("{}: no such destination is configured; its dead letters stay where they are", plain(name));
    }
    if args.dry_run || all.records == 0 {
        let text = if all.records == 0 {
            none(&filter).to_owned()
        } else {
            format!("{} would be queued for replay", letters(&all))
        };
        let moved = sum_json(&api::Count::default());
        print(args.json, &text, &json!({"dry_run": args.dry_run, "meant": sum_json(&all), "moved": moved}))?;
        return Ok(ExitCode::SUCCESS);
    }
    let what = format!("{} would be queued for replay", letters(&all));
    if all.spans > CONFIRM_SPANS && !args.yes && !confirmed(&what, "see them with --dry-run, then add --yes")? {
        return Ok(ExitCode::FAILURE);
    }
    let request = api::ReplayRequest {
        filter: Some(filter),
        spans_per_second: args.rate,
        dry_run: false,
        wait_millis: u64::try_from(args.wait.as_millis()).unwrap_or(u64::MAX),
    };
    let queued = follow(client, request, args.json).await?;
    if args.json {
        say(&format!("{}\n", object(&all, &queued)))?;
    } else {
        say(&outcome_text(client.is_running(), args.wait, &queued.outcome))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// How far a replay is.
#[derive(Default)]
struct Queued {
    moved: api::Count,
    outcome: api::ReplayOutcome,
}

/// Reads the answer to the end. For people, prints what was queued as soon as that is known.
async fn follow(client: &mut DlqClient, request: api::ReplayRequest, as_json: bool) -> anyhow::Result<Queued> {
    let mut parts = answer(client.service().replay(request)).await?.into_inner();
    let (mut queued, mut progress) = (Queued::default(), ReplayProgress::new());
    let mut is_queueing = true;
    let ended = loop {
        let part = match answer(parts.message()).await {
            Ok(Some(part)) => part,
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        };
        queued.moved = part.moved.unwrap_or_default();
        let Some(outcome) = part.outcome else {
            let of = part.meant.unwrap_or_default().spans;
            progress.show(queued.moved.spans, &format!("{} of {} spans queued", count(queued.moved.spans), count(of)));
            continue;
        };
        queued.outcome = outcome;
        if is_queueing && !as_json {
            progress.end();
            say(&format!("{} queued for replay\n", letters(&queued.moved)))?;
        }
        is_queueing = false;
        let delivered = outcome.delivered.unwrap_or_default().spans;
        let line = format!("{} of {} spans delivered", count(delivered), count(queued.moved.spans));
        if outcome.waiting.is_some_and(|waiting| waiting.records > 0) {
            progress.show(delivered, &line);
        }
    };
    progress.end();
    let moved = &queued.moved;
    ended.with_context(|| match is_queueing {
        true => format!("{} were queued before this; run the command again for the rest", letters(moved)),
        false => format!("{} are queued, but not what became of them", letters(moved)),
    })?;
    Ok(queued)
}

/// One line for each thing that happened.
fn outcome_text(is_running: bool, wait: Duration, outcome: &api::ReplayOutcome) -> String {
    let sum = |sum: &Option<api::Count>| sum.unwrap_or_default();
    let (delivered, refused, waiting) = (sum(&outcome.delivered), sum(&outcome.refused), sum(&outcome.waiting));
    let mut text = String::new();
    let mut line = |sum: api::Count, what: &str| {
        if sum.spans + sum.requests > 0 {
            text += &format!("{} {what}\n", content(&sum));
        }
    };
    line(delivered, "delivered");
    line(refused, "refused again: chainspan dlq list shows why");
    if is_running {
        let what = format!("still waiting after {} s: chainspan dlq stats shows how much waits", wait.as_secs());
        line(waiting, &what);
    } else {
        line(waiting, "waiting: no chainspan is running, they are sent when it starts");
    }
    text
}

fn object(meant: &api::Count, queued: &Queued) -> Value {
    let api::ReplayOutcome { delivered, refused, waiting } = &queued.outcome;
    let content = |sum: &Option<api::Count>| {
        let sum = sum.unwrap_or_default();
        json!({"spans": sum.spans, "requests": sum.requests})
    };
    json!({
        "dry_run": false, "meant": sum_json(meant), "moved": sum_json(&queued.moved),
        "delivered": content(delivered), "refused": content(refused), "waiting": content(waiting),
    })
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<SignedDuration>().ok().and_then(|duration| Duration::try_from(duration).ok());
    parsed.ok_or_else(|| "write a time such as 30s or 5m".to_owned())
}

/// Progress on stderr: one line that changes on a terminal, a line now and then elsewhere.
struct ReplayProgress {
    is_terminal: bool,
    shown_at: Option<Instant>,
    is_drawn: bool,
}

impl ReplayProgress {
    fn new() -> Self {
        Self { is_terminal: std::io::stderr().is_terminal(), shown_at: None, is_drawn: false }
    }

    fn show(&mut self, spans: u64, line: &str) {
        if self.is_terminal {
            eprint!("\r\x1b[K{line}");
            self.is_drawn = true;
        } else if spans > 0 && self.shown_at.is_none_or(|shown| shown.elapsed() > PROGRESS_INTERVAL) {
            eprintln!("{line}");
            self.shown_at = Some(Instant::now());
        }
    }

    fn end(&mut self) {
        if self.is_drawn {
            eprintln!();
            self.is_drawn = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each part is told, and only what there is: on a running process until when it was watched, else when it will be sent.
    #[test]
    fn outcomes_are_told() {
        let spans = |spans| Some(api::Count { records: 1, spans, requests: 0, bytes: 0 });
        let wait = Duration::from_secs(30);
        let outcome = api::ReplayOutcome { delivered: spans(1_500), refused: spans(1), waiting: spans(2) };
        assert_eq!(
            outcome_text(true, wait, &outcome),
            "1,500 spans delivered\n1 span refused again: chainspan dlq list shows why\n\
             2 spans still waiting after 30 s: chainspan dlq stats shows how much waits\n"
        );
        let outcome = api::ReplayOutcome { delivered: None, refused: None, waiting: spans(3) };
        assert_eq!(
            outcome_text(false, wait, &outcome),
            "3 spans waiting: no chainspan is running, they are sent when it starts\n"
        );
    }
}
