//! Health and status of a process whose store fills up, as an orchestrator sees them.

use std::time::Duration;

use chainspan_testing::chainspan::{Chainspan, assert_conservation};
use chainspan_testing::front_door::{assert_told_to_retry, eventually, export};
use chainspan_testing::otlp::{span, text, trace_client, traces};
use chainspan_testing::server::{Act, FaultServer};
use tonic::Code;

fn yaml(destination: std::net::SocketAddr, store: &std::path::Path) -> String {
    format!(
        "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: \"127.0.0.1:0\"}}}}}}}}
exporters:
  otlp/datadog:
    endpoint: {destination}
    retry_on_failure: {{initial_interval: 10ms, max_interval: 50ms}}
    circuit_breaker: {{consecutive_failures: 3, open_min: 50ms, open_max: 200ms}}
    spill_after: 10ms
extensions:
  health_check: {{endpoint: \"127.0.0.1:0\"}}
  file_storage: {{directory: {}, max_size_mib: 1, min_free_mib: 1}}
service:
  extensions: [health_check, file_storage]
  telemetry: {{logs: {{level: info, encoding: json}}}}
  pipelines:
    traces: {{receivers: [otlp], processors: [chain], exporters: [otlp/datadog]}}
",
        store.display()
    )
}

/// Scenario: the agent is away until the store is full. Guarantee: first a warning, with the breaker and the store's room in
/// `/status`; when nothing can be accepted any more the instance is not ready, and alive all the same; when the agent is
/// back everything drains and all is well, and every span that was acknowledged has arrived.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_a_warning_until_the_store_is_full() {
    let fault = FaultServer::start().await;
    fault.always(Act::Refuse(Code::Unavailable, "away", None));
    let directory = tempfile::tempdir().expect("a temporary directory");
    let chainspan = Chainspan::start(&yaml(fault.address(), &directory.path().join("store")));
    let client = trace_client(chainspan.grpc()).await;
    let one = || {
        traces("gateway", vec![span("submit_tx", Duration::from_millis(1), vec![text("x", &"x".repeat(100 << 10))])])
    };
    let ready = || {
        let answer = chainspan.admin("/health/ready");
        (answer.status, answer.json())
    };
    export(&client, one()).await.expect("kept");
    eventually("the outage shows", || ready().1["checks"]["destination:otlp/datadog"][0]["status"] == "warn").await;
    let (code, body) = ready();
    assert_eq!((code, &body["checks"]["spill"][0]["status"]), (200, &"pass".into()), "{body}");
    let status = chainspan.status();
    assert_ne!(status["destinations"]["otlp/datadog"]["breaker"], "closed", "{status}");
    assert_eq!(status["store"]["max_bytes"], 1 << 20);
    assert!(status["store"]["used_bytes"].as_u64() > Some(100 << 10), "{status}");

    let mut acknowledged = 1;
    let refused = loop {
        match export(&client, one()).await {
            Ok(()) => acknowledged += 1,
            Err(status) => break status,
        }
        assert!(acknowledged < 20, "a store of 1 MiB takes no 2 MiB");
    };
    assert_told_to_retry(Err(refused));
    eventually("not ready", || ready().0 == 503).await;
    let (_, body) = ready();
    assert_eq!(body["checks"]["spill"][0]["status"], "fail", "{body}");
    assert_eq!(chainspan.admin("/health").status, 200);
    assert_eq!(chainspan.status()["store"]["refusing"], "the store is full");

    fault.always(Act::Accept);
    eventually("all is well", || ready().1["status"] == "pass").await;
    eventually("drained", || {
        let status = chainspan.status();
        assert_conservation(&status);
        let spans = &status["destinations"]["otlp/datadog"]["spans"];
        spans["spilled"] == 0 && spans["in_flight"] == 0 && spans["delivered"].as_u64() >= Some(acknowledged)
    })
    .await;
    assert!(fault.accepted_spans().len() as u64 >= acknowledged);
}
