//! What is measured, as the Datadog test agent and a Prometheus that keeps exemplars see it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chainspan_testing::chainspan::{Chainspan, config};
use chainspan_testing::datadog::{Agent, list};
use chainspan_testing::{http_get, otlp, peer, prometheus};
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::Value;

const CHAINS: [&str; 2] = ["11155111", "8453"];

/// A task of `milliseconds` on `chain`.
fn task(chain: &str, milliseconds: u64) -> Span {
    let attributes = vec![otlp::text("chain_id", chain), otlp::text("avs.outcome", "allow")];
    otlp::span("process task", Duration::from_millis(milliseconds), attributes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Attributes as the agent shows them; every one must be a text.
fn texts(holder: &Value) -> BTreeMap<&str, &str> {
    let text = |a: &'_ Value| a["value"]["string_value"].as_str().map(|_| ()).unwrap_or_else(|| panic!("no text: {a}"));
    list(&holder["attributes"]).iter().for_each(text);
    list(&holder["attributes"])
        .iter()
        .filter_map(|a| Some((a["key"].as_str()?, a["value"]["string_value"].as_str()?)))
        .collect()
}

/// A whole number, as JSON or as text.
fn number(value: &Value) -> u64 {
    let text = value.as_str().map(str::to_owned).unwrap_or_else(|| value.to_string());
    text.parse().unwrap_or_else(|_| panic!("no whole number: {value}"))
}

/// Every point of `name` that the agent has received, with its metric.
fn points<'a>(received: &'a [Value], name: &str, kind: &str) -> Vec<(&'a Value, &'a Value)> {
    let resources = received.iter().flat_map(|request| list(&request["resource_metrics"]));
    let scopes = resources.flat_map(|resource| list(&resource["scope_metrics"]));
    let metrics = scopes.flat_map(|scope| list(&scope["metrics"])).filter(|metric| metric["name"] == name);
    metrics.flat_map(|metric| list(&metric[kind]["data_points"]).iter().map(move |point| (metric, point))).collect()
}

/// Tasks before and after a window's end, then SIGTERM: what the agent has, summed, is what was sent. Each window comes
/// once, all as deltas, in windows that touch each other, and the last one was not lost.
#[test]
fn the_agent_gets_every_window_once() {
    let Some(agent) = Agent::start() else { return };
    let to_agent = config(agent.grpc, "", "").replace(
        "{receivers: [gateway], exporters: [prometheus]}",
        "{receivers: [gateway], exporters: [otlp/datadog, prometheus]}",
    );
    let mut chainspan = Chainspan::start(&to_agent);
    let mut sent = BTreeMap::<&str, (u64, u64)>::new();
    let mut send = |chainspan: &Chainspan, milliseconds: &[u64]| {
        let spans = CHAINS.into_iter().flat_map(|chain| milliseconds.iter().map(move |ms| (chain, *ms)));
        let request = otlp::traces("gateway", spans.clone().map(|(chain, ms)| task(chain, ms)).collect());
        otlp::send_traces(chainspan.grpc(), request).expect("accepted");
        for (chain, ms) in spans {
            let (count, sum) = sent.entry(chain).or_default();
            (*count, *sum) = (*count + 1, *sum + ms);
        }
    };
    send(&chainspan, &[4_000, 250, 0]);
    let operations = "avs.gateway.operations";
    peer::eventually("the first window reaches the agent", || {
        Some(agent.received("metrics")).filter(|received| !points(received, operations, "sum").is_empty())
    });
    send(&chainspan, &[30_000, 12]);
    assert!(chainspan.terminate().success(), "a drain ends with 0");

    let received = agent.received("metrics");
    let mut counted = BTreeMap::<&str, (u64, u64, f64)>::new();
    let mut seen = BTreeSet::new();
    let mut windows = BTreeSet::new();
    for (metric, point) in points(&received, operations, "sum") {
        assert_eq!(metric["sum"]["aggregation_temporality"], "AGGREGATION_TEMPORALITY_DELTA", "{metric}");
        assert_eq!(metric["sum"]["is_monotonic"], true, "{metric}");
        let attributes = texts(point);
        assert_eq!((attributes["operation"], attributes["outcome"]), ("task", "success"));
        assert!(attributes["chainspan.instance"].contains(':'), "{point}");
        let window = (number(&point["start_time_unix_nano"]), number(&point["time_unix_nano"]));
        assert!(seen.insert((attributes["chain_id"], window)), "two points of one series in one window: {point}");
        windows.insert(window);
        counted.entry(attributes["chain_id"]).or_default().0 += number(&point["as_int"]);
    }
    for (metric, point) in points(&received, "avs.gateway.operation.duration", "exponential_histogram") {
        let histogram = &metric["exponential_histogram"];
        assert_eq!(histogram["aggregation_temporality"], "AGGREGATION_TEMPORALITY_DELTA", "{metric}");
        assert_eq!(point["scale"], 6, "{point}");
        let count = counted.entry(texts(point)["chain_id"]).or_default();
        count.1 += number(&point["count"]);
        count.2 += point["sum"].as_f64().expect("a sum");
        assert!(point["min"].as_f64() <= point["max"].as_f64(), "{point}");
    }
    for (chain, (count, milliseconds)) in sent {
        let (operations, durations, sum) = counted[chain];
        assert_eq!((operations, durations), (count, count), "chain {chain}");
        assert!((sum - milliseconds as f64 / 1e3).abs() < 1e-9, "chain {chain}: {sum} s for {milliseconds} ms");
    }
    let windows: Vec<_> = windows.into_iter().collect();
    assert!(windows.windows(2).all(|pair| pair[0].1 <= pair[1].0), "windows overlap: {windows:?}");
    assert!(windows.iter().all(|(start, end)| start < end && end - start <= 10_000_000_000), "{windows:?}");
    assert!(windows.len() >= 2, "one window before the second request, one cut by the end: {windows:?}");

    let scopes = received.iter().flat_map(|r| list(&r["resource_metrics"])).flat_map(|r| list(&r["scope_metrics"]));
    let scopes: BTreeSet<String> = scopes.map(|scope| scope["scope"].to_string()).collect();
    assert_eq!(scopes.len(), 1, "the scope becomes a tag, so there is one: {scopes:?}");
    let resources = received.iter().flat_map(|r| list(&r["resource_metrics"]));
    assert!(
        resources.map(|r| texts(&r["resource"])).all(|named| named == BTreeMap::from([("service.name", "gateway")]))
    );
}

/// A Prometheus asks for OpenMetrics, keeps the exemplars, and its exemplar API leads from a slow bucket to the trace.
#[test]
fn a_slow_bucket_leads_to_its_trace() {
    let Some(agent) = Agent::start() else { return };
    let chainspan = Chainspan::start(&config(agent.grpc, "", ""));
    let Some((_prometheus, api)) = prometheus::start(chainspan.prometheus()) else { return };
    let slow = task(CHAINS[0], 4_200);
    let trace = hex(&slow.trace_id);
    let span = hex(&slow.span_id);
    let spans = vec![slow, task(CHAINS[0], 10), task(CHAINS[1], 20)];
    otlp::send_traces(chainspan.grpc(), otlp::traces("gateway", spans)).expect("accepted");

    let query = "avs_gateway_operation_duration_seconds_bucket{chain_id=\"11155111\",le=\"6.0\"}";
    let now = otlp::now() / 1_000_000_000;
    let path =
        format!("/api/v1/query_exemplars?query={}&start={}&end={}", http_get::encode(query), now - 3600, now + 3600);
    let found = peer::eventually("Prometheus has the exemplar", || {
        let answer = http_get::get(api, &path, &[]).ok()?.json();
        answer["data"].as_array().filter(|series| !series.is_empty()).cloned()
    });
    let exemplars = list(&found[0]["exemplars"]);
    assert_eq!((found.len(), exemplars.len()), (1, 1), "{found:?}");
    assert_eq!(exemplars[0]["labels"]["trace_id"], trace.as_str(), "{exemplars:?}");
    assert_eq!(exemplars[0]["labels"]["span_id"], span.as_str(), "{exemplars:?}");
    assert_eq!(exemplars[0]["value"], "4.2");
    let targets = http_get::get(api, "/api/v1/targets", &[]).expect("an answer").json();
    assert_eq!(targets["data"]["activeTargets"][0]["lastError"], "", "{targets}");
}
