//! Each fault with its field and its offset, in requests written by hand; the order in which things are shown.

use super::*;

/// A length-delimited field.
fn field(number: u32, content: impl AsRef<[u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    write::field(&mut out, number << 3 | 2, content.as_ref().len());
    out.extend_from_slice(content.as_ref());
    out
}

/// The messages around a span.
fn in_request(span: impl AsRef<[u8]>) -> Vec<u8> {
    field(1, field(2, field(2, span)))
}

/// What a visitor is shown, in short.
#[derive(Default)]
struct Story(Vec<String>);

impl Story {
    fn tell(&mut self, of: &str, key: &[u8], value: Value<'_>) {
        self.0.push(format!("{of} {}={value:?}", String::from_utf8_lossy(key)));
    }
}

impl<'a> Visitor<'a> for Story {
    fn restart(&mut self) {
        *self = Self::default();
    }

    fn resource(&mut self) {
        self.0.push("resource".into());
    }
    fn resource_attribute(&mut self, key: &'a [u8], value: Value<'a>) {
        self.tell("resource", key, value);
    }
    fn scope(&mut self) {
        self.0.push("scope".into());
    }
    fn scope_attribute(&mut self, key: &'a [u8], value: Value<'a>) {
        self.tell("scope", key, value);
    }
    fn span_attribute(&mut self, key: &'a [u8], value: Value<'a>, _: AttributePlace) {
        self.tell("span", key, value);
    }
    fn event_attribute(&mut self, key: &'a [u8], value: Value<'a>) {
        self.tell("event", key, value);
    }
    fn span(&mut self, span: &SpanHead<'a>) {
        self.0.push(format!(
            "{} {} {} {:?} {}",
            String::from_utf8_lossy(span.name),
            span.kind,
            span.status_code,
            String::from_utf8_lossy(span.status_message),
            span.duplicate_keys
        ));
    }
}

fn story(body: &[u8]) -> Vec<String> {
    let mut story = Story::default();
    walk(body, &mut story).expect("valid");
    story.0
}

fn refused(body: &[u8]) -> WireError {
    walk(body, &mut Story::default()).expect_err("malformed")
}

fn text(key: &str, value: &str) -> Vec<u8> {
    [field(1, key), field(2, field(1, value))].concat()
}

/// A fault at every level is named by its path, and by the offset in the whole body.
#[test]
fn faults_name_field_and_offset() {
    const S: &str = "resource_spans.scope_spans.spans";
    let wrong = |found, expected| WireFault::WrongWireType { found, expected };
    // (span, field below the span, offset in the span, fault)
    let faults: &[(&[u8], &str, usize, WireFault)] = &[
        (b"\x08\x01", ".trace_id", 0, wrong(0, 2)),
        (b"\x10\x01", ".span_id", 0, wrong(0, 2)),
        (b"\x18\x01", ".trace_state", 0, wrong(0, 2)),
        (b"\x20\x01", ".parent_span_id", 0, wrong(0, 2)),
        (b"\x2b\x2c", ".name", 0, wrong(3, 2)),
        (b"\x0a\x00\x32\x00", ".kind", 2, wrong(2, 0)),
        (b"\x3d\0\0\0\0", ".start_time_unix_nano", 0, wrong(5, 1)),
        (b"\x40\x00", ".end_time_unix_nano", 0, wrong(0, 1)),
        (b"\x48\x00", ".attributes", 0, wrong(0, 2)),
        (b"\x52\x00", ".dropped_attributes_count", 0, wrong(2, 0)),
        (b"\x58\x00", ".events", 0, wrong(0, 2)),
        (b"\x62\x00", ".dropped_events_count", 0, wrong(2, 0)),
        (b"\x68\x00", ".links", 0, wrong(0, 2)),
        (b"\x72\x00", ".dropped_links_count", 0, wrong(2, 0)),
        (b"\x78\x00", ".status", 0, wrong(0, 2)),
        (b"\x80\x01\x00", ".flags", 0, wrong(0, 5)),
        (b"\x0a\x05abc", ".trace_id", 1, WireFault::LengthTooLong(5)),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", ".trace_id", 1, WireFault::LengthTooLong(u64::MAX)),
        (b"\x30\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", ".kind", 1, WireFault::VarintTooLong),
        (b"\x39\0\0\0\0\0\0\0", ".start_time_unix_nano", 1, WireFault::Truncated),
        (b"\x85\x01\0\0\0", ".flags", 2, WireFault::Truncated),
        (b"\x30", ".kind", 1, WireFault::Truncated),
        (b"\x80", "", 0, WireFault::Truncated),
        (b"\x02\x00", "", 0, WireFault::FieldNumber(0)),
        (b"\x80\x80\x80\x80\x80\x01", "", 0, WireFault::FieldNumber(1 << 32)),
        (b"\x0e", "", 0, WireFault::WireType(6)),
        (b"\xa3\x06\x08\x00", "", 0, WireFault::Group),
        (b"\xa4\x06", "", 0, WireFault::Group),
        (b"\x4a\x02\x08\x00", ".attributes.key", 2, wrong(0, 2)),
        (b"\x4a\x02\x10\x00", ".attributes.value", 2, wrong(0, 2)),
        (b"\x4a\x02\x1a\x00", ".attributes.key_strindex", 2, wrong(2, 0)),
        (b"\x4a\x04\x12\x02\x08\x00", ".attributes.value", 4, wrong(0, 2)),
        (b"\x4a\x06\x0a\x01k\x12\x01\x0a", ".attributes.value", 8, WireFault::Truncated),
        (b"\x4a\x05\x12\x03\x2a\x01\x17", ".attributes.value", 6, WireFault::WireType(7)),
        (b"\x4a\x08\x12\x06\x32\x04\x0a\x02\x08\x00", ".attributes.value", 8, wrong(0, 2)),
        (b"\x5a\x02\x08\x00", ".events.time_unix_nano", 2, wrong(0, 1)),
        (b"\x5a\x04\x1a\x02\x08\x00", ".events.attributes.key", 4, wrong(0, 2)),
        (b"\x6a\x02\x35\x00", ".links.flags", 3, WireFault::Truncated),
        (b"\x6a\x04\x22\x02\x08\x00", ".links.attributes.key", 4, wrong(0, 2)),
        (b"\x7a\x02\x10\x00", ".status.message", 2, wrong(0, 2)),
        (b"\x7a\x02\x1a\x00", ".status.code", 2, wrong(2, 0)),
    ];
    for (span, path, offset, fault) in faults {
        let error = refused(&in_request(span));
        let at = 6 + offset;
        assert_eq!((error.field, error.offset, error.fault), (&*format!("{S}{path}"), at, *fault), "{span:x?}");
    }

    let around: &[(&[u8], &str, usize, WireFault)] = &[
        (b"\x08\x00", "resource_spans", 0, wrong(0, 2)),
        (b"\x0a", "resource_spans", 1, WireFault::Truncated),
        (b"\x0e", "request", 0, WireFault::WireType(6)),
        (b"\x0a\x02\x08\x00", "resource_spans.resource", 2, wrong(0, 2)),
        (b"\x0a\x02\x10\x00", "resource_spans.scope_spans", 2, wrong(0, 2)),
        (b"\x0a\x02\x18\x00", "resource_spans.schema_url", 2, wrong(0, 2)),
        (b"\x0a\x04\x0a\x02\x12\x00", "resource_spans.resource.dropped_attributes_count", 4, wrong(2, 0)),
        (b"\x0a\x06\x0a\x04\x0a\x02\x08\x00", "resource_spans.resource.attributes.key", 6, wrong(0, 2)),
        (b"\x0a\x06\x0a\x04\x1a\x02\x08\x00", "resource_spans.resource.entity_refs.schema_url", 6, wrong(0, 2)),
        (b"\x0a\x04\x12\x02\x08\x00", "resource_spans.scope_spans.scope", 4, wrong(0, 2)),
        (b"\x0a\x04\x12\x02\x10\x00", S, 4, wrong(0, 2)),
        (b"\x0a\x06\x12\x04\x0a\x02\x08\x00", "resource_spans.scope_spans.scope.name", 6, wrong(0, 2)),
        (b"\x0a\x06\x12\x04\x12\x00\x12\x09", S, 7, WireFault::LengthTooLong(9)),
    ];
    for (body, path, offset, fault) in around {
        let error = refused(body);
        assert_eq!((error.field, error.offset, error.fault), (*path, *offset, *fault), "{body:x?}");
    }
    assert_eq!(
        refused(&in_request(b"\x0a\x05abc")).to_string(),
        "resource_spans.scope_spans.spans.trace_id at byte 7: a length of 5 bytes reaches past the end of the enclosing message"
    );
}

/// An `AnyValue` in `depth` others, as arrays or as lists.
fn nested(depth: usize, wrap: fn(Vec<u8>) -> Vec<u8>) -> Vec<u8> {
    (1..depth).fold(field(1, "x"), |inner, _| wrap(inner))
}

/// Depth 64 passes and 65 does not, in arrays and lists alike; ten thousand do not overflow the stack.
#[test]
fn values_nest_to_the_limit() {
    let array: fn(Vec<u8>) -> Vec<u8> = |inner| field(5, field(1, inner));
    let list: fn(Vec<u8>) -> Vec<u8> = |inner| field(6, field(1, field(2, inner)));
    for wrap in [array, list] {
        for place in [9, 11, 13] {
            let request = |depth| {
                let attribute = field(2, nested(depth, wrap));
                in_request(match place {
                    11 => field(11, field(3, attribute)),
                    13 => field(13, field(4, attribute)),
                    _ => field(9, attribute),
                })
            };
            assert!(walk(&request(64), &mut Story::default()).is_ok());
            for depth in [65, 10_000] {
                let body = request(depth);
                let error = refused(&body);
                assert_eq!(error.fault, WireFault::TooDeep(64));
                assert!(error.field.ends_with("attributes.value"), "{error}");
                assert!(matches!(body[error.offset], 0x0a | 0x12), "the tag of the value that is too deep");
            }
        }
    }
    // KnownField lengths of the innermost 65 levels are known: the offset is exact.
    let body = in_request(field(9, field(2, nested(65, array))));
    assert_eq!(refused(&body).offset, body.len() - field(1, field(1, "x")).len());
}

/// Resource attributes come before scopes and those before spans, whatever stands first on the wire, and each once.
#[test]
fn the_outer_is_shown_before_the_inner() {
    let span = |name: &str| field(2, field(5, name));
    let scope = |key: &str| field(1, field(3, text(key, "v")));
    let resource = |key: &str| field(1, field(1, text(key, "v")));
    let late = field(2, [span("one"), scope("a"), span("two"), scope("b"), field(3, "url")].concat());
    let early = field(2, [scope("c"), span("three"), scope("d")].concat());
    let body = field(1, [resource("x"), late, resource("y"), early, resource("z")].concat());
    let expected = [
        "resource",
        "resource x=Str([118])",
        "resource y=Str([118])",
        "resource z=Str([118])",
        "scope",
        "scope a=Str([118])",
        "scope b=Str([118])",
        "one 0 0 \"\" false",
        "two 0 0 \"\" false",
        "scope",
        "scope c=Str([118])",
        "scope d=Str([118])",
        "three 0 0 \"\" false",
    ];
    assert_eq!(story(&body), expected);
}

/// Protobuf's rules for fields that occur twice: scalars are replaced, messages merged, of a oneof the last one wins.
#[test]
fn repeated_fields_follow_protobuf() {
    let status = [field(15, b"\x12\x03bad\x18\x01"), field(15, b"\x18\x02")].concat();
    let scalars = [field(5, "old"), field(5, "new"), b"\x30\x02\x30\x83\x80\x80\x80\x10".to_vec()].concat();
    assert_eq!(story(&in_request([status, scalars].concat()))[2], "new 3 2 \"bad\" false");

    let value = |fields: &[&[u8]]| story(&in_request(field(9, fields.concat())))[2].clone();
    assert_eq!(value(&[&field(2, b"\x18\x07\x0a\x01x")]), "span =Str([120])");
    assert_eq!(value(&[&field(2, b"\x0a\x01x\x10\x01")]), "span =Bool(true)");
    assert_eq!(value(&[&field(2, b"\x18\x07"), &field(2, b"")]), "span =Int(7)", "an empty one hides nothing");
    assert_eq!(value(&[&field(2, b"\x18\x07\x40\x01")]), "span =Empty", "an index into a table that is not here");
    assert_eq!(value(&[&field(1, "a"), &field(1, "b")]), "span b=Empty");
}

/// Equal keys are found among few and many, far apart and without key; keys that only look alike are not.
#[test]
fn duplicate_keys_are_exact() {
    let duplicate = |keys: &[String]| {
        let attributes = keys.iter().flat_map(|key| field(9, text(key, "v"))).collect::<Vec<_>>();
        // A span before it with the same keys must not matter.
        let spans = [field(2, &attributes), field(2, &attributes)].concat();
        let story = story(&field(1, field(2, spans)));
        let found: Vec<_> =
            story.iter().filter(|line| line.starts_with(" 0")).map(|line| line.ends_with("true")).collect();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0], found[1]);
        found[0]
    };
    for count in [1, 2, 10, 127, 128, 129, 600, 3_000, 8_191] {
        // Same length, beginning and end for all: the cheap hash cannot tell them apart.
        for name in [|i| format!("key.{i}"), |i| format!("the.same.{i:05}.the.same")] {
            let mut keys: Vec<String> = (0..count).map(name).collect();
            assert!(!duplicate(&keys), "{count}");
            keys.push(keys[count / 2].clone());
            assert!(duplicate(&keys), "{count}");
        }
    }
    assert!(duplicate(&["".into(), "a".into(), "".into()]));
    assert!(duplicate(&["ab".into(), "abcd".into(), "ab".into()]));
}

#[test]
fn an_empty_body_is_an_empty_request() {
    assert_eq!(walk(b"", &mut Story::default()), Ok(Walked { spans: 0 }));
    assert_eq!(count_items(b""), Ok(0));
}
