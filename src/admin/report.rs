//! `application/health+json` (draft-inadarei-api-health-check): what `/health` and `/health/ready` answer.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::check::Check;
use super::condition::{Condition, Health};
use super::findings::{DEAD_LETTERS, RECEIVER, SET_ASIDE, SPILL};
use super::monitor::State;
use crate::clock;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    status: Health,
    release_id: &'static str,
    description: &'static str,
    output: String,
    /// As the draft has it, a list for each name.
    checks: BTreeMap<String, [Entry; 1]>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    status: Health,
    component_type: &'static str,
    observed_value: u64,
    observed_unit: &'static str,
    /// When the check ran.
    time: String,
    /// How long ago that was, in seconds.
    age: f64,
    output: String,
}

/// Which of the two questions is asked.
#[derive(Clone, Copy, Debug)]
pub(super) enum Question {
    /// `/health`
    Alive,
    /// `/health/ready`
    Ready,
}

/// The answer and its status. Reads what is known, asks nobody.
pub(super) fn report(state: &State, question: Question) -> (Health, String) {
    let condition = state.condition();
    let status = match question {
        Question::Alive => condition.alive(),
        Question::Ready => condition.ready(),
    };
    let mut checks: BTreeMap<String, [Entry; 1]> =
        state.checks().iter().map(|(name, check)| (name.clone(), [entry(name, check)])).collect();
    // The receiver's entry also tells what is not a check's result: the phase and the heartbeat.
    if let Some([receiver]) = checks.get_mut(RECEIVER) {
        receiver.status = match condition {
            Condition::Degraded => Health::Pass,
            // Of the store, which has an entry of its own.
            Condition::CannotAccept if receiver.status == Health::Pass => Health::Pass,
            condition => condition.ready(),
        };
        if receiver.status != Health::Pass && receiver.output.is_empty() {
            receiver.output = condition.text().to_owned();
        }
    }
    if condition == Condition::CannotAccept
        && state.stuck().is_some()
        && let Some([spill]) = checks.get_mut(SPILL)
    {
        spill.status = Health::Fail;
    }
    let report = Report {
        status,
        release_id: env!("CARGO_PKG_VERSION"),
        description: "chainspan",
        output: state.why(condition),
        checks,
    };
    (
        status,
        serde_json::to_string(&report)
            .unwrap_or_else(|error| format!("{{\"status\":\"fail\",\"output\":\"{error}\"}}")),
    )
}

fn entry(name: &str, check: &Check) -> Entry {
    let last = check.last();
    let (component_type, observed_unit) = match name {
        RECEIVER => ("system", "By"),
        SPILL => ("datastore", "By"),
        SET_ASIDE => ("datastore", "files"),
        DEAD_LETTERS => ("component", "spans"),
        _ if name.starts_with("chain:") => ("component", "health"),
        _ if name.starts_with("metrics:") => ("component", "lost points"),
        _ => ("component", "failures"),
    };
    Entry {
        status: if check.degraded() { Health::Warn } else { Health::Pass },
        component_type,
        observed_value: last.observed,
        observed_unit,
        time: clock::rfc3339_seconds(check.at()),
        age: Duration::from_nanos(clock::unix_nano().saturating_sub(check.at())).as_secs_f64(),
        output: last.output.clone().unwrap_or_default(),
    }
}
