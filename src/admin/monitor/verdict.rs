//! What the last results mean together: the row of the table, and why.

use super::{Check, Condition, RECEIVER, Role, SPILL, State, findings};
use crate::lock::lock;

impl State {
    /// The row of the table that holds now.
    pub(in crate::admin) fn condition(&self) -> Condition {
        let stalled = lock(&self.0.heartbeat).silent_for() > self.0.timing.stalled_after;
        let stuck = self.stuck();
        let checks = lock(&self.0.checks);
        let Some(receiver) = checks.get(RECEIVER) else { return Condition::Starting };
        let cannot_accept = receiver.degraded() || stuck.is_some();
        let degraded = checks.iter().any(|(name, check)| name != RECEIVER && check.degraded());
        Condition::of(self.0.lifecycle.phase(), stalled, cannot_accept, degraded)
    }

    /// The row in words.
    pub(in crate::admin) fn why(&self, condition: Condition) -> String {
        match condition {
            Condition::CannotAccept if !self.degraded(RECEIVER) => {
                let destination = self.stuck().unwrap_or_default();
                format!("the store takes nothing more, and {destination} takes nothing either: see the check {SPILL}")
            }
            Condition::Degraded => {
                let checks = lock(&self.0.checks);
                let failing = checks.iter().filter(|(_, check)| check.degraded()).map(|(name, _)| name.as_str());
                let names: Vec<&str> = failing.take(5).collect();
                format!("at work, but needs attention: {}", names.join(", "))
            }
            other => other.text().to_owned(),
        }
    }

    /// A required destination that takes nothing while the store takes nothing either: then no promise can be made.
    pub(in crate::admin) fn stuck(&self) -> Option<String> {
        if !self.degraded(SPILL) {
            return None;
        }
        let destinations = self.0.destinations.last();
        let required = destinations.iter().filter(|status| status.role == Role::Required);
        // One that does not take a signal warns, and takes the others.
        let mut down = required.filter(|status| {
            self.degraded(&findings::name_of(status)) && (status.untaken.is_empty() || findings::takes_nothing(status))
        });
        down.next().map(|status| status.name.clone())
    }

    fn degraded(&self, name: &str) -> bool {
        lock(&self.0.checks).get(name).is_some_and(Check::degraded)
    }
}
