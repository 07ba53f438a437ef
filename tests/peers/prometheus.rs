//! A real Prometheus scrapes chainspan, and `promtool` reads what it exposes.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use chainspan_testing::chainspan::{Chainspan, config};
use chainspan_testing::peer;
use chainspan_testing::prometheus::{self, query, value};
use chainspan_testing::server::FaultServer;
use chainspan_testing::{http_get, otlp};

const JAEGERS: &str = "traces_span_metrics_duration_milliseconds use base unit";
const CHAINS: [&str; 2] = ["11155111", "8453"];

/// A chainspan that has measured operations of every kind on two chains, from a service whose name must be escaped.
fn measured() -> (Chainspan, FaultServer) {
    let sink = FaultServer::in_background();
    let yaml = config(sink.address(), "", "").replace("gateway: {}", "gateway: {span_metrics: true}");
    let chainspan = Chainspan::start(&yaml);
    let ms = Duration::from_millis;
    let spans = CHAINS.into_iter().flat_map(|chain| {
        let chain = || otlp::text("chain_id", chain);
        let aggregation = vec![
            chain(),
            otlp::text("avs.outcome", "failed"),
            otlp::text("avs.quorum.failure.reason", "quorum_not_reached"),
            otlp::int("avs.quorum.threshold", 67),
            otlp::double("avs.quorum.signed_stake_ratio", 0.41),
        ];
        let transaction =
            vec![chain(), otlp::text("evm.tx.failure.reason", "nonce_too_low"), otlp::int("avs.attempt.count", 3)];
        [
            otlp::span("process task", ms(4200), vec![chain(), otlp::text("avs.outcome", "allow")]),
            otlp::span("broadcast task", ms(120), vec![chain()]),
            otlp::span("aggregate signatures", ms(3900), aggregation),
            otlp::span("submit transaction", ms(900), transaction),
            otlp::span("deliver webhook", ms(80), vec![chain(), otlp::int("http.response.status_code", 204)]),
        ]
    });
    let request = otlp::traces("gateway \"one\" \\ \n", spans.collect());
    otlp::send_traces(chainspan.grpc(), request).expect("accepted");
    (chainspan, sink)
}

/// The target is up, the server logs no warning about what it scrapes, and its API answers per chain what was measured.
#[test]
fn prometheus_scrapes_without_a_warning() {
    let (chainspan, _sink) = measured();
    let Some((prometheus, api)) = prometheus::start(chainspan.prometheus()) else { return };
    peer::eventually("the target is up", || {
        query(api, "up{job=\"chainspan\"}").first().filter(|s| s["value"][1] == "1").map(drop)
    });

    for chain in CHAINS {
        let of = |name: &str| format!("sum({name}{{chain_id=\"{chain}\"}})");
        assert_eq!(value(api, &of("avs_gateway_operations_total")), 5.0);
        assert_eq!(value(api, &of("avs_gateway_operation_duration_seconds_count")), 5.0);
        let failures =
            format!("avs_gateway_quorum_failures_total{{chain_id=\"{chain}\", reason=\"quorum_not_reached\"}}");
        assert_eq!(value(api, &failures), 1.0);
        let task = format!("chain_id=\"{chain}\", operation=\"task\"");
        assert_eq!(value(api, &format!("avs_gateway_operation_duration_seconds_bucket{{{task}, le=\"4.0\"}}")), 0.0);
        assert_eq!(value(api, &format!("avs_gateway_operation_duration_seconds_bucket{{{task}, le=\"6.0\"}}")), 1.0);
    }
    // Counters as a dashboard uses them: a range over several scrapes.
    peer::eventually("several scrapes", || {
        let scrapes = query(api, "count_over_time(up{job=\"chainspan\"}[1m])");
        scrapes.first()?["value"][1].as_str()?.parse::<u32>().ok().filter(|n| *n >= 3)
    });
    let health = http_get::get(api, "/api/v1/targets", &[]).expect("an answer").json();
    let target = &health["data"]["activeTargets"][0];
    assert_eq!((&target["health"], &target["lastError"]), (&"up".into(), &"".into()), "{target}");
    let log = prometheus.log();
    let complaints: Vec<_> = log.lines().filter(|l| is_complaint(l)).collect();
    assert!(complaints.is_empty(), "Prometheus complains: {complaints:#?}");
}

/// A warning or error of its scrape loop; warnings about the machine, such as too few file descriptors, are not ours.
fn is_complaint(line: &str) -> bool {
    // Its older versions write the level small, its newer ones in capitals.
    let line = line.to_ascii_lowercase();
    let about_us = line.contains("scrape") || line.contains("target=");
    about_us && ["level=warn", "level=error", "err="].iter().any(|mark| line.contains(mark))
}

/// Neither Prometheus nor promtool says a word when one exposition holds a series twice; the last value silently wins.
fn assert_no_series_twice(metrics: &str) {
    let mut seen = BTreeSet::new();
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let series = line.rsplit_once(' ').map_or(line, |(series, _)| series);
        assert!(seen.insert(series), "twice in one scrape: {series}");
    }
}

/// `promtool check metrics` finds nothing to say about the text format, and no series is there twice. Only the metric of
/// calls is not in the unit that it would have: that name is Jaeger's.
#[test]
fn promtool_finds_nothing() {
    let Some(program) = peer::find("promtool") else { return };
    let (chainspan, _sink) = measured();
    let metrics = chainspan.metrics();
    for name in ["avs_gateway_operations_total", "traces_span_metrics_calls_total"] {
        assert!(metrics.contains(name), "nothing was measured:\n{metrics}");
    }

    assert_no_series_twice(&metrics);
    let mut command = Command::new(program);
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = command.spawn().expect("promtool starts");
    let mut stdin = promtool.stdin.take().expect("it was asked for");
    stdin.write_all(metrics.as_bytes()).expect("promtool reads");
    drop(stdin);
    let output = promtool.wait_with_output().expect("promtool ends");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let said: Vec<&str> = said.lines().filter(|line| !line.starts_with(JAEGERS)).collect();
    assert!(said.is_empty(), "promtool check metrics:\n{}\nof\n{metrics}", said.join("\n"));
}
