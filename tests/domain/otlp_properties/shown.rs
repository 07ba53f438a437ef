//! What a walk shows, written down in lines, and the lines that prost's structs give.

use chainspan::otlp::{AttributePlace, SpanHead, SpanPlace, Value, Visitor};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

/// Writes down what it is shown, and checks that places are where they say.
pub(crate) struct Shown<'a> {
    body: &'a [u8],
    pub(crate) lines: Vec<String>,
    /// Those of events, which may stand between a span's attributes.
    of_events: Vec<String>,
}

impl<'a> Shown<'a> {
    pub(crate) fn new(body: &'a [u8]) -> Self {
        Self { body, lines: Vec::new(), of_events: Vec::new() }
    }

    fn attribute(&mut self, of: &str, key: &[u8], value: Value<'_>) {
        // Bytes that are no text come here only from damaged requests, whose lines nobody reads.
        let value = owned(value).map(|value| AnyValue { value });
        self.lines.push(format!("{of} {key:?} {value:?}"));
    }
}

impl<'a> Visitor<'a> for Shown<'a> {
    fn restart(&mut self) {
        *self = Self::new(self.body);
    }

    fn resource(&mut self) {
        self.lines.push("resource".into());
    }

    fn resource_attribute(&mut self, key: &'a [u8], value: Value<'a>) {
        self.attribute("resource", key, value);
    }

    fn scope(&mut self) {
        self.lines.push("scope".into());
    }

    fn scope_attribute(&mut self, key: &'a [u8], value: Value<'a>) {
        self.attribute("scope", key, value);
    }

    fn span_attribute(&mut self, key: &'a [u8], value: Value<'a>, place: AttributePlace) {
        let mut field = &self.body[place.start as usize..place.end as usize];
        let (tag, _) = prost::encoding::decode_key(&mut field).expect("a tag");
        assert_eq!(tag, 9);
        if let Ok(decoded) = KeyValue::decode_length_delimited(field) {
            assert_eq!(decoded.key.as_bytes(), key, "the place is the attribute's");
        }
        self.attribute("span", key, value);
    }

    fn event_attribute(&mut self, key: &'a [u8], value: Value<'a>) {
        self.attribute("event", key, value);
        self.of_events.extend(self.lines.pop());
    }

    fn span(&mut self, span: &SpanHead<'a>) {
        for place in [span.place.resource_spans, span.place.scope_spans, span.place.span] {
            let mut length = &self.body[place.length_at as usize..place.start as usize];
            let length = prost::encoding::decode_varint(&mut length).expect("a length");
            assert_eq!(length, u64::from(place.end - place.start));
        }
        self.lines.append(&mut self.of_events);
        let ids = [span.trace_id, span.span_id, span.parent_span_id, span.name, span.status_message];
        let numbers = (span.kind, span.start_unix_nano, span.end_unix_nano, span.status_code);
        self.lines.push(format!("span {ids:?} {numbers:?} {}", span.duplicate_keys));
    }
}

fn owned(value: Value<'_>) -> Option<Option<any_value::Value>> {
    use any_value::Value as Owned;
    Some(match value {
        Value::Empty => None,
        Value::Str(text) => Some(Owned::StringValue(String::from_utf8(text.into()).ok()?)),
        Value::Bool(value) => Some(Owned::BoolValue(value)),
        Value::Int(value) => Some(Owned::IntValue(value)),
        Value::Double(value) => Some(Owned::DoubleValue(value)),
        Value::Array(bytes) => Some(Owned::ArrayValue(ArrayValue::decode(bytes).ok()?)),
        Value::KvList(bytes) => Some(Owned::KvlistValue(KeyValueList::decode(bytes).ok()?)),
        Value::Bytes(bytes) => Some(Owned::BytesValue(bytes.into())),
    })
}

/// The lines that a walk over `request` has to give.
pub(crate) fn expected(request: &ExportTraceServiceRequest) -> Vec<String> {
    let mut lines = Vec::new();
    for resource in &request.resource_spans {
        lines.push("resource".into());
        let of_resource = resource.resource.iter().flat_map(|resource| &resource.attributes);
        lines.extend(of_resource.map(|attribute| line("resource", attribute)));
        for scope in &resource.scope_spans {
            lines.push("scope".into());
            let of_scope = scope.scope.iter().flat_map(|scope| &scope.attributes);
            lines.extend(of_scope.map(|attribute| line("scope", attribute)));
            for span in &scope.spans {
                expect_span(span, &mut lines);
            }
        }
    }
    lines
}

fn line(of: &str, attribute: &KeyValue) -> String {
    let value = Some(AnyValue { value: attribute.value.clone().and_then(|value| value.value) });
    format!("{of} {:?} {value:?}", attribute.key.as_bytes())
}

fn expect_span(span: &Span, lines: &mut Vec<String>) {
    lines.extend(span.attributes.iter().map(|attribute| line("span", attribute)));
    let of_events = span.events.iter().flat_map(|event| &event.attributes);
    lines.extend(of_events.map(|attribute| line("event", attribute)));
    let status = span.status.clone().unwrap_or_default();
    let texts =
        [&span.trace_id, &span.span_id, &span.parent_span_id, &span.name.clone().into(), &status.message.into()];
    let numbers = (span.kind, span.start_time_unix_nano, span.end_time_unix_nano, status.code);
    let mut keys: Vec<_> = span.attributes.iter().map(|attribute| &attribute.key).collect();
    keys.sort();
    let duplicates = keys.windows(2).any(|pair| pair[0] == pair[1]);
    lines.push(format!("span {texts:?} {numbers:?} {duplicates}"));
}

/// Keeps where every span and its attributes stand.
#[derive(Default)]
pub(crate) struct Places {
    attributes: Vec<AttributePlace>,
    pub(crate) spans: Vec<(SpanPlace, Vec<AttributePlace>)>,
}

impl<'a> Visitor<'a> for Places {
    fn restart(&mut self) {
        *self = Self::default();
    }

    fn span_attribute(&mut self, _: &'a [u8], _: Value<'a>, place: AttributePlace) {
        self.attributes.push(place);
    }

    fn span(&mut self, span: &SpanHead<'a>) {
        self.spans.push((span.place, std::mem::take(&mut self.attributes)));
    }
}
