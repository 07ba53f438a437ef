//! What a dead letter is about: the chains and operations of its spans.
//!
//! The only place in `delivery` that looks into spans, and only once a request has been refused for good: by then speed does
//! not matter, and an operator will ask for letters by chain. Any bytes may come in here; nothing may panic.

use std::collections::BTreeSet;

use crate::chain::{ChainId, TAG_KEY};
use crate::gateway::{Facts, Names, Operation, operation_of};
use crate::otlp::{self, AttributePlace, Signal, SpanHead, Value, Visitor};

/// The chains and operations of a request, each once. Empty where there are none, and for metrics and logs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// Chain ids as decimal numbers, the smallest first.
    pub chains: Vec<String>,
    /// Labels of operations in alphabetical order.
    pub operations: Vec<String>,
}

/// What is known of one span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meaning {
    /// Its `chain_id` tag.
    pub chain: Option<ChainId>,
    /// Its operation, by `avs.operation` or by one of the span names that need no configuration.
    pub operation: Option<Operation>,
}

/// The chains and operations of the spans in `body`; none if it is damaged.
pub fn describe(signal: Signal, body: &[u8]) -> Description {
    if signal != Signal::Traces {
        return Description::default();
    }
    let spans = meanings(body).unwrap_or_default();
    let chains: BTreeSet<ChainId> = spans.iter().filter_map(|span| span.chain).collect();
    let operations: BTreeSet<&str> = spans.iter().filter_map(|span| span.operation.map(Operation::label)).collect();
    Description {
        chains: chains.into_iter().map(|chain| chain.to_string()).collect(),
        operations: operations.into_iter().map(str::to_owned).collect(),
    }
}

/// What is known of each span of a traces request, in the order of the wire.
///
/// # Errors
/// Where the body is malformed.
pub fn meanings(body: &[u8]) -> Result<Vec<Meaning>, otlp::WireError> {
    let mut reader = Reader { names: Names::default(), facts: Facts::new(), chain: None, spans: Vec::new() };
    otlp::walk(body, &mut reader)?;
    Ok(reader.spans)
}

struct Reader<'a> {
    names: Names,
    facts: Facts<'a>,
    /// The tag of the span at hand.
    chain: Option<ChainId>,
    spans: Vec<Meaning>,
}

impl<'a> Visitor<'a> for Reader<'a> {
    fn restart(&mut self) {
        self.spans.clear();
        self.facts.clear();
        self.chain = None;
    }

    fn span_attribute(&mut self, key: &'a [u8], value: Value<'a>, _place: AttributePlace) {
        if key == TAG_KEY.as_bytes() {
            self.chain = self.chain.or_else(|| ChainId::from_value(value));
        }
        self.facts.attribute(key, value);
    }

    fn span(&mut self, head: &SpanHead<'a>) {
        self.spans.push(Meaning { chain: self.chain.take(), operation: operation_of(&self.facts, head, &self.names) });
        self.facts.clear();
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
    use prost::Message;

    use super::*;

    fn span(name: &str, attributes: &[(&str, &str)]) -> Span {
        let attribute = |(key, value): &(&str, &str)| KeyValue {
            key: (*key).to_owned(),
            value: Some(AnyValue { value: Some(any_value::Value::StringValue((*value).to_owned())) }),
            ..Default::default()
        };
        Span { name: name.to_owned(), attributes: attributes.iter().map(attribute).collect(), ..Default::default() }
    }

    fn body(spans: Vec<Span>) -> Vec<u8> {
        let scope_spans = vec![ScopeSpans { spans, ..Default::default() }];
        ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..Default::default() }] }
            .encode_to_vec()
    }

    /// Chains are in the order of their numbers, operations in that of the alphabet, each once; a span without a tag, and
    /// one that is no operation, is neither.
    #[test]
    fn chains_and_operations_are_sorted_and_named_once() {
        let body = body(vec![
            span("submit_tx", &[("chain_id", "8453")]),
            span("anything", &[("avs.operation", "task"), ("chain_id", "10")]),
            span("submit_tx", &[("chain_id", "8453")]),
            span("verify_signature", &[]),
        ]);
        let found = describe(Signal::Traces, &body);
        assert_eq!(found.chains, ["10", "8453"]);
        assert_eq!(found.operations, ["task", "tx_submission"]);
        let none = Description::default();
        assert_eq!((describe(Signal::Metrics, &body), describe(Signal::Logs, &body)), (none.clone(), none));
    }

    proptest::proptest! {
        /// A body that is damaged anywhere does no harm.
        #[test]
        fn damage_is_answered(at: usize, byte: u8, noise: Vec<u8>) {
            let mut damaged = body(vec![span("submit_tx", &[("chain_id", "8453")])]);
            let at = at % damaged.len();
            damaged[at] = byte;
            describe(Signal::Traces, &damaged);
            describe(Signal::Traces, &noise);
        }
    }
}
