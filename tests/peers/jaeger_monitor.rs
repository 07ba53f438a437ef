//! Jaeger's Monitor tab: a real Jaeger asks a real Prometheus for what chainspan has counted of simulated gateways.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use chainspan_sim::{self as sim, Chain};
use chainspan_testing::front_door::Setup;
use chainspan_testing::prometheus::query;
use chainspan_testing::server::FaultServer;
use chainspan_testing::{http_get, jaeger, otlp, peer, prometheus};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use serde_json::Value;

const SERVICE: &str = "avs-gateway";
/// What the rates are of, and so long may the test take between its two batches.
const RATE_PER: u64 = 600;

/// What one operation of Jaeger, a span name, must show.
#[derive(Clone, Debug, Default)]
struct Calls {
    calls: u64,
    errors: u64,
    /// Milliseconds.
    durations: Vec<f64>,
}

/// All spans of a request by name: what it says, not what chainspan makes of it.
fn truth(request: &ExportTraceServiceRequest) -> BTreeMap<String, Calls> {
    let mut operations = BTreeMap::<String, Calls>::new();
    let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    for span in scopes.flat_map(|scope| &scope.spans) {
        let operation = operations.entry(span.name.clone()).or_default();
        operation.calls += 1;
        operation.errors += u64::from(span.status.as_ref().is_some_and(|status| status.code == 2));
        let nanos = span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano);
        operation.durations.push(nanos as f64 / 1e6);
    }
    operations
}

/// The quantile as Prometheus reads it from the buckets: linear within the one that holds the rank. `None` where a rounding
/// error may decide which bucket that is.
fn quantile(q: f64, durations: &[f64]) -> Option<f64> {
    const BOUNDS: [f64; 24] = [
        5., 10., 25., 50., 100., 250., 500., 1e3, 2e3, 4e3, 6e3, 8e3, 1e4, 12e3, 15e3, 2e4, 24e3, 3e4, 45e3, 6e4, 12e4,
        24e4, 36e4, 6e5,
    ];
    let rank = q * durations.len() as f64;
    let below = |bound: f64| durations.iter().filter(|duration| **duration <= bound).count() as f64;
    if (rank - rank.round()).abs() < 1e-6 {
        return None;
    }
    let Some(at) = BOUNDS.iter().position(|bound| below(*bound) >= rank) else { return Some(6e5) };
    let (low, high) = (if at == 0 { 0.0 } else { BOUNDS[at - 1] }, BOUNDS[at]);
    let under = if at == 0 { 0.0 } else { below(low) };
    Some(low + (high - low) * (rank - under) / (below(high) - under))
}

/// The last value of each series that Jaeger's API shows at `path`, by operation (empty: of the whole service).
fn shown(api: SocketAddr, path: &str, end_ms: u64) -> BTreeMap<String, f64> {
    let kinds =
        "spanKind=unspecified&spanKind=internal&spanKind=server&spanKind=client&spanKind=producer&spanKind=consumer";
    let ms = RATE_PER * 1_000;
    let path = format!("{path}service={SERVICE}&endTs={end_ms}&lookback=1000&step=1000&ratePer={ms}&{kinds}");
    let answer = http_get::get(api, &path, &[]).unwrap_or_else(|e| panic!("GET {path}: {e}"));
    assert_eq!(answer.status, 200, "GET {path}: {}", answer.body);
    let metrics = answer.json()["metrics"].as_array().cloned().unwrap_or_default();
    let series = |metric: &Value| {
        let labels = metric["labels"].as_array().cloned().unwrap_or_default();
        let of =
            |name: &str| labels.iter().find(|l| l["name"] == name).and_then(|l| l["value"].as_str().map(str::to_owned));
        assert_eq!(of("service_name").as_deref(), Some(SERVICE), "{metric}");
        let value = metric["metricPoints"].as_array()?.last()?["gaugeValue"]["doubleValue"].as_f64();
        Some((of("operation").unwrap_or_default(), value?))
    };
    metrics.iter().filter_map(series).collect()
}

fn assert_close(what: &str, shown: f64, expected: f64) {
    let error = (shown - expected).abs() / expected.abs().max(1e-9);
    assert!(error < 1e-6, "{what}: Jaeger shows {shown}, expected {expected}");
}

/// The Monitor tab's API: rates, error ratios and latencies of each span name are those of the gateways' spans.
#[test]
fn the_monitor_tab_shows_what_the_gateways_did() {
    if peer::find("jaeger").is_none() {
        return;
    }
    let sink = FaultServer::in_background();
    let chainspan =
        Setup { gateway: "span_metrics: true, max_series: 16384", ..Setup::default() }.start(sink.address());
    let Some((_prometheus, prometheus)) = prometheus::start(chainspan.prometheus()) else { return };
    let Some((_jaeger, _, api)) = jaeger::start(&[
        ("METRICS_STORAGE_TYPE", "prometheus".to_owned()),
        ("PROMETHEUS_SERVER_URL", format!("http://{prometheus}")),
        ("PROMETHEUS_QUERY_NORMALIZE_CALLS", "true".to_owned()),
        ("PROMETHEUS_QUERY_NORMALIZE_DURATION", "true".to_owned()),
    ]) else {
        return;
    };
    let mut gateway = sim::gateways(1, &Chain::with_profiles(&[1, 8_453, 42_161]), 11).remove(0);
    assert_eq!(gateway.settings().service, SERVICE);
    let request = gateway.next_batch(3_000, otlp::now()).request;
    let truth = truth(&request);
    let all: u64 = truth.values().map(|calls| calls.calls).sum();
    let in_prometheus = |count: u64| {
        let text = format!("sum(traces_span_metrics_calls_total{{service_name=\"{SERVICE}\"}})");
        peer::eventually("Prometheus has the spans", || {
            let value = query(prometheus, &text).first()?["value"][1].as_str()?.parse::<f64>().ok()?;
            (value == count as f64).then_some(())
        });
    };
    // A rate needs a beginning: the first batch gives the series their first value, the second one what is looked at.
    for sent in 1..=2 {
        otlp::send_traces(chainspan.grpc(), request.clone()).expect("accepted");
        in_prometheus(sent * all);
    }

    let end_ms = otlp::now() / 1_000_000;
    let of_service = shown(api, "/api/metrics/calls?", end_ms);
    let rate = of_service[""];
    // Prometheus extrapolates to the whole range what lies between the first and the last scrape in it, by as much as half
    // a scrape at either side; the increase itself is the second batch.
    let least = all as f64 / RATE_PER as f64;
    assert!((least..least * 3.0).contains(&rate), "{rate} calls a second, at least {least}");
    let calls = shown(api, "/api/metrics/calls?groupByOperation=true&", end_ms);
    assert_eq!(calls.keys().collect::<Vec<_>>(), truth.keys().collect::<Vec<_>>(), "every span name and no other");
    for (name, truth) in &truth {
        assert_close(&format!("share of {name}"), calls[name] / rate, truth.calls as f64 / all as f64);
    }

    let errors: u64 = truth.values().map(|calls| calls.errors).sum();
    assert!(errors > 0 && errors < all);
    let of_service = shown(api, "/api/metrics/errors?", end_ms);
    assert_close("errors of all", of_service[""], errors as f64 / all as f64);
    let by_operation = shown(api, "/api/metrics/errors?groupByOperation=true&", end_ms);
    for (name, truth) in truth.iter().filter(|(_, truth)| truth.errors > 0) {
        assert_close(&format!("errors of {name}"), by_operation[name], truth.errors as f64 / truth.calls as f64);
    }

    let mut compared = 0;
    for q in [0.5, 0.95, 0.99] {
        let latencies = shown(api, &format!("/api/metrics/latencies?quantile={q}&groupByOperation=true&"), end_ms);
        for (name, truth) in &truth {
            let Some(expected) = quantile(q, &truth.durations) else { continue };
            assert_close(&format!("quantile {q} of {name}"), latencies[name], expected);
            compared += 1;
        }
    }
    assert!(compared > truth.len(), "{compared} latencies were compared");
}
