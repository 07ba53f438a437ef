//! What each check makes of what it is told. One table of rules; nobody is asked here.
//!
//! What other rooms have already made up their minds about (a breaker, a chain's state, a store that was set aside, a
//! letter that is dead) is a fact and shows at once; only what may be gone in a moment has to fail three times.

use std::collections::BTreeMap;

use super::check::{Finding, TO_DEGRADE};
use crate::config::Role;
use crate::delivery::{BreakerState, DestinationStatus, Signal};
use crate::red::{ChainHealth, ChainState};
use crate::store::StoreStatus;

/// Memory, phase and heartbeat.
pub(super) const RECEIVER: &str = "receiver";
/// Room in the store.
pub(super) const SPILL: &str = "spill";
/// Damaged stores.
pub(super) const SET_ASIDE: &str = "spill:set_aside";
/// What destinations refused for good.
pub(super) const DEAD_LETTERS: &str = "dead_letters";

/// Chains that have an entry each: those that are not well come first.
const MOST_CHAINS: usize = 100;

/// Measurements on their way to one destination of `metrics/gateway`: points so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Component name.
    pub exporter: String,
    /// That arrived.
    pub sent: u64,
    /// That will not.
    pub lost: u64,
}

/// A destination works while its last attempt did, its breaker is closed, and, where answers wait for it, it takes every
/// signal that is sent to it.
pub(super) fn destination(status: &DestinationStatus) -> (String, Finding) {
    let (failures, output) = reached(status);
    let observed = u64::from(status.failures);
    let untaken = status.untaken.iter().filter(|_| status.role == Role::Required);
    let untaken: Vec<String> = untaken.map(|(signal, why)| format!("does not take {}: {why}", signal.name())).collect();
    if untaken.is_empty() {
        return (name_of(status), Finding { failures, observed, output });
    }
    let output = output.into_iter().chain(untaken).collect::<Vec<_>>().join("; ");
    (name_of(status), Finding { failures: failures.max(TO_DEGRADE), observed, output: Some(output) })
}

/// Whether a destination takes nothing at all, not only not one signal or the other.
pub(super) fn takes_nothing(status: &DestinationStatus) -> bool {
    reached(status).0 >= TO_DEGRADE || status.untaken.len() == Signal::ALL.len()
}

/// Failures in a row of a destination as a whole, and what it says.
fn reached(status: &DestinationStatus) -> (u32, Option<String>) {
    let last_error = status.last_error.clone().unwrap_or_default();
    match status.breaker {
        BreakerState::Closed => (status.failures, status.last_error.clone()),
        BreakerState::Open => (status.failures.max(TO_DEGRADE), Some(format!("its breaker is open: {last_error}"))),
        BreakerState::HalfOpen => (
            status.failures.max(TO_DEGRADE),
            Some(format!("its breaker is half-open, one request is tried: {last_error}")),
        ),
    }
}

/// The name of the check on a destination.
pub(super) fn name_of(status: &DestinationStatus) -> String {
    format!("destination:{}", status.name)
}

/// What is known of it is too old.
pub(super) fn unanswered(timeout: std::time::Duration) -> Finding {
    Finding { failures: 1, observed: 1, output: Some(format!("its status was not to be had within {timeout:?}")) }
}

/// The store has room, and was never damaged.
pub(super) fn store(status: &StoreStatus) -> [(String, Finding); 2] {
    let StoreStatus { used_bytes, max_bytes, free_bytes, refusing, set_aside } = status;
    let output = refusing
        .as_ref()
        .map(|why| format!("{why}: {used_bytes} of {max_bytes} bytes are used, {free_bytes} are free on its disk"));
    let room = Finding { failures: u32::from(refusing.is_some()), observed: *used_bytes, output };
    let paths: Vec<String> = set_aside.iter().map(|path| path.display().to_string()).collect();
    let output =
        format!("a damaged store was set aside, what could be read of it was taken over: {}", paths.join(", "));
    let aside = fact(!paths.is_empty(), paths.len() as u64, output);
    [(SPILL.to_owned(), room), (SET_ASIDE.to_owned(), aside)]
}

/// There are no dead letters.
pub(super) fn dead_letters(destinations: &[DestinationStatus]) -> (String, Finding) {
    let spans: u64 = destinations.iter().map(|status| status.spans.dead).sum();
    let requests: u64 = destinations.iter().map(|status| status.requests.dead).sum();
    let output = format!("{spans} spans and {requests} requests of metrics or logs: see chainspan dlq list");
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
        (format!("chain:{chain}"), fact(state.health != ChainHealth::Healthy, state.health as u64, output))
    };
    worst.into_iter().take(MOST_CHAINS).map(finding).collect()
}

/// Measurements arrive. Lost points are a gap in somebody's graph; it is over when points arrive again without loss.
/// `None`: nothing has happened since, so what was known still holds.
pub(super) fn exported(before: &Exported, now: &Exported) -> Option<Finding> {
    let lost = now.lost.saturating_sub(before.lost);
    let output = format!("{lost} points of measurements were lost since the last check");
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

    /// The worst state of a chain counts; of too many chains those are shown that are not well.
    #[test]
    fn of_many_chains_the_sick_are_shown() {
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
        assert_eq!(found.len(), MOST_CHAINS);
        let names: Vec<&str> = found[..2].iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["chain:199", "chain:150"]);
        assert_eq!(found.iter().filter(|(_, finding)| finding.failures > 0).count(), 2);
    }

    /// A full store may have room in a moment; one that was set aside is a fact.
    #[test]
    fn a_full_store_must_last_and_a_damaged_one_need_not() {
        let full = StoreStatus { refusing: Some(NotKept::Full), set_aside: vec!["a".into()], ..StoreStatus::default() };
        let [(_, room), (_, aside)] = store(&full);
        assert_eq!((room.failures, aside.failures), (1, TO_DEGRADE));
        let [(_, room), (_, aside)] = store(&StoreStatus::default());
        assert_eq!((room.failures, aside.failures), (0, 0));
    }

    /// Lost points show until points arrive without loss; silence changes nothing.
    #[test]
    fn lost_points_show_until_others_arrive() {
        let points = |sent, lost| Exported { exporter: String::new(), sent, lost };
        let failures = |before: Exported, now: Exported| exported(&before, &now).map(|finding| finding.failures);
        assert_eq!(failures(points(5, 0), points(5, 0)), None);
        assert_eq!(failures(points(5, 0), points(9, 1)), Some(TO_DEGRADE));
        assert_eq!(failures(points(9, 1), points(9, 1)), None);
        assert_eq!(failures(points(9, 1), points(12, 1)), Some(0));
    }
}
