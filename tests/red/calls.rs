//! Calls: every span by service, name, kind and status, for Jaeger; bounded, retired, and apart from the operations.

use std::collections::BTreeMap;
use std::sync::Arc;

use chainspan::export::prometheus::{Format, render};
use chainspan::gateway::Operation;
use chainspan::red::{Call, ChainLabel, Red, RedSettings, SpanKind, Stage, StatusCode};

use crate::support::{chain, settings, stage, success, varied};

const SECOND: u64 = 1_000_000_000;
const T: u64 = 1_700_000_000 * SECOND;
const IDLE: u64 = 15 * 60 * SECOND;

fn counting() -> RedSettings {
    RedSettings { span_metrics: true, start_unix_nano: T, ..settings() }
}

fn call(chain_id: u64, name: &str, duration_nano: u64) -> Call {
    Call {
        service: "gateway".into(),
        name: name.into(),
        kind: SpanKind::Server,
        status: StatusCode::Unset,
        chain: (chain_id > 0).then(|| chain(chain_id)),
        duration_nano,
    }
}

fn calls(calls: Vec<Call>) -> Stage {
    Stage { calls, ..Stage::default() }
}

/// Each combination of service, name, kind, status and chain has its count and its exact sum, over several commits and
/// threads; both formats show them under the names and in the unit that Jaeger asks for.
#[test]
fn calls_are_counted_by_all_that_tells_them_apart() {
    let red = Red::new(counting());
    let failed = Call { status: StatusCode::Error, ..call(1, "GET /\"a\"", 5_000_000) };
    let client = Call { kind: SpanKind::Client, ..call(1, "GET /\"a\"", 5_000_001) };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..250 {
                    let other = Call { service: Arc::from(""), ..call(0, "x", 1) };
                    red.commit(&calls(vec![failed.clone(), client.clone(), client.clone(), other]), T);
                }
            });
        }
        red.snapshot(0);
    });
    let snapshot = red.snapshot(0);
    assert_eq!((snapshot.calls.len(), snapshot.series_count(), snapshot.families.len()), (3, 6, 0));
    let text = render(Format::Text, Some(&snapshot), &[]);
    let labels = |kind: &str, status: &str| {
        format!(
            "service_name=\"gateway\",span_name=\"GET /\\\"a\\\"\",span_kind=\"SPAN_KIND_{kind}\",\
             status_code=\"STATUS_CODE_{status}\",chain_id=\"1\""
        )
    };
    let (failed, client) = (labels("SERVER", "ERROR"), labels("CLIENT", "UNSET"));
    let nobody =
        "span_name=\"x\",span_kind=\"SPAN_KIND_SERVER\",status_code=\"STATUS_CODE_UNSET\",chain_id=\"unknown\"";
    for line in [
        "# TYPE traces_span_metrics_calls_total counter".to_owned(),
        format!("traces_span_metrics_calls_total{{{failed}}} 1000"),
        format!("traces_span_metrics_calls_total{{{client}}} 2000"),
        format!("traces_span_metrics_calls_total{{{nobody}}} 1000"),
        "# TYPE traces_span_metrics_duration_milliseconds histogram".to_owned(),
        format!("traces_span_metrics_duration_milliseconds_bucket{{{failed},le=\"5\"}} 1000"),
        format!("traces_span_metrics_duration_milliseconds_bucket{{{client},le=\"5\"}} 0"),
        format!("traces_span_metrics_duration_milliseconds_bucket{{{client},le=\"10\"}} 2000"),
        format!("traces_span_metrics_duration_milliseconds_bucket{{{client},le=\"+Inf\"}} 2000"),
        format!("traces_span_metrics_duration_milliseconds_sum{{{client}}} 10000.002"),
        format!("traces_span_metrics_duration_milliseconds_count{{{client}}} 2000"),
    ] {
        assert!(text.lines().any(|own| own == line), "{line}\nis not in\n{text}");
    }
    let open = render(Format::OpenMetrics, Some(&snapshot), &[]);
    for line in [
        "# TYPE traces_span_metrics_calls counter".to_owned(),
        format!("traces_span_metrics_calls_created{{{failed}}} 1700000000"),
        "# UNIT traces_span_metrics_duration_milliseconds milliseconds".to_owned(),
        format!("traces_span_metrics_duration_milliseconds_bucket{{{client},le=\"600000.0\"}} 2000"),
    ] {
        assert!(open.lines().any(|own| own == line), "{line}\nis not in\n{open}");
    }
}

/// Windows, and so the OTLP export, know nothing of calls; a request that only has calls makes no window.
#[test]
fn windows_have_no_calls() {
    let red = Red::new(counting());
    red.commit(&calls(vec![call(1, "a", 1)]), T);
    assert!(red.close(T + 30 * SECOND).iter().all(|window| window.snapshot.calls.is_empty()));
    let mut both = stage(vec![success(Some(chain(1)), Operation::Task, 1)]);
    both.calls = vec![call(1, "a", 1)];
    red.commit(&both, T + 30 * SECOND);
    let windows = red.flush(T + 31 * SECOND);
    assert!(!windows.is_empty() && windows.iter().all(|window| window.snapshot.calls.is_empty()));
    assert_eq!(red.snapshot(0).calls[0].durations.count(), 2);
}

/// What `chain` has: its count by name, those beyond the limit under `None`.
fn of(red: &Red, id: u64) -> BTreeMap<Option<String>, u64> {
    let snapshot = red.snapshot(0);
    let own = snapshot.calls.iter().filter(|calls| calls.key.chain == ChainLabel::Id(chain(id)));
    own.map(|calls| ((!calls.key.overflow).then(|| calls.key.name.to_string()), calls.durations.count())).collect()
}

/// A chain that invents span names without end takes its share and no more: the names of other chains, known or yet to
/// come, keep series of their own, the operations of all chains stay as they are, and no observation is lost.
#[test]
fn inventing_span_names_changes_nothing_of_others() {
    let (with, without) = (Red::new(counting()), Red::new(counting()));
    let honest = |n: u64| Stage {
        calls: (0..5).map(|name| call(2, &format!("known-{name}"), n)).collect(),
        ..stage(vec![varied(Some(chain(2)), n)])
    };
    for n in 0..3_000u64 {
        let names = (0..10).map(|name| call(1, &format!("invented-{n}-{name}"), n)).collect();
        with.commit(&calls(names), T);
        with.commit(&honest(n), T);
        without.commit(&honest(n), T);
        if n % 1_000 == 0 {
            with.snapshot(0);
        }
    }
    assert_eq!(of(&with, 2), of(&without, 2));
    assert_eq!(of(&with, 2).len(), 5);
    with.commit(&calls(vec![call(3, "newcomer", 1)]), T);
    assert_eq!(of(&with, 3), BTreeMap::from([(Some("newcomer".to_owned()), 1)]));
    let operations = |red: &Red| format!("{:?}", red.snapshot(0).families);
    assert_eq!(operations(&with), operations(&without));
    let hostile = of(&with, 1);
    assert_eq!(hostile.values().sum::<u64>(), 30_000);
    assert!(hostile.len() > 20 && hostile[&None] > 20_000, "{}", hostile.len());
    let snapshot = with.snapshot(0);
    assert_eq!(snapshot.overflow_observations, hostile[&None]);
    assert!(snapshot.series_count() <= 4_096 && snapshot.calls.len() * 2 <= 1_024, "{}", snapshot.calls.len());
}

/// Somebody invents chains, services and names all at once: a chain that was there keeps what it has, one that is
/// configured gets places of its own whenever it comes, the rest share `other`, and the limit holds.
#[test]
fn inventing_chains_takes_no_place_that_is_certain() {
    let red = Red::new(RedSettings { chains: [chain(7)].into(), ..counting() });
    red.commit(&calls(vec![call(2, "known", 1)]), T);
    for n in 0..20_000u64 {
        let service = format!("service-{n}").into();
        red.commit(&calls(vec![Call { service, ..call(1_000 + n % 3_000, "invented", 1) }]), T);
    }
    red.commit(&calls(vec![call(2, "known", 1), call(7, "late", 1)]), T);
    assert_eq!(of(&red, 2), BTreeMap::from([(Some("known".to_owned()), 2)]));
    assert_eq!(of(&red, 7), BTreeMap::from([(Some("late".to_owned()), 1)]));
    let snapshot = red.snapshot(0);
    assert_eq!(snapshot.calls.iter().map(|calls| calls.durations.count()).sum::<u64>(), 20_003);
    assert!(snapshot.calls.iter().any(|calls| calls.key.chain == ChainLabel::Other && calls.key.overflow));
    assert!(snapshot.calls.len() * 2 <= 1_024, "{}", snapshot.calls.len());
}

/// After 15 idle minutes a series goes and gives its place back; when it returns it starts anew. A chain that has only
/// calls keeps its label as long as it has any.
#[test]
fn idle_calls_are_retired_and_start_anew() {
    let red = Red::new(RedSettings { max_chains: 1, ..counting() });
    for round in 0..3 {
        let now = T + round * 2 * IDLE;
        red.commit(&calls(vec![call(1 + round, "a", 1), call(1 + round, "b", 1)]), now);
        red.close(now);
        red.commit(&calls(vec![call(1 + round, "b", 1)]), now + IDLE / 2);
        red.close(now + IDLE);
        assert_eq!(of(&red, 1 + round), BTreeMap::from([(Some("b".to_owned()), 2)]), "round {round}");
        red.commit(&calls(vec![call(1 + round, "a", 1)]), now + IDLE);
        let again = red.snapshot(0);
        let again = again.calls.iter().find(|calls| &*calls.key.name == "a").expect("it is back");
        assert_eq!((again.start_unix_nano, again.durations.count()), (now + IDLE, 1));
        red.close(now + 2 * IDLE);
        assert_eq!(red.snapshot(0).series_count(), 0, "round {round}");
    }
}

/// What a combination costs, with names of the usual length: its two series are one histogram.
#[test]
fn a_combination_costs_less_than_a_kibibyte() {
    let red = Red::new(RedSettings { max_series: 32_768, ..counting() });
    let all = (0..64 * 32)
        .map(|n| Call {
            service: format!("gateway-{}", n % 4).into(),
            ..call(n / 32 + 1, &format!("operation {}", n % 32), n)
        })
        .collect();
    let all = calls(all);
    let cost = allocation_counter::measure(|| {
        red.commit(&all, T);
        drop(red.snapshot(0));
    });
    assert_eq!(red.snapshot(0).calls.len(), 2_048);
    let bytes = cost.bytes_current / 2_048;
    println!("bytes a combination: {bytes}");
    assert!((200..1_024).contains(&bytes), "{bytes} bytes");
}
