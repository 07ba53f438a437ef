//! The walk allocates nothing, whatever it meets.

use chainspan::otlp::{SpanHead, Visitor, walk};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

#[derive(Default)]
struct Duplicates(u32);

impl<'a> Visitor<'a> for Duplicates {
    fn restart(&mut self) {
        *self = Self::default();
    }

    fn span(&mut self, span: &SpanHead<'a>) {
        self.0 += u32::from(span.duplicate_keys);
    }
}

fn attributes(count: usize) -> Vec<KeyValue> {
    let value = |text: &str| AnyValue { value: Some(any_value::Value::StringValue(text.into())) };
    let array = ArrayValue { values: vec![value("a"), value("b")] };
    (0..count)
        .map(|index| KeyValue {
            key: format!("key.{index}"),
            value: Some(AnyValue { value: Some(any_value::Value::ArrayValue(array.clone())) }),
            ..Default::default()
        })
        .collect()
}

fn request(spans: Vec<Span>) -> Vec<u8> {
    let scope_spans = vec![ScopeSpans { spans, ..Default::default() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..Default::default() }] }
        .encode_to_vec()
}

fn walked_without_allocating(body: &[u8]) -> u32 {
    let mut duplicates = Duplicates::default();
    let allocations = allocation_counter::measure(|| {
        // Malformed bodies too: an error carries no text of its own.
        let _ = walk(body, &mut duplicates);
    });
    assert_eq!(allocations.count_total, 0);
    duplicates.0
}

/// Spans of every size up to thousands of attributes, whose keys are counted exactly, and bodies cut off anywhere.
#[test]
fn the_walk_does_not_allocate() {
    let span = Span {
        attributes: attributes(10),
        events: vec![Event { attributes: attributes(3), ..Default::default() }],
        status: Some(Status { message: "broken".into(), code: 2 }),
        ..Default::default()
    };
    let many = Span { attributes: attributes(5_000), ..Default::default() };
    let mut twice = many.clone();
    twice.attributes.push(attributes(1).remove(0));
    let body = request(vec![span.clone(), many, twice, span.clone()]);
    assert_eq!(walked_without_allocating(&body), 1);

    let body = request(vec![span]);
    for end in 0..body.len() {
        walked_without_allocating(&body[..end]);
    }
}
