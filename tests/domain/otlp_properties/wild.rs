//! Arbitrary trace requests, and an encoder that writes them as no SDK would: fields in any order, some of them twice,
//! unknown fields of every kind in every message.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList, any_value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use prost::Message;
use prost::bytes::Buf;
use prost::encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint};

/// Every unknown field with room for it carries this, and a number.
const MARK: &[u8] = b"wild:";

fn any_value() -> impl Strategy<Value = AnyValue> {
    use any_value::Value;
    let leaf = prop_oneof![
        Just(None),
        ".{0,20}".prop_map(|text| Some(Value::StringValue(text))),
        any::<bool>().prop_map(|value| Some(Value::BoolValue(value))),
        any::<i64>().prop_map(|value| Some(Value::IntValue(value))),
        any::<f64>().prop_map(|value| Some(Value::DoubleValue(value))),
        vec(any::<u8>(), 0..20).prop_map(|bytes| Some(Value::BytesValue(bytes))),
        ".{100,300}".prop_map(|text| Some(Value::StringValue(text))),
    ];
    leaf.prop_map(|value| AnyValue { value }).prop_recursive(4, 12, 3, |inner| {
        let pair = ("[a-c]{0,2}", option::of(inner.clone())).prop_map(|(key, value)| pair(&key, value));
        prop_oneof![
            vec(inner, 0..3).prop_map(|values| Value::ArrayValue(ArrayValue { values })),
            vec(pair, 0..3).prop_map(|values| Value::KvlistValue(KeyValueList { values })),
        ]
        .prop_map(|value| AnyValue { value: Some(value) })
    })
}

fn pair(key: &str, value: Option<AnyValue>) -> KeyValue {
    KeyValue { key: key.into(), value, ..Default::default() }
}

/// An attribute with a string.
pub(crate) fn text(key: &str, value: &str) -> KeyValue {
    pair(key, Some(AnyValue { value: Some(any_value::Value::StringValue(value.into())) }))
}

/// An attribute with an int.
pub(crate) fn int(key: &str, value: i64) -> KeyValue {
    pair(key, Some(AnyValue { value: Some(any_value::Value::IntValue(value)) }))
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let key = prop_oneof!["[a-d]{0,2}", "[a-z_.]{3,24}", Just("chain_id".to_owned())];
    vec((key, option::weighted(0.9, any_value())).prop_map(|(key, value)| pair(&key, value)), 0..6)
}

fn id(len: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![6 => vec(0_u8..2, len..=len).prop_map(|mut id| { id[2..].fill(7); id }), 1 => vec(any::<u8>(), 0..20)]
}

fn span() -> impl Strategy<Value = Span> {
    let ids = (id(16), id(8), id(8), ".{0,20}", any::<i32>(), any::<(u64, u64)>());
    let event = (any::<u64>(), ".{0,9}", attributes(), any::<u32>()).prop_map(|event| Event {
        time_unix_nano: event.0,
        name: event.1,
        attributes: event.2,
        dropped_attributes_count: event.3,
    });
    let link = (id(16), id(8), ".{0,9}", attributes(), any::<(u32, u32)>()).prop_map(|link| Link {
        trace_id: link.0,
        span_id: link.1,
        trace_state: link.2,
        attributes: link.3,
        dropped_attributes_count: link.4.0,
        flags: link.4.1,
    });
    let status = (".{0,20}", 0..4).prop_map(|(message, code)| Status { message, code });
    let inner = (attributes(), vec(event, 0..3), vec(link, 0..2), option::of(status));
    (ids, inner, ".{0,9}", any::<[u32; 4]>()).prop_map(|(ids, inner, trace_state, numbers)| Span {
        trace_id: ids.0,
        span_id: ids.1,
        trace_state,
        parent_span_id: ids.2,
        flags: numbers[0],
        name: ids.3,
        kind: ids.4,
        start_time_unix_nano: ids.5.0,
        end_time_unix_nano: ids.5.1,
        attributes: inner.0,
        dropped_attributes_count: numbers[1],
        events: inner.1,
        dropped_events_count: numbers[2],
        links: inner.2,
        dropped_links_count: numbers[3],
        status: inner.3,
    })
}

/// Any trace request.
pub(crate) fn request() -> impl Strategy<Value = ExportTraceServiceRequest> {
    let entity = "[a-z]{0,5}".prop_map(|r#type| EntityRef { r#type, id_keys: vec!["id".into()], ..Default::default() });
    let resource = (attributes(), any::<u32>(), vec(entity, 0..2)).prop_map(|resource| Resource {
        attributes: resource.0,
        dropped_attributes_count: resource.1,
        entity_refs: resource.2,
    });
    let scope = ("[a-z]{0,9}", "[0-9.]{0,5}", attributes()).prop_map(|scope| InstrumentationScope {
        name: scope.0,
        version: scope.1,
        attributes: scope.2,
        ..Default::default()
    });
    let scope_spans = (option::of(scope), vec(span(), 0..5), ".{0,9}")
        .prop_map(|(scope, spans, schema_url)| ScopeSpans { scope, spans, schema_url });
    let resource_spans = (option::of(resource), vec(scope_spans, 0..4), ".{0,9}")
        .prop_map(|(resource, scope_spans, schema_url)| ResourceSpans { resource, scope_spans, schema_url });
    vec(resource_spans, 0..4).prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans })
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Request,
    ResourceSpans,
    Resource,
    ScopeSpans,
    Scope,
    Span,
    Event,
    Link,
    Status,
    KeyValue,
    AnyValue,
    Array,
    KvList,
    EntityRef,
}

impl Kind {
    /// The message in field `number` of one of this kind.
    fn inner(self, number: u32) -> Option<Kind> {
        Some(match (self, number) {
            (Kind::Request, 1) => Kind::ResourceSpans,
            (Kind::ResourceSpans, 1) => Kind::Resource,
            (Kind::ResourceSpans, 2) => Kind::ScopeSpans,
            (Kind::ScopeSpans, 1) => Kind::Scope,
            (Kind::ScopeSpans, 2) => Kind::Span,
            (Kind::Resource, 3) => Kind::EntityRef,
            (Kind::Span, 11) => Kind::Event,
            (Kind::Span, 13) => Kind::Link,
            (Kind::Span, 15) => Kind::Status,
            (Kind::Resource, 1) | (Kind::Scope, 3) | (Kind::Span, 9) | (Kind::Event, 3) | (Kind::Link, 4) => {
                Kind::KeyValue
            }
            (Kind::KeyValue, 2) | (Kind::Array, 1) => Kind::AnyValue,
            (Kind::AnyValue, 5) => Kind::Array,
            (Kind::AnyValue, 6) => Kind::KvList,
            (Kind::KvList, 1) => Kind::KeyValue,
            _ => return None,
        })
    }
}

/// The encoder.
pub(crate) struct Wild {
    random: fastrand::Rng,
    marks: u32,
}

impl Wild {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: fastrand::Rng::with_seed(seed), marks: 0 }
    }

    pub(crate) fn request(&mut self, request: &ExportTraceServiceRequest) -> Vec<u8> {
        self.message(&request.encode_to_vec(), Kind::Request)
    }

    fn message(&mut self, mut plain: &[u8], kind: Kind) -> Vec<u8> {
        let mut fields = Vec::new();
        while plain.has_remaining() {
            let (number, wire_type) = decode_key(&mut plain).expect("prost wrote it");
            let mut field = Vec::new();
            encode_key(number, wire_type, &mut field);
            match wire_type {
                WireType::Varint => encode_varint(decode_varint(&mut plain).expect("prost wrote it"), &mut field),
                WireType::SixtyFourBit => field.extend_from_slice(&plain.copy_to_bytes(8)),
                WireType::ThirtyTwoBit => field.extend_from_slice(&plain.copy_to_bytes(4)),
                _ => {
                    let len = decode_varint(&mut plain).expect("prost wrote it");
                    let content = plain.copy_to_bytes(len as usize);
                    let content = kind.inner(number).map_or(content.to_vec(), |kind| self.message(&content, kind));
                    encode_varint(content.len() as u64, &mut field);
                    field.extend(content);
                }
            }
            // Not where prost would join two arrays.
            if !matches!(kind, Kind::KeyValue | Kind::AnyValue) && self.random.u8(..) < 12 {
                fields.push(field.clone());
            }
            fields.push(field);
        }
        while self.random.u8(..) < 60 {
            let mut field = Vec::new();
            self.unknown(&mut field, 0);
            fields.push(field);
        }
        // In order half of the time: both must work.
        if self.random.bool() {
            self.random.shuffle(&mut fields);
        }
        fields.concat()
    }

    fn unknown(&mut self, out: &mut Vec<u8>, depth: u32) {
        let number = if self.random.bool() { self.random.u32(17..3_000) } else { (1 << 29) - 1 };
        match self.random.u8(0..if depth < 3 { 5 } else { 4 }) {
            0 => {
                encode_key(number, WireType::Varint, out);
                encode_varint(self.random.u64(..), out);
            }
            1 => {
                encode_key(number, WireType::SixtyFourBit, out);
                out.extend(self.random.u64(..).to_le_bytes());
            }
            2 => {
                encode_key(number, WireType::ThirtyTwoBit, out);
                out.extend(self.random.u32(..).to_le_bytes());
            }
            3 => {
                self.marks += 1;
                encode_key(number, WireType::LengthDelimited, out);
                encode_varint(MARK.len() as u64 + 4, out);
                out.extend_from_slice(MARK);
                out.extend(self.marks.to_be_bytes());
            }
            _ => {
                encode_key(number, WireType::StartGroup, out);
                (0..self.random.u8(0..3)).for_each(|_| self.unknown(out, depth + 1));
                encode_key(number, WireType::EndGroup, out);
            }
        }
    }
}

/// What the marked unknown fields of a request carry, in its order.
pub(crate) fn unknown_payloads(body: &[u8]) -> Vec<&[u8]> {
    let len = MARK.len() + 4;
    body.windows(len).filter(|window| window.starts_with(MARK)).collect()
}
