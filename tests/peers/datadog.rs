//! The Datadog test agent behind chainspan, a gateway with the official Python SDK before it.

use std::collections::BTreeMap;
use std::process::Command;

use chainspan_testing::chainspan::{Chainspan, assert_conservation, config};
use chainspan_testing::datadog::{Agent, list};
use chainspan_testing::peer;
use serde_json::Value;

/// What `tests/peers/gateway.py` says it has sent.
fn send_with_python_sdk(agent: &Agent, chainspan: &Chainspan) -> Value {
    let mut command = Command::new(&agent.python);
    command.arg(peer::script("gateway.py")).arg(chainspan.grpc().to_string());
    serde_json::from_str(&peer::run(&mut command)).expect("the script prints JSON")
}

/// Every span of a Python gateway (gRPC, gzip) reaches the agent once; each span of a task carries its chain as the one
/// canonical string, whether it named the chain as an int, in hex, as CAIP-2, or left it to its parent.
#[test]
fn python_spans_reach_the_agent_with_their_chain() {
    let Some(agent) = Agent::start() else { return };
    let mut chainspan = Chainspan::start(&config(agent.grpc, "", ""));
    let sent = send_with_python_sdk(&agent, &chainspan);

    let spans = agent.spans();
    assert_eq!(spans.len() as u64, sent["spans"], "each span once");
    let mut tasks = BTreeMap::<String, u64>::new();
    for span in &spans {
        assert_eq!(span.service, "python-gateway");
        if span.name() == "no chain anywhere" {
            assert!(span.attributes("chain_id").is_empty(), "a chain out of nowhere: {span:?}");
            continue;
        }
        let chain = span.text("chain_id").unwrap_or_else(|| panic!("not one canonical chain_id: {span:?}"));
        if span.name() == "process task" {
            *tasks.entry(chain.to_owned()).or_default() += 1;
        }
    }
    assert_eq!(serde_json::json!(tasks), sent["tasks"], "tasks per chain");

    let status = chainspan.status();
    assert_conservation(&status);
    assert_eq!(status["destinations"]["otlp/datadog"]["spans"]["delivered"], sent["spans"], "{status}");
    assert!(chainspan.terminate().success(), "a drain ends with 0");
}

/// The agent names operation spans by `operation.name` and keeps statistics of an INTERNAL span only if it is measured:
/// operation spans carry both hints, others neither.
#[test]
fn the_agent_gets_its_hints() {
    let Some(agent) = Agent::start() else { return };
    let chainspan = Chainspan::start(&config(agent.grpc, "", ""));
    send_with_python_sdk(&agent, &chainspan);

    for span in agent.spans() {
        let (name, measured) = match span.name() {
            "process task" => (Some("gateway.task"), false),
            "broadcast task" => (Some("gateway.task_broadcast"), false),
            "aggregate signatures" => (Some("gateway.bls_aggregation"), true),
            _ => (None, false),
        };
        assert_eq!(span.text("operation.name"), name, "{span:?}");
        assert_eq!(span.attributes("_dd.measured").len(), usize::from(measured), "{span:?}");
    }
}

/// Metrics and logs of the same SDK pass through to the agent as they came.
#[test]
fn python_metrics_and_logs_pass_through() {
    let Some(agent) = Agent::start() else { return };
    let chainspan = Chainspan::start(&config(agent.grpc, "", ""));
    send_with_python_sdk(&agent, &chainspan);

    let metrics = agent.received("metrics");
    let resources = metrics.iter().flat_map(|r| list(&r["resource_metrics"]));
    let metric = resources
        .flat_map(|r| list(&r["scope_metrics"]))
        .flat_map(|s| list(&s["metrics"]))
        .find(|m| m["name"] == "gateway.tasks")
        .expect("the SDK's counter");
    assert_eq!(metric["sum"]["data_points"][0]["as_int"], "20", "{metric}");

    let logs = agent.received("logs");
    let records = logs.iter().flat_map(|r| list(&r["resource_logs"])).flat_map(|r| list(&r["scope_logs"]));
    let bodies: Vec<_> = records.flat_map(|s| list(&s["log_records"])).map(|l| &l["body"]["string_value"]).collect();
    assert_eq!(bodies, ["20 tasks processed"]);
}
