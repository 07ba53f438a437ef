//! What was sent, and what its p99 is.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use chainspan_sim::spec::{OPERATION_NAMES, names_of};
use chainspan_sim::{Batch, Chain, FAULT_PROFILES, Flavour, Gateway, GatewaySettings, SpanKey};
use chainspan_testing::otlp;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;

pub(crate) const OPERATIONS: [&str; 5] =
    ["task", "task_broadcast", "bls_aggregation", "tx_submission", "webhook_delivery"];

/// The operation that a span name means.
pub(crate) fn operation(name: &str) -> Option<&'static str> {
    let known = |(_, names): &&(&str, &[&str])| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    OPERATION_NAMES.iter().find(known).map(|(operation, _)| *operation)
}

/// One request.
pub(crate) struct Truth {
    pub(crate) service: String,
    pub(crate) request: ExportTraceServiceRequest,
    /// Nanoseconds by operation, ascending.
    durations: BTreeMap<&'static str, Vec<u64>>,
}

impl Truth {
    /// A batch of a simulated gateway named `service`.
    pub(crate) fn simulated(service: &str, spans: usize, now_unix_nano: u64, seed: u64) -> Self {
        let settings = GatewaySettings {
            service: service.to_owned(),
            environment: "production".to_owned(),
            instance: "gateway-0".to_owned(),
            flavour: Flavour::Collector,
            chains: vec![Chain::new(1, FAULT_PROFILES[0]), Chain::new(8_453, FAULT_PROFILES[0])],
        };
        let Batch { mut request, facts, .. } = Gateway::new(settings, seed).next_batch(spans, now_unix_nano);
        let meant: HashMap<SpanKey, &str> = facts.operations.iter().map(|fact| (fact.span, fact.operation)).collect();
        let scopes = request.resource_spans.iter_mut().flat_map(|resource| &mut resource.scope_spans);
        scopes.for_each(|scope| scope.spans.retain(|span| comparable(span, &meant)));
        Self::new(service, request)
    }

    /// Broadcasts that all took 11 to 14 ms.
    pub(crate) fn fast(service: &str, now_unix_nano: u64) -> Self {
        let span = |n: u64| {
            let duration = Duration::from_nanos(11_000_000 + n * 1_500);
            let span = otlp::span(names_of("task_broadcast")[0], duration, vec![otlp::int("chain_id", 1)]);
            let start_time_unix_nano = now_unix_nano - duration.as_nanos() as u64;
            Span { start_time_unix_nano, end_time_unix_nano: now_unix_nano, ..span }
        };
        Self::new(service, otlp::traces(service, (0..2_000).map(span).collect()))
    }

    fn new(service: &str, request: ExportTraceServiceRequest) -> Self {
        let mut durations = BTreeMap::<&str, Vec<u64>>::new();
        for span in spans(&request) {
            if let Some(operation) = operation(&span.name) {
                let duration = span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano);
                durations.entry(operation).or_default().push(duration);
            }
        }
        durations.values_mut().for_each(|all| all.sort_unstable());
        Self { service: service.to_owned(), request, durations }
    }

    pub(crate) fn operations(&self) -> u64 {
        self.durations.values().map(|all| all.len() as u64).sum()
    }

    pub(crate) fn newest_end(&self) -> u64 {
        spans(&self.request).map(|span| span.end_time_unix_nano).max().unwrap()
    }

    /// The largest relative error among the operations, when `p99` (milliseconds) is asked.
    pub(crate) fn worst_p99(&self, p99: impl Fn(&'static str) -> f64) -> f64 {
        let error = |(operation, all): (&&'static str, &Vec<u64>)| {
            let exact = all[(all.len() * 99).div_ceil(100) - 1] as f64 / 1e6;
            (p99(operation) / exact - 1.0).abs()
        };
        self.durations.iter().map(error).fold(0.0, f64::max)
    }
}

/// The Collector knows a span by its name alone; and for one span with an id of a wrong length it refuses the whole request,
/// with INTERNAL.
fn comparable(span: &Span, meant: &HashMap<SpanKey, &str>) -> bool {
    let named = operation(&span.name) == meant.get(&SpanKey::of(&span.span_id)).copied();
    named && span.trace_id.len() == 16 && span.span_id.len() == 8
}

fn spans(request: &ExportTraceServiceRequest) -> impl Iterator<Item = &Span> {
    request.resource_spans.iter().flat_map(|resource| &resource.scope_spans).flat_map(|scope| &scope.spans)
}
