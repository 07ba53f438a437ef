//! What arrived at the agent, and how it compares with the truth.

use hashbrown::HashMap;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;

use crate::truth::{ExpectedTag, SpanKey, Truth};

/// Everything that arrived.
#[derive(Clone, Debug, Default)]
pub(super) struct Received {
    spans: HashMap<SpanKey, ReceivedSpan>,
    pub(super) span_count: u64,
    pub(super) trace_requests: u64,
    pub(super) metrics: Vec<ExportMetricsServiceRequest>,
    pub(super) log_requests: u64,
}

#[derive(Clone, Copy, Debug)]
struct ReceivedSpan {
    tag: ExpectedTag,
    times: u32,
}

/// What arrived, compared with the truth.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// Spans that were acknowledged and looked up.
    pub checked: u64,
    /// Acknowledged spans that never arrived.
    pub missing: u64,
    /// Acknowledged spans that arrived with a wrong tag.
    pub mistagged: u64,
    /// Acknowledged spans that arrived more than once.
    pub repeated: u64,
    /// Spans that arrived although no acknowledged batch holds them: their batch was refused or is ambiguous.
    pub unexpected: u64,
    /// A few of the missing and mistagged spans, one sentence each.
    pub examples: Vec<String>,
}

impl Verification {
    /// Whether every acknowledged span arrived with the right tag.
    pub fn is_complete(&self) -> bool {
        self.missing == 0 && self.mistagged == 0
    }
}

impl Received {
    pub(super) fn add_traces(&mut self, request: &ExportTraceServiceRequest) {
        self.trace_requests += 1;
        for resource in &request.resource_spans {
            for span in resource.scope_spans.iter().flat_map(|scope| &scope.spans) {
                self.span_count += 1;
                let tag = tag_of(span);
                let seen = self.spans.entry(SpanKey::of(&span.span_id)).or_insert(ReceivedSpan { tag, times: 0 });
                seen.times += 1;
                if seen.tag != tag {
                    seen.tag = ExpectedTag::Broken;
                }
            }
        }
    }

    /// Looks up every acknowledged span. `truth` must keep tags.
    pub(super) fn verify(&self, truth: &Truth) -> Verification {
        let mut found = Verification::default();
        for (key, expected) in truth.tags() {
            found.checked += 1;
            let problem = match self.spans.get(key) {
                None => {
                    found.missing += 1;
                    "never arrived".to_owned()
                }
                Some(seen) => {
                    found.repeated += u64::from(seen.times > 1);
                    if seen.tag == *expected {
                        continue;
                    }
                    found.mistagged += 1;
                    format!("chain_id is {:?}, must be {expected:?}", seen.tag)
                }
            };
            if found.examples.len() < 5 {
                found.examples.push(format!("span {:016x}: {problem}", key.0));
            }
        }
        found.unexpected = self.spans.keys().filter(|key| !truth.tags().contains_key(*key)).count() as u64;
        found
    }
}

/// What a span carries under `chain_id`.
fn tag_of(span: &Span) -> ExpectedTag {
    let mut tags = span.attributes.iter().filter(|attribute| attribute.key == "chain_id");
    let (Some(tag), None) = (tags.next(), tags.next()) else {
        let any = span.attributes.iter().any(|attribute| attribute.key == "chain_id");
        return if any { ExpectedTag::Broken } else { ExpectedTag::Absent };
    };
    match tag.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => match text.parse::<u64>() {
            Ok(id) if id > 0 && id <= 9_223_372_036_854_775_771 && id.to_string() == *text => {
                ExpectedTag::Canonical(id)
            }
            _ => ExpectedTag::Invalid,
        },
        _ => ExpectedTag::Invalid,
    }
}
