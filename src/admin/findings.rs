//! What each check concludes from what it is given: one table of rules, which asks nobody.
//!
//! What other rooms have already concluded (a breaker, a chain's state, a store that was set aside, a dead letter) is a
//! fact and shows at once; only what may pass in a moment has to fail three times.

use std::collections::BTreeMap;

use super::check::{Finding, TO_DEGRADE};
use super::sources::ExportedPoints;
use crate::config::Role;
use crate::delivery::{BreakerState, DestinationStatus, Signal};
use crate::red::{ChainHealth, ChainState};
use crate::store::StoreStatus;

/// The check of memory, phase and heartbeat.
pub(super) const RECEIVER: &str = "receiver";
/// The check that the store takes more.
pub(super) const SPILL: &str = "spill";
/// The check for damaged stores that were set aside.
pub(super) const SET_ASIDE: &str = "spill:set_aside";
/// The check for what destinations refused for good.
pub(super) const DEAD_LETTERS: &str = "dead_letters";
/// The checks of chains, each followed by its id.
pub(super) const CHAIN_PREFIX: &str = "chain:";
/// The checks of what becomes of measurements, each followed by the name of a destination.
pub(super) const EXPORT_PREFIX: &str = "metrics:";

/// Chains that have an entry each; those that are not healthy come first.
const MAX_CHAINS: usize = 100;

/// A destination works while its last attempt did, its breaker is closed, and, where answers wait for it, it takes every
/// signal that is sent to it.
pub(super) fn destination(status: &DestinationStatus) -> (String, Finding) {
    let (failures, output) = reached(status);
    let observed = u64::from(status.failures);
    let unimplemented = status.unimplemented.iter().filter(|_| status.role == Role::Required);
    let unimplemented: Vec<String> =
        unimplemented.map(|(signal, why)| format!("does not take {}: {why}", signal.name())).collect();
    if unimplemented.is_empty() {
        return (name_of(status), Finding { failures, observed, output });
    }
    let output = output.into_iter().chain(unimplemented).collect::<Vec<_>>().join("; ");
    (name_of(status), Finding { failures: failures.max(TO_DEGRADE), observed, output: Some(output) })
}

/// Whether a destination takes nothing at all, not only not one signal or the other.
pub(super) fn takes_nothing(status: &DestinationStatus) -> bool {
    reached(status).0 >= TO_DEGRADE || status.unimplemented.len() == Signal::ALL.len()
}

/// Failures in a row of a destination as a whole, and what it says.
fn reached(status: &DestinationStatus) -> (u32, Option<String>) {
    let last_error = status.last_error.clone().unwrap_or_default();
    match status.breaker {
        BreakerState::Closed => (status.failures, status.last_error.clone()),
        BreakerState::Open => (status.failures.max(TO_DEGRADE), Some(format!("circuit breaker is open: {last_error}"))),
        BreakerState::HalfOpen => (
            status.failures.max(TO_DEGRADE),
            Some(format!("circuit breaker is half-open, one request is tried: {last_error}")),
        ),
    }
}

/// The name of the check on a destination.
pub(super) fn name_of(status: &DestinationStatus) -> String {
    format!("destination:{}", status.name)
}

/// What is known of it is too old.
pub(super) fn unanswered(timeout: std::time::Duration) -> Finding {
    Finding { failures: 1, observed: 1, output: Some(format!("its status could not be read within {timeout:?}")) }
}

/// The store takes more, and was not damaged.
pub(super) fn store(status: &StoreStatus) -> [(&'static str, Finding); 2] {
    let StoreStatus { used_bytes, max_bytes, free_bytes, refusing, set_aside } = status;
    let output = refusing
        .as_ref()
        .map(|why| format!("{why}: {used_bytes} of {max_bytes} bytes are used, {free_bytes} are free on its disk"));
    let space = Finding { failures: u32::from(refusing.is_some()), observed: *used_bytes, output };
    let paths: Vec<String> = set_aside.iter().map(|path| path.display().to_string()).collect();
    let output =
        format!("a damaged store was set aside; what could be read of it was taken over: {}", paths.join(", "));
    let aside = fact(!paths.is_empty(), paths.len() as u64, output);
    [(SPILL, space), (SET_ASIDE, aside)]
}

/// There are no dead letters.
pub(super) fn dead_letters(destinations: &[DestinationStatus]) -> (String, Finding) {
    let spans: u64 = destinations.iter().map(|status| status.spans.dead).sum();
    let requests: u64 = destinations.iter().map(|status| status.requests.dead).sum();
    let output = format!("{spans} spans and {requests} requests of metrics or logs; chainspan dlq list shows them");
    (DEAD_LETTERS.to_owned(), fact(spans + requests > 0, spans + requests, output))
}

/// Each chain is healthy, whoever reports on it.
pub(super) fn chains(states: &[ChainState]) -> Vec<(String, Finding)> {
    let mut worst: BTreeMap<String, &ChainState> = BTreeMap::new();
    for state in states {
        let known = worst.entry(state.chain.to_string()).or_insert(state);
        if state.health < known.health {
            *known = state;
        }
    }
    let mut worst: Vec<(String, &ChainState)> = worst.into_iter().collect();
    worst.sort_by_key(|(_, state)| state.health);
    let finding = |(chain, state): (String, &ChainState)| {
        let why = state.why.map_or("", |why| why.text());
        let output = format!("{}: {why}", state.health.label());
        (format!("{CHAIN_PREFIX}{chain}"), fact(state.health != ChainHealth::Healthy, state.health as u64, output))
    };
    worst.into_iter().take(MAX_CHAINS).map(finding).collect()
}

/// Measurements arrive. Lost points are a gap in somebody's graph; the check passes when points arrive again without loss.
/// `None`: nothing has happened since, so the last result still holds.
pub(super) fn exported(before: &ExportedPoints, now: &ExportedPoints) -> Option<Finding> {
    let lost = now.lost.saturating_sub(before.lost);
    let output = format!("{lost} points were lost since the last check");
    (lost > 0 || now.sent > before.sent).then(|| fact(lost > 0, now.lost, output))
}

fn fact(wrong: bool, observed: u64, output: String) -> Finding {
    Finding { failures: if wrong { TO_DEGRADE } else { 0 }, observed, output: wrong.then_some(output) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::chain::ChainId;
    use crate::red::ChainLabel;
    use crate::store::NotKept;

    /// The worst state of a chain counts; of too many chains the unhealthy are shown.
    #[test]
    fn of_many_chains_the_unhealthy_are_shown() {
        let state = |chain, health| ChainState {
            dims: Arc::default(),
            chain: ChainLabel::Id(ChainId::new(chain).unwrap()),
            health,
            why: None,
        };
        let mut states: Vec<ChainState> = (1..=200).map(|chain| state(chain, ChainHealth::Healthy)).collect();
        states.extend([
            state(150, ChainHealth::Degraded),
            state(150, ChainHealth::Healthy),
            state(199, ChainHealth::Down),
        ]);
        let found = chains(&states);
        assert_eq!(found.len(), MAX_CHAINS);
        let names: Vec<&str> = found[..2].iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["chain:199", "chain:150"]);
        assert_eq!(found.iter().filter(|(_, finding)| finding.failures > 0).count(), 2);
    }

    /// A full store may take more in a moment; one that was set aside is a fact.
    #[test]
    fn a_full_store_must_last_and_a_damaged_one_need_not() {
        let full = StoreStatus { refusing: Some(NotKept::Full), set_aside: vec!["a".into()], ..StoreStatus::default() };
        let [(_, space), (_, aside)] = store(&full);
        assert_eq!((space.failures, aside.failures), (1, TO_DEGRADE));
        let [(_, space), (_, aside)] = store(&StoreStatus::default());
        assert_eq!((space.failures, aside.failures), (0, 0));
    }

    /// Lost points show until points arrive without loss; silence changes nothing.
    #[test]
    fn lost_points_show_until_others_arrive() {
        let points = |sent, lost| ExportedPoints { exporter: String::new(), sent, lost };
        let failures =
            |before: ExportedPoints, now: ExportedPoints| exported(&before, &now).map(|finding| finding.failures);
        assert_eq!(failures(points(5, 0), points(5, 0)), None);
        assert_eq!(failures(points(5, 0), points(9, 1)), Some(TO_DEGRADE));
        assert_eq!(failures(points(9, 1), points(9, 1)), None);
        assert_eq!(failures(points(9, 1), points(12, 1)), Some(0));
    }
}
