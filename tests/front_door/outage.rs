//! A destination that is down, slow, or refuses: clients hear when to retry, nothing waits longer than it may,
//! memory is bounded, and all is well again without anybody doing anything.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use chainspan::delivery::Signal;
use chainspan_testing::chainspan::Chainspan;
use chainspan_testing::front_door::{Setup, assert_at_rest, assert_told_to_retry, eventually, export, spans, sum};
use chainspan_testing::otlp::{int, logs, logs_client, span, text, trace_client, traces};
use chainspan_testing::server::{Act, FaultServer};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::{Value, json};
use tonic::{Code, Request};

const QUICK: &str = "timeout: 1500ms, retry_on_failure: {initial_interval: 10ms, max_interval: 50ms}";
/// A client that must hear an answer, and not give up on its own.
const LONG: Duration = Duration::from_secs(30);

fn task(name: &str) -> Span {
    span("process task", Duration::from_millis(1), vec![int("chain_id", 1), text("name", name)])
}

/// `"pass"`, `"warn"` or `"fail"`, with the HTTP status of `/health/ready`.
fn ready(chainspan: &Chainspan) -> (u16, String) {
    let answer = chainspan.admin("/health/ready");
    (answer.status, answer.json()["status"].as_str().expect("a status").to_owned())
}

/// An address where nobody listens.
async fn nobody() -> SocketAddr {
    let fault = FaultServer::start().await;
    fault.stop().await;
    fault.address()
}

/// Down, a black hole, or always busy: the client waits for the attempt budget, or for its own deadline if that is
/// sooner, and hears when to retry before it gives up.
#[tokio::test(flavor = "multi_thread")]
async fn clients_wait_as_long_as_they_may_and_are_told_when_to_retry() {
    // A client that waits for 2 s hears after 1.8: so its answer has 200 ms, also on a machine under load.
    const BUDGET: Duration = Duration::from_secs(3);
    const PATIENT: &str = "timeout: 3s, retry_on_failure: {initial_interval: 10ms, max_interval: 50ms}";
    let fault = FaultServer::start().await;
    let chainspan = Setup { datadog: PATIENT, ..Setup::default() }.start(fault.address());
    let client = trace_client(chainspan.grpc()).await;
    for (what, act) in [
        ("down", None),
        ("a black hole", Some(Act::BlackHole)),
        ("busy", Some(Act::Refuse(Code::Unavailable, "busy", None))),
        ("busy for long", Some(Act::Refuse(Code::ResourceExhausted, "quota", Some(Duration::from_secs(1))))),
    ] {
        match act {
            None => fault.stop().await,
            Some(act) => fault.always(act).restart().await,
        }
        let begin = Instant::now();
        let why = assert_told_to_retry(export(&client, traces("gateway", vec![task("a")])).await);
        assert!(begin.elapsed() >= BUDGET * 9 / 10, "{what}: gave up after {:?}", begin.elapsed());
        assert!(why.contains("otlp/datadog"), "{what}: {why}");

        let mut impatient = Request::new(traces("gateway", vec![task("b")]));
        impatient.set_timeout(Duration::from_secs(2));
        let begin = Instant::now();
        assert_told_to_retry(export(&client, impatient).await);
        assert!(begin.elapsed() < BUDGET, "{what}: {:?}", begin.elapsed());
        fault.stop().await;
    }
    fault.always(Act::Accept).restart().await;
    // Until the second is over that the destination asked for, clients go on coming again.
    while export(&client, traces("gateway", vec![task("c")])).await.is_err() {}
    assert_eq!(spans(&chainspan, "otlp/datadog", "delivered"), 1);
    assert_at_rest(&chainspan).await;
}

/// The destination goes away under a steady client and comes back: the client's own retries are all it takes, and health
/// says so in between.
#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_destination_gets_data_again_and_health_follows() {
    let fault = FaultServer::start().await;
    let chainspan = Setup { datadog: QUICK, ..Setup::default() }.start(fault.address());
    let client = trace_client(chainspan.grpc()).await;
    export(&client, traces("gateway", vec![task("before")])).await.expect("accepted");
    assert_eq!(ready(&chainspan), (200, "pass".to_owned()));
    fault.stop().await;
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { while export(&client, traces("gateway", vec![task("after")])).await.is_err() {} }
    });
    eventually("warned", || ready(&chainspan) == (200, "warn".to_owned())).await;
    assert_eq!(chainspan.admin("/health").status, 200);
    let destination = chainspan.status()["destinations"]["otlp/datadog"].clone();
    assert!(destination["failures"].as_u64() >= Some(3) && destination["last_error"].is_string(), "{destination}");
    fault.restart().await;
    waiting.await.expect("data flows again");
    eventually("well again", || ready(&chainspan) == (200, "pass".to_owned())).await;
    let destination = chainspan.status()["destinations"]["otlp/datadog"].clone();
    assert!(destination["failures"] == 0 && destination["last_error"].is_null(), "{destination}");
    // One whose client had just given up may have arrived as well.
    assert!(fault.accepted_spans().len() >= 2);
    assert_at_rest(&chainspan).await;
}

/// 16 of 20 MiB of requests are in hand; the next one is refused before it could wait for anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_memory_budget_refuses_at_once_and_recovers() {
    let fault = FaultServer::start().await;
    fault.always(Act::Hold);
    let (grpc, receiver) = ("max_recv_msg_size_mib: 6", "memory_limit_mib: 20");
    let setup = Setup { grpc, receiver, datadog: "max_request_size: 3MiB", ..Setup::default() };
    let chainspan = setup.start(fault.address());
    let client = trace_client(chainspan.grpc()).await.max_encoding_message_size(usize::MAX);
    let request = traces("gateway", vec![task(&"x".repeat(2 << 20))]);
    let mut sent = tokio::task::JoinSet::new();
    for count in 1..=8 {
        let (client, request) = (client.clone(), request.clone());
        sent.spawn(async move { export(&client, request).await });
        eventually("in hand", || spans(&chainspan, "otlp/datadog", "in_flight") == count).await;
    }
    let held = chainspan.status()["memory"]["budget_used_bytes"].as_u64().expect("a number");
    assert!((16 << 20..17 << 20).contains(&held), "the bodies, each once: {held}");
    let why = assert_told_to_retry(export(&client, traces("gateway", vec![task(&"x".repeat(5 << 20))])).await);
    assert!(why.contains("memory"), "{why}");
    fault.release(1_000);
    while let Some(answer) = sent.join_next().await {
        answer.expect("no panic").expect("accepted");
    }
    export(&client, request).await.expect("room again");
    assert_at_rest(&chainspan).await;
}

/// Down, hanging, refusing: whatever is wrong with a debug destination, answers do not wait for it, and what it misses is
/// counted.
#[tokio::test(flavor = "multi_thread")]
async fn a_debug_destination_delays_nothing_and_its_losses_are_counted() {
    let fault = FaultServer::start().await;
    for (what, act) in [
        ("down", None),
        ("hanging", Some(Act::BlackHole)),
        ("refusing", Some(Act::Refuse(Code::InvalidArgument, "no", None))),
    ] {
        let jaeger = FaultServer::start().await;
        match act {
            None => jaeger.stop().await,
            Some(act) => _ = jaeger.always(act),
        }
        let keys = "role: debug, timeout: 60s";
        let chainspan = Setup { second: Some((jaeger.address(), keys)), ..Setup::default() }.start(fault.address());
        let client = trace_client(chainspan.grpc()).await;
        let request = traces("gateway", vec![task(&"x".repeat(1 << 20))]);
        // 20 MiB: more than it may keep.
        for _ in 0..20 {
            let mut request = Request::new(request.clone());
            request.set_timeout(LONG);
            export(&client, request).await.unwrap_or_else(|status| panic!("{what}: {status:?}"));
        }
        let discarded = || spans(&chainspan, "otlp/second", "discarded");
        eventually(what, || spans(&chainspan, "otlp/second", "accepted") == 20 && discarded() >= 3).await;
        assert_eq!(spans(&chainspan, "otlp/datadog", "delivered"), 20, "{what}");
        assert_eq!(spans(&chainspan, "otlp/second", "delivered"), 0, "{what}");
        let in_flight = spans(&chainspan, "otlp/second", "in_flight");
        assert_eq!(in_flight + discarded(), 20, "{what}");
        assert_eq!(sum(&chainspan.metrics(), "chainspan_receiver_accepted_spans_total", &[]), 20, "{what}");
        chainspan_testing::chainspan::assert_conservation(&chainspan.status());
    }
}

/// Requests that wait together go out together. The one that the destination refuses is found, and hears why; the others
/// are delivered.
#[tokio::test(flavor = "multi_thread")]
async fn a_poison_span_is_refused_to_the_client_that_sent_it_and_to_nobody_else() {
    let fault = FaultServer::start().await;
    fault.then([Act::Hold, Act::Hold]).poison("poison", Code::InvalidArgument);
    let chainspan = Setup::default().start(fault.address());
    let client = trace_client(chainspan.grpc()).await;
    let mut sent = tokio::task::JoinSet::new();
    let mut send = |at: usize, name: &'static str| {
        let client = client.clone();
        sent.spawn(async move { (at, export(&client, traces("gateway", vec![task(name)])).await) });
    };
    // Both connections are busy, so that what comes now waits together.
    send(100, "first");
    fault.arrived(1).await;
    send(101, "second");
    fault.arrived(2).await;
    (0..32).for_each(|at| send(at, if at == 17 { "poison" } else { "sound" }));
    eventually("all wait", || spans(&chainspan, "otlp/datadog", "in_flight") == 34).await;
    fault.release(2);
    while let Some(answer) = sent.join_next().await {
        match answer.expect("no panic") {
            (17, answer) => {
                let status = answer.expect_err("refused");
                assert_eq!(status.code(), Code::InvalidArgument);
                assert!(status.message().contains("otlp/datadog") && status.message().contains("poison"), "{status:?}");
            }
            (at, answer) => answer.unwrap_or_else(|status| panic!("{at}: {status:?}")),
        }
    }
    assert!(fault.received().len() < 34, "they went out together");
    let accepted = fault.accepted_spans();
    assert!(accepted.len() == 33 && accepted.values().all(|times| *times == 1));
    assert_eq!(sum(&chainspan.metrics(), "avs_gateway_operations_total", &[]), 33);
    assert_at_rest(&chainspan).await;
}

/// Nobody has ever been there: starting, answering and health work all the same.
#[tokio::test(flavor = "multi_thread")]
async fn it_starts_and_answers_without_a_destination() {
    let chainspan = Setup { datadog: "timeout: 3s", ..Setup::default() }.start(nobody().await);
    let client = trace_client(chainspan.grpc()).await;
    // A client that gives up after the same time, and does not say so, as the Rust SDK does: it hears the answer.
    let sent = export(&client, traces("gateway", vec![task("a")]));
    assert_told_to_retry(tokio::time::timeout(Duration::from_secs(3), sent).await.expect("in time"));
    export(&client, traces("gateway", Vec::new())).await.expect_err("an empty resource is forwarded like any other");
    export(&client, ExportTraceServiceRequest::default()).await.expect("an empty request is accepted");
    assert_eq!(chainspan.admin("/health").status, 200);
    assert_at_rest(&chainspan).await;
}

/// With a store an outage is none of the clients' business: they hear OK, the instance stays ready, and everything arrives
/// when the destination is back.
#[tokio::test(flavor = "multi_thread")]
async fn with_a_store_clients_hear_ok_during_an_outage() {
    let fault = FaultServer::start().await;
    fault.stop().await;
    let directory = tempfile::tempdir().expect("a directory");
    let store = format!("directory: {:?}", directory.path());
    let chainspan = Setup { datadog: QUICK, store: &store, ..Setup::default() }.start(fault.address());
    let client = trace_client(chainspan.grpc()).await;
    for _ in 0..30 {
        let mut request = Request::new(traces("gateway", vec![task("a")]));
        request.set_timeout(LONG);
        export(&client, request).await.expect("accepted");
    }
    eventually("on disk", || spans(&chainspan, "otlp/datadog", "spilled") == 30).await;
    let (code, status) = ready(&chainspan);
    assert_eq!(code, 200, "{status}");
    assert_eq!(sum(&chainspan.metrics(), "chainspan_exporter_spilled_spans", &[]), 30);
    assert_eq!(sum(&chainspan.metrics(), "avs_gateway_operations_total", &[]), 30);
    assert_at_rest(&chainspan).await;
    fault.restart().await;
    eventually("drained", || spans(&chainspan, "otlp/datadog", "delivered") == 30).await;
    let accepted = fault.accepted_spans();
    assert!(accepted.len() == 30 && accepted.values().all(|times| *times == 1));
    eventually("closed", || chainspan.status()["destinations"]["otlp/datadog"]["breaker"] == "closed").await;
    assert_at_rest(&chainspan).await;
}

/// Scenario: an agent that serves no logs, and the pipeline that sends it some; then they are enabled there. Guarantee: the
/// logs are kept and the spans delivered, as if nothing were; status, health and one line of the log say which signal, why,
/// and what to do, and the instance stays ready; once logs are served they arrive, and all is well again.
#[tokio::test(flavor = "multi_thread")]
async fn a_signal_that_the_agent_does_not_take_is_said_and_stands_in_nobodys_way() {
    let fault = FaultServer::start().await;
    fault.unserved(&[Signal::Logs]);
    let directory = tempfile::tempdir().expect("a directory");
    let store = format!("directory: {:?}", directory.path());
    let datadog = "spill_after: 30s, circuit_breaker: {open_min: 50ms, open_max: 100ms}";
    let pipelines = "logs: {receivers: [otlp], exporters: [otlp/datadog]}";
    let chainspan = Setup { datadog, store: &store, pipelines, ..Setup::default() }.start(fault.address());
    let client = trace_client(chainspan.grpc()).await;
    let mut logs_client = logs_client(chainspan.grpc()).await;
    logs_client.export(logs("gateway", "a line")).await.expect("kept");
    for _ in 0..20 {
        export(&client, traces("gateway", vec![task("a")])).await.expect("delivered");
    }
    let status = || chainspan.status()["destinations"]["otlp/datadog"].clone();
    assert_eq!((&status()["spans"]["delivered"], &status()["requests"]["spilled"]), (&json!(20), &json!(1)));
    assert_eq!(status()["unimplemented"], json!({"logs": "UNIMPLEMENTED: unknown service"}));
    assert_eq!((&status()["breaker"], &status()["failures"]), (&json!("closed"), &json!(0)));
    eventually("warned", || ready(&chainspan) == (200, "warn".to_owned())).await;
    let check = chainspan.admin("/health/ready").json()["checks"]["destination:otlp/datadog"][0].clone();
    assert_eq!((&check["status"], &check["observedValue"]), (&json!("warn"), &json!(0)));
    assert_eq!(check["output"], "does not take logs: UNIMPLEMENTED: unknown service");
    let failed = || sum(&chainspan.metrics(), "chainspan_exporter_send_failed_requests_total", &["UNIMPLEMENTED"]);
    eventually("tried again and again", || failed() > 3).await;

    fault.unserved(&[]);
    eventually("delivered", || status()["requests"]["delivered"] == 1).await;
    eventually("well again", || ready(&chainspan) == (200, "pass".to_owned())).await;
    assert_eq!((&status()["unimplemented"], &status()["requests"]["spilled"]), (&json!({}), &json!(0)));
    assert_eq!(fault.accepted_logs(), [("a line".to_owned(), 1)].into());
    let said = |level: &str, words: &str| {
        let is = |line: &Value| line["level"] == level && line.to_string().contains(words);
        chainspan.logs().iter().filter(|line| is(line)).map(Value::to_string).collect::<Vec<_>>()
    };
    let warned = said("WARN", "does not take logs");
    let parts = ["otlp/datadog", "UNIMPLEMENTED: unknown service", "enable it there, or take the exporter out"];
    assert!(warned.len() == 1 && parts.iter().all(|part| warned[0].contains(part)), "{warned:?}");
    assert_eq!(said("INFO", "takes logs again").len(), 1);
    assert_eq!(said("ERROR", "").len(), 0);
    assert_at_rest(&chainspan).await;
}

/// The store is full: clients hear at once when to retry, and what was acknowledged is delivered.
#[tokio::test(flavor = "multi_thread")]
async fn with_a_full_store_clients_are_told_when_to_retry() {
    let fault = FaultServer::start().await;
    fault.stop().await;
    let directory = tempfile::tempdir().expect("a directory");
    let store = format!("directory: {:?}, max_size_mib: 16", directory.path());
    let datadog = "timeout: 10s, retry_on_failure: {initial_interval: 10ms, max_interval: 50ms}";
    let chainspan = Setup { datadog, store: &store, ..Setup::default() }.start(fault.address());
    let client = trace_client(chainspan.grpc()).await;
    let request = traces("gateway", vec![task(&"x".repeat(1 << 20))]);
    let mut acknowledged = 0;
    let why = loop {
        match export(&client, request.clone()).await {
            Ok(()) => acknowledged += 1,
            refused => break assert_told_to_retry(refused),
        }
        assert!(acknowledged < 17, "it has a limit");
    };
    assert!(acknowledged > 5 && why.contains("otlp/datadog"), "{acknowledged}: {why}");
    let begin = Instant::now();
    assert_told_to_retry(export(&client, request.clone()).await);
    assert!(begin.elapsed() < Duration::from_secs(5), "it is not waited for: {:?}", begin.elapsed());
    fault.restart().await;
    eventually("drained", || spans(&chainspan, "otlp/datadog", "delivered") == acknowledged).await;
    export(&client, request).await.expect("room again");
    assert_at_rest(&chainspan).await;
}
