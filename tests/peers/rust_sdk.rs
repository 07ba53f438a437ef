//! The example gateway, which uses the official OpenTelemetry SDK for Rust (gRPC, gzip), before chainspan. Needs nothing that
//! cargo does not bring.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use chainspan_testing::chainspan::{Chainspan, assert_conservation, config};
use chainspan_testing::peer;
use chainspan_testing::server::FaultServer;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;

/// Runs `examples/gateway` against `chainspan` until it ends by itself.
fn run_gateway(chainspan: &Chainspan) {
    // Beside the program under test, in the same profile. Building is a matter of moments when it is there already.
    let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--example", "gateway", "--profile", profile]);
    peer::run(build.current_dir(env!("CARGO_MANIFEST_DIR")));
    let program = Path::new(env!("CARGO_BIN_EXE_chainspan")).with_file_name("examples").join("gateway");
    let mut gateway = Command::new(program);
    gateway.arg("--endpoint").arg(format!("http://{}", chainspan.grpc())).args(["--seconds", "1"]);
    peer::run(&mut gateway);
}

/// The value of the only attribute `key`, which must be a string where it is there at all.
fn text<'a>(span: &'a Span, key: &str) -> Option<&'a str> {
    let values: Vec<_> = span.attributes.iter().filter(|a| a.key == key).collect();
    assert!(values.len() <= 1, "{key} more than once: {span:?}");
    match values.first()?.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        other => panic!("{key} is no string: {other:?}"),
    }
}

/// The sum of the samples of `metric` that carry all of `labels`, in the Prometheus text format.
fn sum(metrics: &str, metric: &str, labels: &[(&str, &str)]) -> f64 {
    let matches = |line: &&str| {
        let rest = line.strip_prefix(metric).filter(|rest| rest.starts_with('{'));
        rest.is_some_and(|rest| labels.iter().all(|(key, value)| rest.contains(&format!("{key}=\"{value}\""))))
    };
    let value = |line: &str| line.rsplit(' ').next().and_then(|v| v.parse::<f64>().ok());
    metrics.lines().filter(matches).map(|line| value(line).unwrap_or_else(|| panic!("no number: {line}"))).sum()
}

/// All five operations arrive on both chains, each with its chain as a string (the SDK sends a `u64`), and what is measured
/// is what arrived: per chain and operation, with a denial and a retried transaction among the successes.
#[test]
fn the_example_gateway_is_tagged_and_measured() {
    let sink = FaultServer::in_background();
    let mut chainspan = Chainspan::start(&config(sink.address(), "", ""));
    run_gateway(&chainspan);

    let spans = sink.spans();
    let mut operations = BTreeMap::<(String, String), u64>::new();
    let mut failures = BTreeMap::<(String, String), u64>::new();
    for span in &spans {
        let chain = text(span, "chain_id").unwrap_or_else(|| panic!("no chain: {span:?}")).to_owned();
        let operation = text(span, "avs.operation").unwrap_or_else(|| panic!("no operation: {span:?}")).to_owned();
        if text(span, "avs.outcome") == Some("failed") {
            *failures.entry((chain.clone(), operation.clone())).or_default() += 1;
        }
        *operations.entry((chain, operation)).or_default() += 1;
    }
    assert_eq!(operations.len(), 10, "five operations on two chains: {operations:?}");

    let metrics = chainspan.metrics();
    for ((chain, operation), count) in &operations {
        let of = |outcome: &str| {
            let labels = [("chain_id", chain.as_str()), ("operation", operation), ("outcome", outcome)];
            sum(&metrics, "avs_gateway_operations_total", &labels)
        };
        let failed = failures.get(&(chain.clone(), operation.clone())).copied().unwrap_or(0);
        assert_eq!(of("failure"), failed as f64, "{operation} on {chain}:\n{metrics}");
        assert_eq!(of("success"), (count - failed) as f64, "{operation} on {chain}:\n{metrics}");
    }
    for chain in ["11155111", "8453"] {
        let count = |metric: &str, label: (&str, &str)| sum(&metrics, metric, &[("chain_id", chain), label]);
        assert!(count("avs_gateway_quorum_failures_total", ("reason", "quorum_not_reached")) >= 1.0, "{metrics}");
        assert!(count("avs_gateway_tx_failures_total", ("reason", "nonce_too_low")) >= 1.0, "{metrics}");
        assert!(count("avs_gateway_tx_failures_total", ("reason", "rpc_unavailable")) >= 1.0, "{metrics}");
        assert!(count("avs_gateway_webhook_deliveries_total", ("status_class", "5xx")) >= 1.0, "{metrics}");
        assert!(count("avs_gateway_webhook_deliveries_total", ("status_class", "timeout")) >= 1.0, "{metrics}");
        assert!(count("avs_gateway_webhook_deliveries_total", ("status_class", "2xx")) >= 1.0, "{metrics}");
    }
    assert_conservation(&chainspan.status());
    assert_eq!(chainspan.status()["destinations"]["otlp/datadog"]["spans"]["delivered"], spans.len());
    assert!(chainspan.terminate().success(), "a drain ends with 0");
}
