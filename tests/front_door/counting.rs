//! What `/metrics` says: a span counts once, when its request was answered with OK, under its own chain, and within the
//! limits.

use std::collections::BTreeSet;
use std::time::Duration;

use chainspan_testing::chainspan::Chainspan;
use chainspan_testing::front_door::{
    Setup, assert_at_rest, assert_told_to_retry, eventually, export, operations, spans, sum,
};
use chainspan_testing::otlp::{int, span, text, trace_client, traces};
use chainspan_testing::server::{Act, FaultServer};
use opentelemetry_proto::tonic::trace::v1::Span;
use tonic::{Code, Request};

const QUICK: &str = "timeout: 1500ms, retry_on_failure: {initial_interval: 10ms, max_interval: 20ms}, \
                     circuit_breaker: {open_min: 20ms, open_max: 40ms}";

fn task(chain: i64) -> Span {
    span("process task", Duration::from_millis(250), vec![int("chain_id", chain), text("avs.outcome", "allow")])
}

fn accepted(chainspan: &Chainspan) -> u64 {
    sum(&chainspan.metrics(), "chainspan_receiver_accepted_spans_total", &["signal=\"traces\""])
}

/// All lines of a scrape about `chain`, without those of the others. Ages are left out: they grow by themselves.
fn about(scrape: &str, chain: &str) -> Vec<String> {
    let label = format!("chain_id=\"{chain}\"");
    let ours = |line: &&str| line.contains(&label) && !line.contains("last_success_age");
    scrape.lines().filter(ours).map(str::to_owned).collect()
}

/// The values of `chain_id` in a scrape.
fn chains(scrape: &str) -> BTreeSet<String> {
    let label = |line: &str| Some(line.split_once("chain_id=\"")?.1.split_once('"')?.0.to_owned());
    scrape.lines().filter_map(label).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_request_counts_nothing_and_its_retry_counts_once() {
    let fault = FaultServer::start().await;
    let chainspan = Setup { datadog: QUICK, ..Setup::default() }.start(fault.address());
    let client = trace_client(chainspan.grpc()).await;
    let request = traces("gateway", vec![task(8453), span("verify_signature", Duration::ZERO, vec![])]);
    fault.stop().await;
    assert_told_to_retry(export(&client, request.clone()).await);
    let scrape = chainspan.metrics();
    assert_eq!((operations(&scrape, "8453"), accepted(&chainspan)), (0, 0));
    assert_eq!(sum(&scrape, "chainspan_receiver_refused_spans_total", &["signal=\"traces\""]), 2);
    assert_eq!(sum(&scrape, "chainspan_receiver_failed_requests_total", &["code=\"UNAVAILABLE\""]), 1);
    assert_eq!(sum(&scrape, "chainspan_chain_resolved_spans_total", &[]), 0);
    assert_eq!(sum(&scrape, "chainspan_unclassified_spans_total", &[]), 0);

    fault.restart().await;
    export(&client, request).await.expect("accepted");
    let scrape = chainspan.metrics();
    assert_eq!((operations(&scrape, "8453"), accepted(&chainspan)), (1, 2));
    assert_eq!(sum(&scrape, "avs_gateway_operation_duration_seconds_count", &["chain_id=\"8453\""]), 1);
    assert_eq!(sum(&scrape, "chainspan_chain_resolved_spans_total", &[]), 2);
    assert_eq!(sum(&scrape, "chainspan_unclassified_spans_total", &[]), 1);
    assert_eq!(sum(&scrape, "chainspan_exporter_sent_spans_total", &["exporter=\"otlp/datadog\""]), 2);
    assert!(fault.accepted_spans().values().all(|times| *times == 1));
    assert_at_rest(&chainspan).await;
}

/// The destination has the request in hand when its client goes away, by a deadline of its own or without a word.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_counts_nothing() {
    let fault = FaultServer::start().await;
    fault.then([Act::Hold, Act::Hold]);
    let chainspan = Setup::default().start(fault.address());
    let client = trace_client(chainspan.grpc()).await;
    let mut impatient = Request::new(traces("gateway", vec![task(1)]));
    impatient.set_timeout(Duration::from_secs(1));
    let leaving = tokio::spawn({
        let client = client.clone();
        async move { export(&client, traces("gateway", vec![task(1)])).await }
    });
    fault.arrived(1).await;
    export(&client, impatient).await.expect_err("nobody answers it");
    leaving.abort();
    eventually("both are given back", || chainspan.status()["memory"]["budget_used_bytes"] == 0).await;
    fault.release(2);
    export(&client, traces("gateway", vec![task(10)])).await.expect("accepted");
    let scrape = chainspan.metrics();
    assert_eq!((operations(&scrape, "1"), operations(&scrape, "10"), accepted(&chainspan)), (0, 1, 1));
    assert_eq!(spans(&chainspan, "otlp/datadog", "accepted"), 1);
    assert_at_rest(&chainspan).await;
}

/// One destination takes the data, the other refuses it: the client is told, nothing counts, and the retry counts once.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_counts_only_when_every_required_destination_has_it() {
    let (fault, second) = (FaultServer::start().await, FaultServer::start().await);
    let setup = Setup { datadog: QUICK, second: Some((second.address(), QUICK)), ..Setup::default() };
    let chainspan = setup.start(fault.address());
    let client = trace_client(chainspan.grpc()).await;
    let request = traces("gateway", vec![task(137)]);
    second.then([Act::Refuse(Code::InvalidArgument, "no such tenant", None)]);
    let status = export(&client, request.clone()).await.expect_err("refused");
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("otlp/second") && status.message().contains("no such tenant"), "{status:?}");
    second.stop().await;
    assert_told_to_retry(export(&client, request.clone()).await);
    let scrape = chainspan.metrics();
    assert_eq!((operations(&scrape, "137"), accepted(&chainspan)), (0, 0));
    second.restart().await;
    export(&client, request).await.expect("accepted");
    assert_eq!((operations(&chainspan.metrics(), "137"), accepted(&chainspan)), (1, 1));
    assert_eq!(spans(&chainspan, "otlp/second", "delivered"), 1);
    assert_at_rest(&chainspan).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_one_chain_changes_no_series_of_another() {
    let fault = FaultServer::start().await;
    let chainspan = Setup::default().start(fault.address());
    let client = trace_client(chainspan.grpc()).await;
    export(&client, traces("gateway", vec![task(8453), task(8453)])).await.expect("accepted");
    let before = about(&chainspan.metrics(), "8453");
    assert!(before.len() > 20, "{before:?}");
    let attributes = |reason: &str| {
        vec![int("chain_id", 10), text("avs.outcome", "failed"), text("avs.quorum.failure.reason", reason)]
    };
    for reason in ["quorum_not_reached", "invalid_signature", "invented"] {
        let failed = || span("aggregate signatures", Duration::from_secs(100), attributes(reason));
        let flood = (0..1_000).map(|_| failed()).chain((0..1_000).map(|_| task(10))).collect();
        export(&client, traces("gateway", flood)).await.expect("accepted");
    }
    let scrape = chainspan.metrics();
    assert_eq!(operations(&scrape, "10"), 6_000);
    assert_eq!(about(&scrape, "8453"), before);
    assert_at_rest(&chainspan).await;
}

/// Chains that are invented get labels up to the limit and then share one; those of the configuration keep theirs, also
/// when they come last.
#[tokio::test(flavor = "multi_thread")]
async fn invented_chains_share_one_label_and_configured_ones_keep_theirs() {
    let fault = FaultServer::start().await;
    let gateway = "chains: {11155111: {name: Sepolia, block_time: 12s}}";
    let chainspan = Setup { gateway, ..Setup::default() }.start(fault.address());
    let client = trace_client(chainspan.grpc()).await;
    export(&client, traces("gateway", (1..=100).map(task).collect())).await.expect("accepted");
    export(&client, traces("gateway", vec![task(11_155_111), task(101), task(1)])).await.expect("accepted");
    let unknown = span("process task", Duration::ZERO, vec![]);
    export(&client, traces("gateway", vec![unknown])).await.expect("accepted");
    let scrape = chainspan.metrics();
    assert_eq!((operations(&scrape, "11155111"), operations(&scrape, "1"), operations(&scrape, "unknown")), (1, 2, 1));
    assert_eq!(operations(&scrape, "other"), 100 - 64 + 1);
    assert_eq!(chains(&scrape).len(), 64 + 3);
    // The tag is another matter: it is the span's own chain, always.
    assert_eq!(fault.accepted_spans().len(), 104);
    assert_at_rest(&chainspan).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attacker_who_invents_chains_and_services_stays_within_the_limit_and_every_span_is_counted() {
    let fault = FaultServer::start().await;
    let chainspan = Setup { gateway: "max_chains: 4, max_series: 300", ..Setup::default() }.start(fault.address());
    let client = trace_client(chainspan.grpc()).await;
    export(&client, traces("honest", vec![task(8453)])).await.expect("accepted");
    for request in 0..100 {
        let mut all = traces("gateway", Vec::new());
        all.resource_spans = (0..10)
            .flat_map(|service| {
                traces(&format!("invented {request} {service}"), tasks(request * 10 + service)).resource_spans
            })
            .collect();
        export(&client, all).await.expect("accepted");
    }
    export(&client, traces("honest", vec![task(8453)])).await.expect("accepted");
    let scrape = chainspan.metrics();
    assert_eq!(sum(&scrape, "avs_gateway_operations_total", &[]), 100_002);
    assert!((100..=300).contains(&sum(&scrape, "chainspan_series", &[])), "{}", sum(&scrape, "chainspan_series", &[]));
    assert!(sum(&scrape, "chainspan_series_overflow_observations_total", &[]) > 90_000);
    assert!(chains(&scrape).len() <= 4 + 2);
    let honest = ["chain_id=\"8453\"", "service_name=\"honest\""];
    assert_eq!(sum(&scrape, "avs_gateway_operations_total", &honest), 2);
    assert_at_rest(&chainspan).await;
}

/// A hundred tasks, each on a chain of its own.
fn tasks(block: i64) -> Vec<Span> {
    (1..=100).map(|n| task(1_000_000 + block * 100 + n)).collect()
}

/// Scenario: every request holds spans of the same two names that are no operation, and one later a third. Guarantee: each
/// name is logged once, the third as soon as it comes.
#[tokio::test(flavor = "multi_thread")]
async fn names_that_are_no_operation_are_logged_when_they_are_new() {
    let fault = FaultServer::start().await;
    let chainspan = Setup::default().start(fault.address());
    let client = trace_client(chainspan.grpc()).await;
    let named = |name: &str, count| (0..count).map(|_| span(name, Duration::ZERO, vec![])).collect::<Vec<_>>();
    let spans = [named("verify_signature", 3), named("fan \"out\"\ntask", 2), vec![task(1)]].concat();
    export(&client, traces("gateway", spans.clone())).await.expect("accepted");
    export(&client, traces("gateway", spans.clone())).await.expect("accepted");
    export(&client, traces("gateway", [spans, named("http GET", 1)].concat())).await.expect("accepted");
    let logged = || {
        let lines = chainspan.logs().into_iter().map(|line| line.get("fields").cloned().unwrap_or(line));
        lines.filter_map(|line| Some(line.get("names")?.as_str()?.to_owned())).collect::<Vec<_>>()
    };
    eventually("the log names the third", || logged().len() >= 2).await;
    assert_eq!(logged(), [r#""fan \"out\"\ntask", "verify_signature""#, r#""http GET""#]);
    assert_eq!(sum(&chainspan.metrics(), "chainspan_unclassified_spans_total", &[]), 16);
    assert_at_rest(&chainspan).await;
}
