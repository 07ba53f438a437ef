//! What a scrape shows: read back sample by sample, by Prometheus' own checker, and through a real socket.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use chainspan::export::prometheus::{Format, render, serve};
use chainspan::gateway::{FailureReason, Operation, QuorumReason};
use chainspan::red::{Metric, Red, RedSettings, Stage};
use chainspan::telemetry::{ACCEPTED_SPANS, Telemetry};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::*;

/// Samples by name with labels, as they stand in the text.
fn parse(text: &str) -> BTreeMap<String, String> {
    let mut samples = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').expect("name and value");
        assert!(samples.insert(name.to_owned(), value.to_owned()).is_none(), "{name} stands twice");
    }
    samples
}

/// A red with a bit of everything: hostile names, overflow, all metrics.
fn everything(namespace: &str) -> Red {
    let red = Red::new(RedSettings { namespace: namespace.to_owned(), max_chains: 4, max_series: 300, ..settings() });
    for number in 0..3_000u64 {
        let hostile = ["gateway", "", "quo\"te\\back\nline", "{},= é"][(number % 4) as usize];
        let service = if number > 1_500 { format!("invented-{number}") } else { hostile.to_owned() };
        let observation = varied((number % 7 > 0).then(|| chain(number % 7)), number);
        red.commit(
            &Stage { dims: vec![dims(&service, "prod")], observations: vec![observation], ..Stage::default() },
            0,
        );
    }
    red
}

fn own() -> Telemetry {
    let telemetry = Telemetry::new();
    telemetry.counter(ACCEPTED_SPANS, &[("signal", "traces")]).increment(3_000);
    telemetry
}

/// Names, labels, cumulative buckets and exact sums of a small known input, to the letter.
#[test]
fn a_known_input_is_shown_to_the_letter() {
    let red = Red::new(settings());
    let one = Some(chain(11_155_111));
    red.commit(
        &stage(vec![
            success(one, Operation::Task, 5_000_000),
            success(one, Operation::Task, 5_000_001),
            success(one, Operation::Task, 601_000_000_000),
            failure(one, Operation::BlsAggregation, FailureReason::Quorum(QuorumReason::QuorumNotReached), 1),
        ]),
        0,
    );
    let samples = parse(&render(Format::Text, Some(&red.snapshot(0)), &own().samples()));
    let resource = r#"service_name="gateway",deployment_environment_name="prod",chain_id="11155111""#;
    let value = |name: &str, labels: &str| samples.get(&format!("{name}{{{resource},{labels}}}")).map(String::as_str);
    let task = r#"operation="task",outcome="success""#;
    let duration = "avs_gateway_operation_duration_seconds";
    assert_eq!(value("avs_gateway_operations_total", task), Some("3"));
    assert_eq!(value(&format!("{duration}_bucket"), &format!(r#"{task},le="0.005""#)), Some("1"));
    assert_eq!(value(&format!("{duration}_bucket"), &format!(r#"{task},le="0.01""#)), Some("2"));
    assert_eq!(value(&format!("{duration}_bucket"), &format!(r#"{task},le="600""#)), Some("2"));
    assert_eq!(value(&format!("{duration}_bucket"), &format!(r#"{task},le="+Inf""#)), Some("3"));
    assert_eq!(value(&format!("{duration}_sum"), task), Some("601.010000001"));
    assert_eq!(value(&format!("{duration}_count"), task), Some("3"));
    let failed = r#"operation="bls_aggregation",outcome="failure",error_type="quorum_not_reached""#;
    assert_eq!(value("avs_gateway_operations_total", failed), Some("1"));
    let reason = r#"reason="quorum_not_reached",class="quorum""#;
    assert_eq!(value("avs_gateway_quorum_failures_total", reason), Some("1"));
    assert_eq!(samples.get(&format!(r#"{ACCEPTED_SPANS}{{signal="traces"}}"#)).map(String::as_str), Some("3000"));
    assert_eq!(samples.get("chainspan_series").map(String::as_str), Some("7"));
}

/// Read back: buckets rise to the count, and adding all samples up gives what was committed; the same snapshot gives the
/// same text.
#[test]
fn everything_reads_back_and_adds_up() {
    let snapshot = everything("avs.gateway").snapshot(0);
    let text = render(Format::Text, Some(&snapshot), &[]);
    assert_eq!(text, render(Format::Text, Some(&snapshot), &[]));
    let samples = parse(&text);
    let sum = |prefix: &str| -> u64 {
        samples.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(_, v)| v.parse::<u64>().expect("whole")).sum()
    };
    assert_eq!(sum("avs_gateway_operations_total{"), 3_000);
    assert_eq!(sum("avs_gateway_operation_duration_seconds_count{"), 3_000);
    assert_eq!(sum("avs_gateway_webhook_deliveries_total{"), snapshot.total(Metric::WebhookDeliveries, |_| true));
    assert_eq!(sum("avs_gateway_quorum_margin_ratio_count{"), snapshot.total(Metric::QuorumMargin, |_| true));
    assert_eq!(samples["chainspan_series_overflow_observations_total"], snapshot.overflow_observations.to_string());
    assert!(text.contains("otel_metric_overflow=\"true\"") && text.contains(r#"service_name="quo\"te\\back\nline""#));
    let mut last = (String::new(), 0);
    for line in text.lines().filter(|line| line.contains("_bucket{")) {
        let (name, value) = line.rsplit_once(' ').expect("name and value");
        let series = name.rsplit_once("le=\"").expect("every bucket has a bound").0.to_owned();
        let value: u64 = value.parse().expect("whole");
        assert!(series != last.0 || value >= last.1, "buckets are cumulative: {line}");
        last = (series, value);
    }
}

/// Prometheus' own checker has nothing to say, with the default namespace and with the gateway team's house form.
#[test]
fn promtool_finds_nothing_to_say() {
    for namespace in ["avs.gateway", "newton_avs_gateway"] {
        let text = render(Format::Text, Some(&everything(namespace).snapshot(0)), &own().samples());
        assert!(text.contains(&format!("\n{}_operations_total{{", namespace.replace('.', "_"))));
        let Some(promtool) = chainspan_testing::peer::find("promtool") else { return };
        let mut promtool = Command::new(promtool);
        let promtool = promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped());
        let mut child = promtool.spawn().expect("promtool starts");
        child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("promtool reads");
        let output = child.wait_with_output().expect("promtool ends");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.trim().is_empty(), "promtool: {said}");
    }
}

async fn ask(address: std::net::SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("connects");
    stream.write_all(request.as_bytes()).await.expect("writes");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("reads");
    answer
}

/// The door answers GET and HEAD on /metrics, says what to do elsewhere, survives nonsense, and closes when told to.
#[tokio::test]
async fn the_door_answers_and_closes() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("bound");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let shutdown = async { drop(stopped.await) };
    let server = tokio::spawn(serve(listener, |_| "some_total 1\n".to_owned(), shutdown));
    let end = "Host: x\r\nConnection: close\r\n\r\n";

    let scraped = ask(address, &format!("GET /metrics?x=1 HTTP/1.1\r\n{end}")).await;
    assert!(scraped.starts_with("HTTP/1.1 200") && scraped.ends_with("\r\n\r\nsome_total 1\n"), "{scraped}");
    assert!(scraped.to_lowercase().contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{scraped}");
    let head = ask(address, &format!("HEAD /metrics HTTP/1.1\r\n{end}")).await;
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
    let elsewhere = ask(address, &format!("GET / HTTP/1.1\r\n{end}")).await;
    assert!(elsewhere.starts_with("HTTP/1.1 404") && elsewhere.contains("/metrics"), "{elsewhere}");
    let posted = ask(address, &format!("POST /metrics HTTP/1.1\r\nContent-Length: 0\r\n{end}")).await;
    assert!(posted.starts_with("HTTP/1.1 405") && posted.to_lowercase().contains("allow: get, head"), "{posted}");
    let nonsense = ask(address, "\u{0}\u{1}nonsense\r\n\r\n").await;
    assert!(nonsense.is_empty() || nonsense.starts_with("HTTP/1.1 400"), "{nonsense}");

    // A connection that is open and idle does not keep the door from closing.
    let _idle = TcpStream::connect(address).await.expect("connects");
    drop(stop);
    server.await.expect("ends by itself");
    // A copy of the door may live on for a moment, in a program that another test is just starting.
    let closed = async { while TcpStream::connect(address).await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(10), closed).await.expect("nobody listens any more");
}
