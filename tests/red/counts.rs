//! What is counted: exactly, for its own chain, within bounds, whoever commits and whoever looks.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use chainspan::gateway::{FailureReason, Operation, OutcomeClass, QuorumClass, QuorumReason, TxReason};
use chainspan::red::{Attributes, ChainLabel, Metric, Red, RedSettings, Snapshot, Stage};
use proptest::prelude::*;

use crate::support::*;

/// Everything that a snapshot says of one chain.
fn of_chain(snapshot: &Snapshot, label: ChainLabel) -> Vec<String> {
    let series =
        snapshot.families.iter().flat_map(|family| family.series.iter().map(move |series| (family.metric, series)));
    series.filter(|(_, series)| series.attributes.chain == label).map(|series| format!("{series:?}")).collect()
}

proptest! {
    /// Isolation: with chain A's spans in between, in the same requests and by other threads' shards, every series of
    /// chain B is what it would have been without them.
    #[test]
    fn no_span_of_one_chain_changes_a_series_of_another(
        spans in prop::collection::vec((any::<bool>(), 0u64..10_000, any::<bool>()), 1..300),
    ) {
        let (with, without) = (Red::new(settings()), Red::new(settings()));
        let (a, b) = (chain(1), chain(8453));
        for request in spans.chunks(7) {
            let all = request.iter().map(|(is_a, number, known)| {
                varied(if *is_a { known.then_some(a) } else { Some(b) }, *number)
            });
            with.commit(&stage(all.clone().collect()), 0);
            without.commit(&stage(all.filter(|observation| observation.chain == Some(b)).collect()), 0);
        }
        let (with, without) = (with.snapshot(0), without.snapshot(0));
        prop_assert_eq!(of_chain(&with, ChainLabel::Id(b)), of_chain(&without, ChainLabel::Id(b)));
        prop_assert_eq!(with.total(Metric::Operations, |_| true), spans.len() as u64);
    }
}

/// 100,000 invented chains, services and combinations, from several threads: the limit of series holds at every look, every
/// admitted chain stays visible, nothing is lost from the totals, and a chain of the configuration that comes late still
/// has its own label.
#[test]
fn inventing_chains_and_services_explodes_nothing() {
    let configured = chain(11_155_111);
    for max_series in [200, 4_096] {
        let chains = BTreeSet::from([configured]);
        let limits = RedSettings { chains, max_chains: 16, max_series, ..settings() };
        let red = Red::new(limits);
        std::thread::scope(|scope| {
            for thread in 0..4u64 {
                let red = &red;
                scope.spawn(move || {
                    for invented in (thread..100_000).step_by(4) {
                        let observation = varied(Some(chain(1_000_000 + invented)), invented);
                        let dims = dims(&format!("service-{invented}"), "prod");
                        red.commit(&Stage { dims: vec![dims], observations: vec![observation], ..Stage::default() }, 0);
                        if invented % 25_000 < 4 {
                            assert!(red.snapshot(0).series_count() <= max_series);
                        }
                    }
                });
            }
        });
        red.commit(&stage(vec![success(Some(configured), Operation::Task, 1)]), 0);
        let snapshot = red.snapshot(0);
        assert!(snapshot.series_count() <= max_series, "{} of {max_series}", snapshot.series_count());
        assert_eq!(snapshot.total(Metric::Operations, |_| true), 100_001);
        assert_eq!(snapshot.duration(|_| true).count(), 100_001);
        let labels: BTreeSet<_> = snapshot.series(Metric::Operations).iter().map(|s| s.attributes.chain).collect();
        assert_eq!(labels.len(), 18, "the configured one, 16 more, the others together");
        assert!(labels.contains(&ChainLabel::Other) && labels.contains(&ChainLabel::Id(configured)));
        assert!(snapshot.overflow_observations > 50_000, "{}", snapshot.overflow_observations);
        for label in labels {
            let beyond = snapshot.series(Metric::Operations).iter().filter(|series| series.attributes.chain == label);
            assert!(beyond.filter(|series| series.attributes.overflow).count() <= 1, "one shared series per chain");
        }
    }
}

/// What was admitted before a flood is counted in its own series during and after it.
#[test]
fn a_flood_does_not_displace_those_who_were_there() {
    let red = Red::new(RedSettings { max_chains: 4, max_series: 200, ..settings() });
    let known = || stage(vec![success(Some(chain(1)), Operation::Task, 1_000_000)]);
    red.commit(&known(), 0);
    for invented in 0..5_000u64 {
        let dims = dims(&format!("service-{invented}"), "");
        red.commit(
            &Stage {
                dims: vec![dims],
                observations: vec![varied(Some(chain(invented + 2)), invented)],
                ..Stage::default()
            },
            0,
        );
        red.commit(&known(), 0);
    }
    let snapshot = red.snapshot(0);
    let mine = |series: &&chainspan::red::Series| series.dims == dims("gateway", "prod");
    let counts: Vec<_> = snapshot.series(Metric::Operations).iter().filter(mine).map(|s| s.value.count()).collect();
    assert_eq!(counts, [5_001]);
}

/// Four threads commit while a fifth looks all the time: at every look a distribution has as many observations as its
/// buckets, as its counter, and whole requests only; totals never fall; in the end they are exact.
#[test]
fn concurrent_commits_are_counted_exactly_at_every_look() {
    const REQUESTS: u64 = 2_000;
    let red = Red::new(settings());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let looker = scope.spawn(|| {
            let (mut looks, mut before) = (0, 0);
            while !done.load(Ordering::Acquire) || looks == 0 {
                let snapshot = red.snapshot(0);
                let total = snapshot.total(Metric::Operations, |_| true);
                assert!(total >= before, "totals never fall");
                assert_eq!(total % 5, 0, "a request of five spans counts as a whole");
                for id in 1..=5 {
                    let of_chain = |attributes: &Attributes| attributes.chain == ChainLabel::Id(chain(id));
                    let (duration, counted) =
                        (snapshot.duration(of_chain), snapshot.total(Metric::Operations, of_chain));
                    let exponential: u64 = duration.exponential().map(|(_, count)| count).sum();
                    assert_eq!(exponential + duration.zero_count(), counted, "chain {id}");
                    assert_eq!(duration.count(), counted, "chain {id}");
                    // Each span takes one millisecond times its chain.
                    assert_eq!(duration.classic().sum(), i128::from(counted * id) * 1_000_000);
                }
                (looks, before) = (looks + 1, total);
            }
        });
        let committers: Vec<_> = (1..=4u64)
            .map(|id| {
                let red = &red;
                scope.spawn(move || {
                    let spans = |id: u64| success(Some(chain(id)), Operation::Task, id * 1_000_000);
                    let request = stage(vec![spans(id), spans(id), spans(5), spans(5), spans(id)]);
                    (0..REQUESTS).for_each(|_| red.commit(&request, 0));
                })
            })
            .collect();
        let ended: Vec<_> = committers.into_iter().map(|committer| committer.join()).collect();
        done.store(true, Ordering::Release);
        ended.into_iter().for_each(|committer| committer.expect("no panic"));
        looker.join().expect("no assertion failed");
    });
    let snapshot = red.snapshot(0);
    let of_chain = |id| snapshot.total(Metric::Operations, |attributes| attributes.chain == ChainLabel::Id(chain(id)));
    assert_eq!([1, 2, 3, 4, 5].map(of_chain), [3 * REQUESTS, 3 * REQUESTS, 3 * REQUESTS, 3 * REQUESTS, 8 * REQUESTS]);
}

/// Each metric counts what the catalogue says and nothing else.
#[test]
fn every_metric_counts_what_it_is_for() {
    let red = Red::new(settings());
    let one = Some(chain(1));
    let mut reached = success(one, Operation::BlsAggregation, 4_000_000_000);
    reached.measured.signed_stake_ratio = Some(0.8);
    reached.measured.threshold = Some(0.67);
    let mut retried = success(one, Operation::TxSubmission, 1);
    retried.measured.attempts = Some(3);
    red.commit(
        &stage(vec![
            reached,
            reached,
            failure(one, Operation::BlsAggregation, FailureReason::Quorum(QuorumReason::QuorumNotReached), 1),
            failure(one, Operation::BlsAggregation, FailureReason::Quorum(QuorumReason::InvalidSignature), 1),
            failure(one, Operation::BlsAggregation, FailureReason::Other, 1),
            failure(one, Operation::TxSubmission, FailureReason::Tx(TxReason::NonceTooLow), 1),
            failure(one, Operation::Task, FailureReason::Timeout, 1),
            retried,
            success(None, Operation::WebhookDelivery, 1),
        ]),
        0,
    );
    let snapshot = red.snapshot(0);
    let total = |metric| snapshot.total(metric, |_| true);
    assert_eq!(total(Metric::Operations), 9);
    assert_eq!(total(Metric::OperationDuration), 9);
    assert_eq!(total(Metric::QuorumFailures), 3);
    assert_eq!(total(Metric::TxFailures), 1);
    assert_eq!(total(Metric::WebhookDeliveries), 1);
    assert_eq!(total(Metric::SignedStakeRatio), 2);
    assert_eq!(total(Metric::QuorumMargin), 2);
    assert_eq!(total(Metric::OperationAttempts), 1);
    let operations =
        |chain, outcome| snapshot.total(Metric::Operations, |of| of.chain == chain && of.outcome == Some(outcome));
    let outcomes = |chain| OutcomeClass::ALL.map(|outcome| operations(chain, outcome));
    assert_eq!(outcomes(ChainLabel::Id(chain(1))), [3, 5, 0]);
    assert_eq!(outcomes(ChainLabel::Unknown), [1, 0, 0]);
    let of_quorum = |of: &Attributes| of.reason.is_some_and(|reason| reason.quorum_class() == QuorumClass::Quorum);
    assert_eq!(snapshot.total(Metric::QuorumFailures, of_quorum), 1);
}
