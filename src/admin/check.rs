//! The memory of one check: three failures in a row degrade it, one success clears it.

use crate::clock::unix_nano;

/// Failures in a row until a check counts as failed.
pub(super) const TO_DEGRADE: u32 = 3;

/// What one run of a check found.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finding {
    /// How often in a row what is checked has failed, as far as it knows itself; 0: it works.
    pub(super) failures: u32,
    /// The observed value.
    pub(super) observed: u64,
    /// What is wrong, when something is.
    pub(super) output: Option<String>,
}

/// A check and its last result.
#[derive(Clone, Debug)]
pub(super) struct Check {
    last: Finding,
    /// Nanoseconds since the Unix epoch.
    at: u64,
    in_a_row: u32,
}

impl Check {
    /// A check that has just run for the first time.
    pub(super) fn first(finding: Finding) -> Self {
        let mut check = Self { last: finding.clone(), at: unix_nano(), in_a_row: 0 };
        check.note(finding);
        check
    }

    /// One more result.
    pub(super) fn note(&mut self, finding: Finding) {
        self.at = unix_nano();
        self.in_a_row = match finding.failures {
            0 => 0,
            // What is checked may have failed often between two runs.
            failures => self.in_a_row.saturating_add(1).max(failures),
        };
        self.last = finding;
    }

    /// Whether it has failed often enough.
    pub(super) fn degraded(&self) -> bool {
        self.in_a_row >= TO_DEGRADE
    }

    /// The last result.
    pub(super) fn last(&self) -> &Finding {
        &self.last
    }

    /// When it ran, in nanoseconds since the Unix epoch.
    pub(super) fn at(&self) -> u64 {
        self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(failures: u32) -> Finding {
        Finding { failures, observed: 0, output: None }
    }

    #[test]
    fn three_failures_degrade_and_one_success_clears() {
        let mut check = Check::first(finding(1));
        let degraded: Vec<bool> = [1, 1, 0, 1, 1, 0]
            .into_iter()
            .map(|failures| {
                check.note(finding(failures));
                check.degraded()
            })
            .collect();
        assert_eq!(degraded, [false, true, false, false, false, false]);
    }

    /// Three failed attempts between two runs are three failures, though only one run has seen them.
    #[test]
    fn failures_between_two_runs_count() {
        assert!(!Check::first(finding(2)).degraded());
        assert!(Check::first(finding(3)).degraded());
    }
}
