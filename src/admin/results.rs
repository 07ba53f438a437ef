//! The checks by name, each with its last result.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::check::{Check, Finding};
use crate::lock::lock;

/// What the checks have found. The lock is held for a few instructions, on the admin thread alone.
#[derive(Debug, Default)]
pub(super) struct Results(Mutex<BTreeMap<String, Check>>);

impl Results {
    /// One more result of the check `name`.
    pub(super) fn note(&self, name: &str, finding: Finding) {
        let mut checks = lock(&self.0);
        match checks.get_mut(name) {
            Some(check) => check.note(finding),
            None => {
                checks.insert(name.to_owned(), Check::first(finding));
            }
        }
    }

    /// One more result of every check whose name begins with `prefix`; those that are not among `found` are forgotten.
    pub(super) fn replace(&self, prefix: &str, found: Vec<(String, Finding)>) {
        let gone = |name: &String| name.starts_with(prefix) && found.iter().all(|(known, _)| known != name);
        lock(&self.0).retain(|name, _| !gone(name));
        found.into_iter().for_each(|(name, finding)| self.note(&name, finding));
    }

    /// Every check with its last result.
    pub(super) fn all(&self) -> BTreeMap<String, Check> {
        lock(&self.0).clone()
    }

    /// The last result of the check `name`; `None`: it has not run yet.
    pub(super) fn get(&self, name: &str) -> Option<Check> {
        lock(&self.0).get(name).cloned()
    }

    /// Whether the check `name` has failed often enough.
    pub(super) fn degraded(&self, name: &str) -> bool {
        lock(&self.0).get(name).is_some_and(Check::degraded)
    }

    /// Whether any check but `name` has failed often enough.
    pub(super) fn any_degraded_but(&self, name: &str) -> bool {
        lock(&self.0).iter().any(|(other, check)| other != name && check.degraded())
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::TO_DEGRADE;
    use super::*;

    fn finding(failures: u32) -> Finding {
        Finding { failures, observed: 0, output: None }
    }

    #[test]
    fn replaced_checks_are_forgotten_when_they_are_gone() {
        let results = Results::default();
        results.note("receiver", finding(0));
        results
            .replace("chain:", vec![("chain:1".to_owned(), finding(TO_DEGRADE)), ("chain:2".to_owned(), finding(0))]);
        assert!(results.degraded("chain:1") && results.any_degraded_but("receiver"));
        results.replace("chain:", vec![("chain:2".to_owned(), finding(0))]);
        assert!(results.all().keys().eq(["chain:2", "receiver"]));
        assert!(!results.any_degraded_but("receiver"));
    }
}
