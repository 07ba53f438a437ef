//! `application/health+json` (draft-inadarei-api-health-check): what `/health` and `/health/ready` answer.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::check::Check;
use super::condition::{Condition, HealthStatus};
use super::findings::{CHAIN_PREFIX, DEAD_LETTERS, EXPORT_PREFIX, RECEIVER, SET_ASIDE, SPILL};
use super::monitor::Monitor;
use crate::clock;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    status: HealthStatus,
    release_id: &'static str,
    description: &'static str,
    output: String,
    /// As the draft has it, a list for each name.
    checks: BTreeMap<String, [Entry; 1]>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    status: HealthStatus,
    component_type: &'static str,
    observed_value: u64,
    observed_unit: &'static str,
    /// When the check ran.
    time: String,
    /// How long ago that was, in seconds.
    age: f64,
    output: String,
}

/// Which of the two is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Probe {
    /// `/health`
    Liveness,
    /// `/health/ready`
    Readiness,
}

/// The status, and the answer as JSON. Reads what is known, asks nobody.
pub(super) fn report(monitor: &Monitor, probe: Probe) -> (HealthStatus, serde_json::Result<String>) {
    let condition = monitor.condition();
    let status = match probe {
        Probe::Liveness => condition.alive(),
        Probe::Readiness => condition.ready(),
    };
    let mut checks: BTreeMap<String, [Entry; 1]> =
        monitor.results().all().iter().map(|(name, check)| (name.clone(), [entry(name, check)])).collect();
    // The receiver's entry also shows what is not the result of a check: the phase and the heartbeat.
    if let Some([receiver]) = checks.get_mut(RECEIVER) {
        receiver.status = match condition {
            Condition::Degraded => HealthStatus::Pass,
            // Of the store, which has an entry of its own.
            Condition::CannotAccept if receiver.status == HealthStatus::Pass => HealthStatus::Pass,
            condition => condition.ready(),
        };
        if receiver.status != HealthStatus::Pass && receiver.output.is_empty() {
            receiver.output = condition.text().to_owned();
        }
    }
    if condition == Condition::CannotAccept
        && monitor.stuck().is_some()
        && let Some([spill]) = checks.get_mut(SPILL)
    {
        spill.status = HealthStatus::Fail;
    }
    let report = Report {
        status,
        release_id: env!("CARGO_PKG_VERSION"),
        description: "chainspan",
        output: monitor.why(condition),
        checks,
    };
    (status, serde_json::to_string(&report))
}

fn entry(name: &str, check: &Check) -> Entry {
    let last = check.last();
    let (component_type, observed_unit) = match name {
        RECEIVER => ("system", "By"),
        SPILL => ("datastore", "By"),
        SET_ASIDE => ("datastore", "files"),
        DEAD_LETTERS => ("component", "spans"),
        _ if name.starts_with(CHAIN_PREFIX) => ("component", "health"),
        _ if name.starts_with(EXPORT_PREFIX) => ("component", "lost points"),
        _ => ("component", "failures"),
    };
    Entry {
        status: if check.degraded() { HealthStatus::Warn } else { HealthStatus::Pass },
        component_type,
        observed_value: last.observed,
        observed_unit,
        time: clock::rfc3339_seconds(check.at()),
        age: Duration::from_nanos(clock::unix_nano().saturating_sub(check.at())).as_secs_f64(),
        output: last.output.clone().unwrap_or_default(),
    }
}
