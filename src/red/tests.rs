//! What the room promises as a whole; larger runs through the public door are in `tests/red/counts.rs`.

use std::collections::BTreeSet;
use std::sync::Arc;
#[cfg(chainspan_loom)]
use std::time::Duration;

use super::*;
use crate::chain::ChainId;
use crate::gateway::{Detail, Measured, Operation, OutcomeClass};

/// What the tests ask of a snapshot; the product shows it series by series.
impl Snapshot {
    fn series(&self, metric: Metric) -> &[Series] {
        self.families.iter().find(|family| family.metric == metric).map_or(&[], |family| &family.series)
    }

    /// Counts, or observations of a distribution, of the series whose attributes satisfy `select`.
    fn total(&self, metric: Metric, select: impl Fn(&Attributes) -> bool) -> u64 {
        self.series(metric).iter().filter(|series| select(&series.attributes)).map(|series| count(&series.value)).sum()
    }

    #[cfg(chainspan_loom)]
    fn durations(&self) -> DurationHistogram {
        let mut together = DurationHistogram::default();
        for series in self.series(Metric::OperationDuration) {
            if let SeriesValue::Duration(histogram) = &series.value {
                together.merge(histogram);
            }
        }
        together
    }
}

fn classic(value: &SeriesValue) -> &FixedHistogram {
    match value {
        SeriesValue::Counter(_) | SeriesValue::Gauge(_) => panic!("no distribution: {value:?}"),
        SeriesValue::Duration(histogram) => histogram.classic(),
        SeriesValue::Fixed(histogram) => histogram,
    }
}

fn count(value: &SeriesValue) -> u64 {
    match value {
        SeriesValue::Counter(count) => *count,
        SeriesValue::Gauge(_) => 0,
        distribution => classic(distribution).count(),
    }
}

pub(super) fn settings(committers: usize) -> RedSettings {
    RedSettings {
        namespace: "avs.gateway".to_owned(),
        dimensions: vec!["service.name".to_owned()],
        chains: BTreeSet::new(),
        max_chains: 64,
        max_series: 4_096,
        committers,
        ..RedSettings::default()
    }
}

pub(super) fn observation(chain: u64, duration_nano: u64) -> Observation {
    let measured = Measured {
        operation: Operation::Task,
        outcome: OutcomeClass::Success,
        reason: None,
        status_conflict: false,
        attempts: None,
        signed_stake_ratio: None,
        threshold: None,
        webhook: None,
        detail: Detail::Nothing,
    };
    Observation {
        dims: 0,
        chain: ChainId::new(chain),
        measured,
        end_unix_nano: 0,
        duration_nano,
        trace_id: [0; 16],
        span_id: [0; 8],
    }
}

pub(super) fn stage(observations: Vec<Observation>) -> Stage {
    Stage { dims: vec![Arc::new(Dims(vec!["gateway".into()].into()))], observations, ..Stage::default() }
}

#[cfg(not(chainspan_loom))]
mod plain {
    use super::*;

    /// `55 % − 50 %` is 0.05, on its bound: binary fractions must not push it into the next bucket.
    #[test]
    fn margins_on_a_bound_stay_on_it() {
        let red = Red::new(settings(1));
        let mut aggregation = observation(1, 1);
        aggregation.measured.operation = Operation::BlsAggregation;
        aggregation.measured.signed_stake_ratio = Some(0.55);
        aggregation.measured.threshold = Some(0.5);
        red.commit(&stage(vec![aggregation]), 0);
        let snapshot = red.snapshot(0);
        let margin = classic(&snapshot.series(Metric::QuorumMargin)[0].value);
        assert_eq!(margin.buckets()[21], 1, "{margin:?}");
        assert_eq!(margin.sum(), 50_000_000);
    }

    /// Ratio and threshold mean something on aggregations only; elsewhere they are attributes of somebody else.
    #[test]
    fn stake_is_counted_on_aggregations_only() {
        let red = Red::new(settings(1));
        let mut task = observation(1, 1);
        task.measured.signed_stake_ratio = Some(0.5);
        task.measured.threshold = Some(0.5);
        red.commit(&stage(vec![task]), 0);
        let snapshot = red.snapshot(0);
        assert!(
            snapshot.series(Metric::SignedStakeRatio).is_empty() && snapshot.series(Metric::QuorumMargin).is_empty()
        );
        assert_eq!(snapshot.total(Metric::Operations, |_| true), 1);
    }

    /// More threads than the shards were made for: slower perhaps, and exact all the same.
    #[test]
    fn more_committers_than_shards_lose_nothing() {
        let red = Red::new(settings(1));
        std::thread::scope(|scope| {
            for chain in 1..=6 {
                let red = &red;
                scope.spawn(move || (0..500).for_each(|i| red.commit(&stage(vec![observation(chain, i)]), 0)));
            }
        });
        assert_eq!(red.snapshot(0).total(Metric::Operations, |_| true), 3_000);
    }

    /// A stage that points at dimensions it does not have is counted, beyond the limit, rather than lost or a panic.
    #[test]
    fn a_dangling_dimension_is_counted() {
        let red = Red::new(settings(1));
        let mut dangling = observation(1, 1);
        dangling.dims = 7;
        red.commit(&stage(vec![dangling]), 0);
        let snapshot = red.snapshot(0);
        assert_eq!((snapshot.total(Metric::Operations, |_| true), snapshot.overflow_observations), (1, 1));
    }
}

/// Every interleaving of commits and snapshots. Run with
/// `RUSTFLAGS="--cfg chainspan_loom" cargo test --release --lib loom`.
#[cfg(chainspan_loom)]
mod loom_model {
    use super::*;

    fn counts(snapshot: &Snapshot) -> (u64, u64) {
        let of = |chain| {
            snapshot.total(Metric::Operations, |attributes| {
                attributes.chain == ChainLabel::Id(ChainId::new(chain).expect("valid"))
            })
        };
        let total = snapshot.total(Metric::Operations, |_| true);
        let durations = snapshot.durations();
        assert_eq!(durations.count(), total, "torn: count and buckets");
        assert_eq!(durations.classic().sum(), i128::from(total) * 1_000_000, "torn: sum");
        (of(1), of(2))
    }

    /// Two threads commit a request of two spans each while a third looks twice. What it sees are whole requests, never
    /// fewer than before; what has been committed is there in the end, once.
    #[test]
    fn loom_commits_and_snapshots_neither_lose_nor_tear_nor_double() {
        loom::model(|| {
            let red = Arc::new(Red::new(settings(2)));
            let committers = [1, 2].map(|chain| {
                let red = Arc::clone(&red);
                loom::thread::spawn(move || {
                    red.commit(&stage(vec![observation(chain, 1_000_000), observation(chain, 1_000_000)]), 0);
                })
            });
            let first = counts(&red.snapshot(0));
            let second = counts(&red.snapshot(0));
            for (before, after) in [(first.0, second.0), (first.1, second.1)] {
                assert!(matches!((before, after), (0, 0) | (0, 2) | (2, 2)), "torn or lost: {before} then {after}");
            }
            committers.into_iter().for_each(|committer| committer.join().expect("no panic"));
            assert_eq!(counts(&red.snapshot(0)), (2, 2));
        });
    }

    /// A window is closed while two requests come in that belong to it, and to the next one. Each is in exactly one window
    /// as a whole, and windows together hold what the totals do.
    #[test]
    fn loom_a_closing_window_neither_loses_nor_doubles() {
        const TURN: u64 = 3 * WINDOW_NANO;
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(|| {
            let red = Arc::new(Red::new(settings(2)));
            let committers = [1, 2].map(|chain| {
                let red = Arc::clone(&red);
                loom::thread::spawn(move || {
                    let span = || Observation { end_unix_nano: WINDOW_NANO + 1, ..observation(chain, 1_000_000) };
                    red.commit(&stage(vec![span(), span()]), if chain == 1 { TURN - 1 } else { TURN });
                })
            });
            let mut windows = red.close(TURN);
            committers.into_iter().for_each(|committer| committer.join().expect("no panic"));
            windows.extend(red.flush(TURN + 1));
            assert!(windows.windows(2).all(|pair| pair[0].end_unix_nano <= pair[1].start_unix_nano), "overlap");
            let total: u64 = windows.iter().map(|window| window.snapshot.total(Metric::Operations, |_| true)).sum();
            assert_eq!(total, 4, "lost or doubled");
            windows.iter().for_each(|window| {
                let (one, two) = counts(&window.snapshot);
                assert!(one % 2 == 0 && two % 2 == 0, "torn");
            });
            assert_eq!(counts(&red.snapshot(0)), (2, 2));
        });
    }

    /// The last place is given back while two threads want it: one of them gets it or none, never both, and nothing is lost.
    #[test]
    fn loom_registration_and_retirement_keep_the_limit() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(2);
        model.check(|| {
            let limits = RedSettings { max_series: 8, series_idle: Duration::from_secs(1), ..settings(2) };
            let red = Arc::new(Red::new(limits));
            red.commit(&stage(vec![observation(9, 1_000_000)]), 1);
            drop(red.snapshot(0));
            let committers = [1, 2].map(|chain| {
                let red = Arc::clone(&red);
                loom::thread::spawn(move || red.commit(&stage(vec![observation(chain, 1_000_000)]), 2_000_000_000))
            });
            drop(red.close(2_000_000_000));
            committers.into_iter().for_each(|committer| committer.join().expect("no panic"));
            let snapshot = red.snapshot(0);
            assert_eq!(counts(&snapshot).0 + counts(&snapshot).1, 2, "lost or doubled");
            let own = snapshot.families.iter().flat_map(|family| &family.series);
            assert!(own.filter(|series| !series.attributes.overflow).count() <= 4, "the limit");
        });
    }
}
