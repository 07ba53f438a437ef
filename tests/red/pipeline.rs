//! From the bytes of a request to what is counted: what the walk stages, and that only an accepted request counts.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chainspan::config::{Config, parse};
use chainspan::delivery::Signal;
use chainspan::pipeline::{Budget, Parts, Pipeline};
use chainspan::red::{Metric, Red, RedSettings, SeriesValue, Snapshot};
use chainspan::telemetry::{ODD_SPANS, Telemetry};
use chainspan_testing::otlp::{boolean, double, int, now, span, text, traces};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use crate::support::SnapshotExt;

const YAML: &str = "
service:
  pipelines:
    traces: {receivers: [otlp], processors: [chain], exporters: [gateway, otlp/datadog]}
    metrics/gateway: {receivers: [gateway], exporters: [prometheus]}
";

/// A pipeline without destinations: everything well-formed is accepted.
fn pipeline(telemetry: &Telemetry) -> (Pipeline, Arc<Red>) {
    let config: Config = parse(YAML, "f", &|_| None).unwrap_or_else(|errors| panic!("{errors}"));
    let red = Arc::new(Red::new(RedSettings { start_unix_nano: now(), ..RedSettings::default() }));
    let parts = Parts {
        chain: config.chain.as_ref(),
        gateway: config.gateway.as_ref(),
        red: Some(red.clone()),
        budget: Budget::new(1 << 24),
        destinations: Vec::new(),
        telemetry: telemetry.clone(),
    };
    (Pipeline::new(parts), red)
}

fn body(spans: Vec<Span>) -> Bytes {
    let mut request = traces("gateway", spans);
    let resource = request.resource_spans[0].resource.as_mut().expect("a resource");
    resource.attributes.push(text("service.instance.id", "gateway-7"));
    request.encode_to_vec().into()
}

fn gauges(snapshot: &Snapshot, metric: Metric) -> Vec<String> {
    let text = |series: &chainspan::red::Series| {
        let texts: Vec<_> = series.texts(metric).map(|(_, value)| value.into_owned()).collect();
        match series.value {
            SeriesValue::Gauge(value) => format!("{} {value}", texts.join(" ")),
            _ => panic!("a gauge"),
        }
    };
    snapshot.series(metric).iter().map(text).collect()
}

fn odd(telemetry: &Telemetry, kind: &str) -> f64 {
    let of_kind = |sample: &&chainspan::telemetry::Sample| {
        sample.name == ODD_SPANS && sample.labels.iter().any(|(_, value)| value == kind)
    };
    telemetry.samples().iter().find(of_kind).map_or(0.0, |sample| sample.value)
}

/// Nonce gaps come from transactions, breaker states from any span, and both take the chain of their trace.
#[tokio::test]
async fn states_are_read_and_inherit_the_chain_of_their_trace() {
    let (pipeline, red) = pipeline(&Telemetry::new());
    let first = span("process task", Duration::from_secs(1), vec![int("chain_id", 8453)]);
    let gap = vec![int("evm.tx.nonce_pending", 12), text("evm.tx.nonce_latest", "9"), text("evm.signer.alias", "hot")];
    let mut submitted = span("submit_tx", Duration::from_secs(1), gap.clone());
    let states = vec![text("circuit_breaker.state", "HALF_OPEN"), text("circuit_breaker.target", "rpc")];
    let mut any = span("eth_call", Duration::from_secs(1), states);
    let elsewhere = span("eth_call", Duration::from_secs(1), gap);
    submitted.trace_id.clone_from(&first.trace_id);
    any.trace_id.clone_from(&first.trace_id);
    pipeline.accept(Signal::Traces, body(vec![any, submitted, first, elsewhere]), None).await.expect("accepted");
    let snapshot = red.snapshot(0);
    assert_eq!(gauges(&snapshot, Metric::TxNonceGap), ["8453 hot gateway-7 3"]);
    assert_eq!(gauges(&snapshot, Metric::BreakerState), ["8453 rpc gateway-7 1"]);
    assert_eq!(snapshot.total(Metric::Operations, |_| true), 2);
    let exemplars = &snapshot.series(Metric::OperationDuration)[0].exemplars;
    assert!(exemplars.iter().all(|exemplar| exemplar.trace_id != [0; 16] && exemplar.span_id != [0; 8]));
    assert!(!exemplars.is_empty());
}

/// Rule 1: a request that is refused leaves nothing behind, also not in gauges and exemplars.
#[tokio::test]
async fn a_refused_request_leaves_nothing_behind() {
    let telemetry = Telemetry::new();
    let (pipeline, red) = pipeline(&telemetry);
    let states = vec![text("circuit_breaker.state", "open"), int("avs.attempt.count", -1)];
    let spans = || vec![span("process task", Duration::from_secs(1), states.clone())];
    let mut broken = body(spans()).to_vec();
    broken.push(0x07);
    pipeline.accept(Signal::Traces, broken.into(), None).await.expect_err("malformed");
    pipeline.drain();
    pipeline.accept(Signal::Traces, body(spans()), None).await.expect_err("shutting down");
    assert_eq!(red.snapshot(now()).series_count(), 0);
    assert_eq!(odd(&telemetry, "bad_figure"), 0.0);
}

/// Spans with clocks and figures that cannot be right: each is counted by kind, none is lost or poisons a sum.
#[tokio::test]
async fn oddities_are_counted_by_kind_and_poison_no_sum() {
    let telemetry = Telemetry::new();
    let (pipeline, red) = pipeline(&telemetry);
    let task = || span("process task", Duration::ZERO, vec![]);
    let no_start = Span { start_time_unix_nano: 0, ..task() };
    let skewed = Span { start_time_unix_nano: now() + 1_000_000_000, ..task() };
    let figures = vec![
        int("avs.quorum.threshold", 250),
        double("avs.quorum.signed_stake_ratio", f64::NAN),
        double("avs.quorum.time_to_threshold", f64::INFINITY),
        int("avs.operators.signed", -4),
    ];
    let hostile = span("aggregate signatures", Duration::ZERO, figures);
    let webhook = span("deliver webhook", Duration::ZERO, vec![boolean("webhook.exhausted", true)]);
    let spans = vec![no_start, skewed, hostile, webhook];
    pipeline.accept(Signal::Traces, body(spans), None).await.expect("accepted");
    let kinds = ["no_start", "clock_skew", "bad_figure"].map(|kind| odd(&telemetry, kind));
    assert_eq!(kinds, [1.0, 1.0, 1.0]);
    let snapshot = red.snapshot(0);
    assert_eq!(snapshot.total(Metric::Operations, |_| true), 4);
    assert_eq!(snapshot.duration(|_| true).classic().sum(), 0);
    for absent in [Metric::SignedStakeRatio, Metric::QuorumMargin, Metric::TimeToThreshold, Metric::OperatorResponses] {
        assert!(snapshot.series(absent).is_empty(), "{absent:?}");
    }
    assert_eq!(snapshot.total(Metric::WebhookExhausted, |_| true), 1);
}
