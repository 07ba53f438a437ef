//! What becomes of a request whose client did not wait for the answer, or did not get OK: nothing, anywhere.

use std::time::Duration;

use chainspan_testing::chainspan::Chainspan;
use chainspan_testing::front_door::{Setup, assert_at_rest, assert_told_to_retry, eventually, export, sum};
use chainspan_testing::http_get;
use chainspan_testing::otlp::{int, span, text, trace_client, traces};
use chainspan_testing::server::{Act, FaultServer};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use tonic::Request;

const TRACE: [u8; 16] = [0xab; 16];
const QUICK: &str = "timeout: 1500ms, retry_on_failure: {initial_interval: 10ms, max_interval: 20ms}";

/// A successful task of chain 1 with everything that leaves a trace somewhere: an exemplar, a last success, the states of a
/// signer and of a breaker, a chain for its trace, and a call.
fn telling() -> ExportTraceServiceRequest {
    let states = vec![
        int("chain_id", 1),
        text("avs.outcome", "allow"),
        text("circuit_breaker.state", "open"),
        text("circuit_breaker.target", "rpc"),
    ];
    let mut task = span("process task", Duration::from_millis(250), states);
    let gap = vec![
        int("chain_id", 1),
        int("evm.tx.nonce_pending", 12),
        int("evm.tx.nonce_latest", 9),
        text("evm.signer.alias", "hot"),
    ];
    let mut transaction = span("submit_tx", Duration::from_millis(90), gap);
    task.trace_id = TRACE.to_vec();
    transaction.trace_id = TRACE.to_vec();
    task.span_id = vec![0xcd; 8];
    traces("gateway", vec![task, transaction])
}

/// A span that has its chain from its trace, if that is known.
fn follower() -> ExportTraceServiceRequest {
    let mut follower = span("broadcast task", Duration::from_millis(1), vec![]);
    follower.trace_id = TRACE.to_vec();
    traces("gateway", vec![follower])
}

/// Everything that is exposed, exemplars too.
fn open_metrics(chainspan: &Chainspan) -> String {
    let accept = [("accept", "application/openmetrics-text; version=1.0.0")];
    http_get::get(chainspan.prometheus(), "/metrics", &accept).expect("an answer").body
}

/// What of the request can be seen, in words.
fn traces_of_it(chainspan: &Chainspan) -> Vec<&'static str> {
    let page = open_metrics(chainspan);
    let health = chainspan.status().to_string();
    let signs = [
        ("its chain", page.contains("chain_id=\"1\"")),
        ("an operation", page.contains("operation=\"task\"")),
        ("a call", page.contains("span_name=\"process task\"")),
        ("an exemplar", page.contains(&"cd".repeat(8))),
        ("a last success", page.contains("last_success_age_seconds{") && page.contains("operation=\"task\"")),
        ("a gauge of a signer", page.contains("signer=\"hot\"")),
        ("a gauge of a breaker", page.contains("target=\"rpc\"")),
        ("a resolved chain", sum(&page, "chainspan_chain_resolved_spans_total", &["source=\"span\""]) > 0),
        ("the health of its chain", health.contains("\"1\":{") || health.contains("\"chain_id\":\"1\"")),
    ];
    signs.into_iter().filter(|(_, seen)| *seen).map(|(what, _)| what).collect()
}

/// The client drops the call, its deadline passes, ours passes, the destination refuses: there is no trace of any of them,
/// and no later span inherits their chain. The same request, accepted, is seen everywhere.
#[tokio::test(flavor = "multi_thread")]
async fn without_an_ok_nothing_is_left_behind() {
    let fault = FaultServer::start().await;
    let setup = Setup { datadog: QUICK, gateway: "span_metrics: true", ..Setup::default() };
    let chainspan = setup.start(fault.address());
    let client = trace_client(chainspan.grpc()).await;

    fault.then([Act::BlackHole]);
    let leaving = tokio::spawn({
        let client = client.clone();
        async move { export(&client, telling()).await }
    });
    fault.arrived(1).await;
    leaving.abort();
    eventually("it is given back", || chainspan.status()["memory"]["budget_used_bytes"] == 0).await;

    fault.then([Act::BlackHole]);
    let mut impatient = Request::new(telling());
    impatient.set_timeout(Duration::from_millis(200));
    export(&client, impatient).await.expect_err("its deadline has passed");
    eventually("it is given back", || chainspan.status()["memory"]["budget_used_bytes"] == 0).await;

    fault.always(Act::BlackHole);
    assert_told_to_retry(export(&client, telling()).await);
    fault.then([Act::Refuse(tonic::Code::InvalidArgument, "no", None)]);
    export(&client, telling()).await.expect_err("refused");

    fault.always(Act::Accept);
    // What the cut attempts have left in flight on the way out ends first.
    eventually("all is given back", || chainspan.status()["memory"]["budget_used_bytes"] == 0).await;
    export(&client, follower()).await.expect("accepted");
    assert_eq!(traces_of_it(&chainspan), Vec::<&str>::new());
    let page = chainspan.metrics();
    assert_eq!(sum(&page, "avs_gateway_operations_total", &["chain_id=\"unknown\""]), 1, "{page}");

    export(&client, telling()).await.expect("accepted");
    export(&client, follower()).await.expect("accepted");
    let seen = traces_of_it(&chainspan);
    assert!(seen.len() >= 8, "only {seen:?} can be seen at all");
    let page = chainspan.metrics();
    let inherited = ["span_name=\"broadcast task\"", "chain_id=\"1\""];
    assert_eq!(sum(&page, "traces_span_metrics_calls_total", &inherited), 1, "a call inherits its chain\n{page}");
    assert_eq!(sum(&page, "traces_span_metrics_calls_total", &["service_name=\"gateway\""]), 4);
    assert_at_rest(&chainspan).await;
}

/// Without `span_metrics` no call is counted or shown.
#[tokio::test(flavor = "multi_thread")]
async fn calls_are_off_unless_asked_for() {
    let fault = FaultServer::start().await;
    let chainspan = Setup::default().start(fault.address());
    export(&trace_client(chainspan.grpc()).await, telling()).await.expect("accepted");
    let page = chainspan.metrics();
    assert!(page.contains("avs_gateway_operations_total") && !page.contains("traces_span_metrics"), "{page}");
}
