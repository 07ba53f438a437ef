//! Bounded and isolated: retirement, gauges, hostile figures, and what a series costs.

use chainspan::gateway::{Detail, FailureReason, GatewayBreaker, Operation, OptionalCount, Seconds, TxReason};
use chainspan::red::{
    ChainHealth, ChainLabel, Metric, Observation, ObservedState, Reading, Red, RedSettings, SeriesValue, Snapshot,
    Stage, Subject,
};

use crate::support::*;

const SECOND: u64 = 1_000_000_000;
const T: u64 = 1_700_000_000 * SECOND;
const IDLE: u64 = 900 * SECOND;

fn reading(raw: u64, name: &str, state: ObservedState, end_unix_nano: u64) -> Reading {
    let subject = Subject { name: name.into(), instance: "gateway-0".into() };
    Reading { dims: 0, chain: Some(chain(raw)), end_unix_nano, state, subject }
}

fn readings(readings: Vec<Reading>) -> Stage {
    Stage { readings, ..stage(Vec::new()) }
}

fn of_chain(snapshot: &Snapshot, raw: u64) -> Vec<String> {
    let all = snapshot.families.iter().flat_map(|family| family.series.iter().map(move |s| (family.metric, s)));
    let label = ChainLabel::Id(chain(raw));
    all.filter(|(_, series)| series.attributes.chain == label).map(|(metric, s)| format!("{metric:?} {s:?}")).collect()
}

fn gauge(snapshot: &Snapshot, metric: Metric) -> Vec<(String, f64)> {
    let text = |series: &chainspan::red::Series| {
        series.texts(metric).map(|(_, value)| value.into_owned()).collect::<Vec<_>>().join(" ")
    };
    let value = |series: &chainspan::red::Series| match series.value {
        SeriesValue::Gauge(value) => value,
        _ => panic!("a gauge"),
    };
    snapshot.series(metric).iter().map(|series| (text(series), value(series))).collect()
}

/// Rule 8: a series that is idle for 15 minutes leaves the running totals and the windows and gives its place back; others
/// that share its spans' cells stay as they are; when it returns it starts anew, with a fresh start.
#[test]
fn an_idle_series_is_retired_and_starts_anew() {
    let red = Red::new(RedSettings { start_unix_nano: T, ..settings() });
    let failed = || failure(Some(chain(1)), Operation::TxSubmission, FailureReason::Tx(TxReason::NonceTooLow), SECOND);
    let other = || failure(Some(chain(1)), Operation::TxSubmission, FailureReason::Tx(TxReason::Reverted), SECOND);
    red.commit(&stage(vec![failed(), failed(), other()]), T + SECOND);
    red.close(T + SECOND);
    red.commit(&stage(vec![other()]), T + 800 * SECOND);
    red.close(T + 800 * SECOND);
    assert_eq!(red.snapshot(0).series(Metric::TxFailures).len(), 2);
    red.close(T + SECOND + IDLE);
    let snapshot = red.snapshot(0);
    let reasons: Vec<_> = snapshot.series(Metric::TxFailures).iter().map(|series| series.value.count()).collect();
    assert_eq!(reasons, [2], "nonce_too_low is gone, reverted is there");
    assert_eq!(snapshot.total(Metric::OperationDuration, |_| true), 4, "the shared series does not fall");

    let back = T + 1_000 * SECOND;
    red.commit(&stage(vec![failed()]), back);
    let snapshot = red.snapshot(0);
    let again = snapshot.series(Metric::TxFailures).iter().find(|series| series.value.count() == 1).expect("returned");
    assert_eq!(again.start_unix_nano, back);
    assert_eq!(snapshot.series(Metric::OperationDuration)[0].start_unix_nano, T + SECOND);
    assert_eq!(snapshot.total(Metric::OperationDuration, |_| true), 5);

    red.close(back + IDLE + SECOND);
    assert_eq!(red.snapshot(0).series_count(), 0, "gauges too");
    assert!(red.close(back + IDLE + 60 * SECOND).is_empty(), "nothing to show");
}

/// The places of retired series, chains, services and signers are there for others: after a flood has gone idle, newcomers
/// get series of their own again.
#[test]
fn retired_places_are_given_back() {
    let red = Red::new(RedSettings { max_chains: 4, max_series: 200, start_unix_nano: T, ..settings() });
    for round in 0..5u64 {
        let now = T + round * (IDLE + 60 * SECOND);
        for invented in 0..500u64 {
            let id = round * 1_000 + invented;
            let observations = vec![varied(Some(chain(id + 10)), invented)];
            let signer = reading(id + 10, &format!("signer-{id}"), ObservedState::NonceGap(1), now);
            let dims = vec![dims(&format!("service-{id}"), "prod")];
            red.commit(&Stage { dims, observations, readings: vec![signer], ..Stage::default() }, now);
        }
        red.close(now);
        let snapshot = red.snapshot(0);
        assert!(snapshot.series_count() <= 200, "{}", snapshot.series_count());
        let own = |label: ChainLabel| matches!(label, ChainLabel::Id(id) if id.get() >= round * 1_000);
        let labels = snapshot.series(Metric::Operations).iter().filter(|series| own(series.attributes.chain));
        assert!(labels.clone().count() >= 4, "round {round}: four chains have labels of their own again");
        assert!(labels.clone().any(|series| !series.attributes.overflow), "round {round}: and series of their own");
        assert!(gauge(&snapshot, Metric::TxNonceGap).iter().any(|(text, _)| text.contains("signer-")), "round {round}");
        red.close(now + IDLE + SECOND);
        assert_eq!(red.snapshot(0).series_count(), 0, "round {round}");
    }
}

/// Rule 7 in windows and totals, gauges and exemplars included: a chain that invents signers, targets, services and
/// reasons changes nothing of another chain that was there, and takes no more than its share of the places.
#[test]
fn inventing_signers_and_targets_changes_no_other_chain() {
    let (with, without) = (Red::new(settings()), Red::new(settings()));
    let honest = |n: u64| {
        let observation =
            Observation { end_unix_nano: T + n, trace_id: [1; 16], span_id: [2; 8], ..varied(Some(chain(2)), n) };
        let signer = reading(2, &format!("signer-{}", n % 3), ObservedState::NonceGap(n as i64), T + n);
        let target = reading(2, "rpc", ObservedState::Breaker(GatewayBreaker::HalfOpen), T + n);
        Stage { readings: vec![signer, target], ..stage(vec![observation]) }
    };
    for n in 0..2_000u64 {
        let invented = format!("invented-{n}");
        let signer = reading(1, &invented, ObservedState::NonceGap(i64::MAX), T + n);
        let target = reading(1, &invented, ObservedState::Breaker(GatewayBreaker::Open), u64::MAX);
        let hostile = Stage {
            dims: vec![dims(&invented, "prod")],
            observations: vec![Observation { end_unix_nano: T + n, ..varied(Some(chain(1)), n) }],
            readings: vec![signer, target],
            ..Stage::default()
        };
        with.commit(&hostile, T);
        with.commit(&honest(n), T);
        without.commit(&honest(n), T);
    }
    assert_eq!(of_chain(&with.snapshot(T), 2), of_chain(&without.snapshot(T), 2));
    let (with_windows, without_windows) = (with.flush(T + SECOND), without.flush(T + SECOND));
    assert_eq!(with_windows.len(), without_windows.len());
    for (with, without) in with_windows.iter().zip(&without_windows) {
        assert_eq!(of_chain(&with.snapshot, 2), of_chain(&without.snapshot, 2));
    }
    // One dimension set each, so each signer is a new one: 64 of a chain, the others together.
    let snapshot = with.snapshot(0);
    let hostile = snapshot.series(Metric::TxNonceGap).iter().filter(|s| s.attributes.chain == ChainLabel::Id(chain(1)));
    assert_eq!(hostile.clone().count(), 65);
    assert_eq!(hostile.filter(|series| series.attributes.overflow).count(), 1);
    assert!(snapshot.series_count() <= 4_096);
}

/// Gauges hold what ended last, not what came last, by signer, target and instance.
#[test]
fn gauges_are_last_seen_by_the_end_of_the_span() {
    let red = Red::new(RedSettings { start_unix_nano: T, ..settings() });
    let breaker = ObservedState::Breaker;
    red.commit(
        &readings(vec![
            reading(1, "a", ObservedState::NonceGap(3), T + 2),
            reading(1, "b", ObservedState::NonceGap(-1), T + 2),
            reading(1, "rpc", breaker(GatewayBreaker::Closed), T + 9),
        ]),
        T + 10,
    );
    red.snapshot(0);
    red.commit(
        &readings(vec![
            reading(1, "a", ObservedState::NonceGap(7), T + 1),
            reading(1, "b", ObservedState::NonceGap(5), T + 3),
            reading(1, "rpc", breaker(GatewayBreaker::Open), T + 8),
        ]),
        T + 11,
    );
    let snapshot = red.snapshot(0);
    let of = |metric| gauge(&snapshot, metric);
    assert_eq!(of(Metric::TxNonceGap), [("1 a gateway-0".to_owned(), 3.0), ("1 b gateway-0".to_owned(), 5.0)]);
    assert_eq!(of(Metric::BreakerState), [("1 rpc gateway-0".to_owned(), 0.0)]);
}

/// The age of the last success grows while nothing succeeds, also past the point at which the successes are retired; the
/// health follows two evaluations later.
#[test]
fn last_success_and_health_follow_the_chain() {
    let red = Red::new(RedSettings { start_unix_nano: T, ..settings() });
    let ended = |observation, end_unix_nano| Observation { end_unix_nano, ..observation };
    red.commit(&stage(vec![ended(success(Some(chain(1)), Operation::Task, 1), T + SECOND)]), T + SECOND);
    assert_eq!(gauge(&red.snapshot(T + 3 * SECOND), Metric::LastSuccessAge), [("1 task".to_owned(), 2.0)]);
    let mut now = T + 10 * SECOND;
    while now < T + 2 * IDLE {
        red.commit(&stage(vec![ended(failure(Some(chain(1)), Operation::Task, FailureReason::Timeout, 1), now)]), now);
        red.close(now);
        now += 10 * SECOND;
    }
    let snapshot = red.snapshot(T + 2 * IDLE);
    assert_eq!(gauge(&snapshot, Metric::LastSuccessAge), [("1 task".to_owned(), 1_799.0)]);
    assert_eq!(gauge(&snapshot, Metric::ChainHealth), [("1".to_owned(), 0.0)]);
    let health = red.health();
    assert_eq!((health[0].chain, health[0].health), (ChainLabel::Id(chain(1)), ChainHealth::Down));
    red.commit(&stage(vec![ended(success(Some(chain(1)), Operation::Task, 1), now); 1_000]), now);
    red.close(now);
    red.close(now + 300 * SECOND);
    red.close(now + 303 * SECOND);
    assert_eq!(red.health()[0].health, ChainHealth::Healthy);
}

/// The details of an operation are counted as the catalogue says; contradictions and garbage count nothing.
#[test]
fn details_are_counted() {
    let red = Red::new(settings());
    let count = |n| OptionalCount::new(Some(n));
    let quorum = |operators, signed, rejected| {
        let mut observation = success(Some(chain(1)), Operation::BlsAggregation, 1);
        let time_to_threshold = Seconds::new(Some(1.5));
        observation.measured.detail = Detail::Quorum { time_to_threshold, operators, signed, rejected };
        observation
    };
    let tx = |batch_size, batch_failed, exhausted| {
        let mut observation = success(Some(chain(1)), Operation::TxSubmission, 1);
        let (confirmation, queue) = (Seconds::new(Some(2.0)), Seconds::ABSENT);
        observation.measured.detail = Detail::Tx { confirmation, queue, batch_size, batch_failed, exhausted };
        observation
    };
    let mut webhook = success(Some(chain(1)), Operation::WebhookDelivery, 1);
    webhook.measured.detail = Detail::Webhook { exhausted: true };
    red.commit(
        &stage(vec![
            quorum(count(10), count(6), count(1)),
            quorum(count(3), count(5), OptionalCount::ABSENT),
            quorum(count(9), OptionalCount::ABSENT, count(2)),
            tx(count(10), count(3), false),
            tx(count(2), count(u32::MAX.into()), true),
            tx(count(2), count(7), true),
            tx(OptionalCount::ABSENT, count(7), false),
            webhook,
        ]),
        0,
    );
    let snapshot = red.snapshot(0);
    let parts = |metric| -> Vec<String> {
        let text = |series: &chainspan::red::Series| {
            let texts: Vec<_> = series.texts(metric).skip(1).map(|(_, value)| value.into_owned()).collect();
            format!("{} {}", texts.join(" "), series.value.count())
        };
        snapshot.series(metric).iter().map(text).collect()
    };
    assert_eq!(parts(Metric::OperatorResponses), ["signed 11", "rejected 3", "missing 3"]);
    assert_eq!(parts(Metric::TxBatchItems), ["ok 9", "failed 5"]);
    assert_eq!(snapshot.total(Metric::TxExhausted, |_| true), 2);
    assert_eq!(snapshot.total(Metric::WebhookExhausted, |_| true), 1);
    assert_eq!(snapshot.total(Metric::TxQueue, |_| true), 0);
    let sum = |metric| snapshot.series(metric)[0].value.classic().expect("a distribution").sum();
    assert_eq!(sum(Metric::TimeToThreshold), 4_500_000_000);
    assert_eq!(sum(Metric::TxConfirmation), 8_000_000_000);
}

/// Figures from the edge of what can be written: nothing panics or wraps, and every observation is in exactly one bucket.
#[test]
fn hostile_figures_poison_nothing() {
    let red = Red::new(settings());
    let year = 365 * 86_400 * SECOND;
    let durations = [0, 1, 999, 1_000, 3_600 * SECOND, 3_600 * SECOND + 1, 300 * year, u64::MAX];
    let powers = (0..64).map(|k| 1u64 << k).chain((0..12).map(|k| SECOND << k));
    let mut observations = Vec::new();
    for duration in durations.into_iter().chain(powers) {
        for end in [0, 1, T, u64::MAX] {
            let mut observation = success(Some(chain(1)), Operation::BlsAggregation, duration);
            observation.end_unix_nano = end;
            observation.measured.attempts = Some(u32::MAX);
            observation.measured.signed_stake_ratio = Some([0.0, 1.0, f64::MIN_POSITIVE][(duration % 3) as usize]);
            observation.measured.threshold = Some([0.0, 1.0, 2.5][(duration % 3) as usize]);
            let (most, none) = (OptionalCount::new(Some(i64::from(u32::MAX) - 1)), OptionalCount::ABSENT);
            let time_to_threshold = Seconds::new(Some([0.0, f64::MAX, 1e-12][(duration % 3) as usize]));
            observation.measured.detail =
                Detail::Quorum { time_to_threshold, operators: most, signed: most, rejected: none };
            observations.push(observation);
        }
    }
    let count = observations.len() as u64;
    for now in [0, T, u64::MAX, 1] {
        red.commit(&stage(observations.clone()), now);
        red.close(now);
    }
    let windows = red.flush(u64::MAX);
    let snapshot = red.snapshot(u64::MAX);
    assert_eq!(snapshot.total(Metric::Operations, |_| true), 4 * count);
    let SeriesValue::Duration(histogram) = &snapshot.series(Metric::OperationDuration)[0].value else {
        panic!("durations")
    };
    assert_eq!(histogram.exponential().map(|(_, n)| n).sum::<u64>() + histogram.zero_count(), 4 * count);
    assert_eq!(histogram.classic().buckets().iter().sum::<u64>(), 4 * count);
    assert!(histogram.classic().sum() > 0);
    assert!(windows.iter().all(|window| window.start_unix_nano < window.end_unix_nano));
    for metric in [Metric::SignedStakeRatio, Metric::QuorumMargin, Metric::TimeToThreshold, Metric::OperationAttempts] {
        assert_eq!(snapshot.total(metric, |_| true), 4 * count, "{metric:?}");
    }
}

/// What 4,096 series cost, half of them durations that spread over three octaves: 2.2 KB each in the running totals, and
/// 1.8 KB in a window.
#[test]
fn a_series_costs_about_two_kibibytes() {
    let red = Red::new(RedSettings { max_series: 16_384, ..settings() });
    let spans: Vec<_> = (0..64 * 32 * 24u64)
        .map(|n| Observation {
            dims: (n / 64 % 32) as u32,
            end_unix_nano: T,
            trace_id: [1; 16],
            span_id: [1; 8],
            ..success(Some(chain(n % 64 + 1)), Operation::Task, (100_000_000 + n * 7_919) << (n % 3))
        })
        .collect();
    let dims: Vec<_> = (0..32).map(|n| dims(&format!("gateway-{n}"), "prod")).collect();
    let all = Stage { dims, observations: spans, ..Stage::default() };
    let both = allocation_counter::measure(|| {
        red.commit(&all, T);
        drop(red.snapshot(0));
    });
    let window = allocation_counter::measure(|| drop(red.flush(T + SECOND)));
    let snapshot = red.snapshot(0);
    let series = snapshot.series(Metric::Operations).len() + snapshot.series(Metric::OperationDuration).len();
    assert_eq!(series, 4_096);
    let window = -window.bytes_current / 4_096;
    let totals = both.bytes_current / 4_096 - window;
    println!("bytes a series: running totals {totals}, window {window}");
    assert!((200..2_048).contains(&window), "a window: {window} bytes a series");
    assert!((200..2_560).contains(&totals), "running totals: {totals} bytes a series");
}
