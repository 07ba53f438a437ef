//! A real Jaeger watches along as a `role: debug` destination.

use std::net::SocketAddr;
use std::time::Duration;

use chainspan_testing::chainspan::{Chainspan, assert_conservation, config};
use chainspan_testing::peer;
use chainspan_testing::server::FaultServer;
use chainspan_testing::{http_get, jaeger, otlp};

/// chainspan with a required sink and Jaeger as a debug destination.
fn chainspan(sink: &FaultServer, jaeger: SocketAddr) -> Chainspan {
    let exporter = format!("  otlp/jaeger: {{endpoint: {jaeger}, tls: {{insecure: true}}, role: debug}}");
    Chainspan::start(&config(sink.address(), &exporter, ", otlp/jaeger"))
}

/// One task on Sepolia whose chain id came as an int.
fn send_task(chainspan: &Chainspan) {
    let attributes = vec![otlp::int("chain_id", 11_155_111), otlp::text("avs.outcome", "allow")];
    let task = otlp::span("process task", Duration::from_millis(900), attributes);
    otlp::send_traces(chainspan.grpc(), otlp::traces("gateway", vec![task])).expect("accepted");
}

/// A trace is found in Jaeger by the chain id that chainspan wrote, and by no other.
#[test]
fn jaeger_finds_a_trace_by_its_chain() {
    let Some((_jaeger, otlp, api)) = jaeger::start(&[]) else { return };
    let sink = FaultServer::in_background();
    let chainspan = chainspan(&sink, otlp);
    send_task(&chainspan);

    let found = |tags: &str| {
        let path = format!("/api/traces?service=gateway&lookback=1h&limit=20&tags={}", http_get::encode(tags));
        let traces = http_get::get(api, &path, &[]).ok().filter(|a| a.status == 200)?.json();
        traces["data"].as_array().cloned()
    };
    let traces = peer::eventually("Jaeger has the trace", || {
        found("{\"chain_id\":\"11155111\"}").filter(|traces| !traces.is_empty())
    });
    assert_eq!(traces.len(), 1, "{traces:?}");
    let tags = traces[0]["spans"][0]["tags"].as_array().cloned().unwrap_or_default();
    let tag = tags.iter().find(|t| t["key"] == "chain_id").unwrap_or_else(|| panic!("no chain_id in {tags:?}"));
    assert_eq!((&tag["type"], &tag["value"]), (&"string".into(), &"11155111".into()));
    assert_eq!(found("{\"chain_id\":\"8453\"}").map(|t| t.len()), Some(0), "found by a chain it is not of");
    assert_conservation(&chainspan.status());
}

/// Jaeger dies: clients are answered OK as before and the required destination gets every span, however much they send;
/// what Jaeger does not get any more is dropped and counted before it can fill the memory that all requests share.
#[test]
fn a_dead_jaeger_fails_nothing_and_its_drops_are_counted() {
    /// Together more than the receiver's memory limit of 256 MiB.
    const REQUESTS: usize = 600;
    const REQUEST_BYTES: usize = 512 << 10;
    let Some((mut jaeger, otlp, _)) = jaeger::start(&[]) else { return };
    let sink = FaultServer::in_background();
    sink.forget_bodies();
    let mut chainspan = chainspan(&sink, otlp);
    let spans = |chainspan: &Chainspan, key: &str| {
        let status = chainspan.status();
        assert_conservation(&status);
        status["destinations"]["otlp/jaeger"]["spans"][key].as_u64().unwrap_or_default()
    };
    send_task(&chainspan);
    peer::eventually("Jaeger was given the first span", || (spans(&chainspan, "delivered") == 1).then_some(()));

    jaeger.kill();
    let text = "x".repeat(REQUEST_BYTES);
    let big = otlp::span("big", Duration::from_millis(1), vec![otlp::int("chain_id", 8453), otlp::text("text", &text)]);
    let big = otlp::traces("gateway", vec![big]);
    let mut sent = 1;
    while sent < REQUESTS && spans(&chainspan, "discarded") == 0 {
        otlp::send_traces(chainspan.grpc(), big.clone()).expect("accepted, though Jaeger is dead");
        sent += 1;
    }
    assert_eq!(sink.span_count(), sent, "OK means that the required destination has it");
    assert!(spans(&chainspan, "discarded") > 0, "nothing was dropped after {sent} requests: {}", chainspan.status());
    assert_eq!(spans(&chainspan, "accepted"), sent as u64);
    assert_eq!(chainspan.admin("/health/ready").status, 200, "a debug destination makes nothing unready");
    assert!(chainspan.terminate().success(), "a drain ends with 0");
}
