//! Lengths, order, and what stays untouched.

use super::*;
use crate::otlp::{SpanHead, Value, Visitor, walk};

#[derive(Default)]
struct Places(Vec<SpanPlace>, Vec<AttributePlace>);

impl<'a> Visitor<'a> for Places {
    fn restart(&mut self) {
        *self = Self::default();
    }

    fn span_attribute(&mut self, _: &'a [u8], _: Value<'a>, place: AttributePlace) {
        self.1.push(place);
    }
    fn span(&mut self, span: &SpanHead<'a>) {
        self.0.push(span.place);
    }
}

fn places(body: &[u8]) -> Places {
    let mut places = Places::default();
    walk(body, &mut places).expect("valid");
    places
}

fn field(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write::field(&mut out, tag.into(), content.len());
    out.extend_from_slice(content);
    out
}

fn request(span: &[u8]) -> Vec<u8> {
    field(0x0a, &field(0x12, &field(0x12, span)))
}

/// Around every width of the three lengths (1 to 3 bytes), one span more or less: the result is what is written anew.
#[test]
fn lengths_of_all_messages_around_are_put_right() {
    for len in (60..130).chain(16_300..16_400) {
        let name = field(0x2a, &vec![b'n'; len]);
        let body = request(&name);
        let mut edits = Edits::default();
        edits
            .span(places(&body).0[0])
            .and_then(|mut span| span.append(|attributes| attributes.str("k", "v")))
            .expect("small");
        let attribute = b"\x4a\x08\x0a\x01k\x12\x03\x0a\x01v";
        let expected = request(&[name.as_slice(), attribute].concat());
        assert_eq!(edits.len_after(body.len()), expected.len());
        assert_eq!(edits.apply(&body), Ok(expected.clone().into()));
        let mut back = Edits::default();
        let there = places(&expected);
        back.span(there.0[0]).and_then(|mut span| span.remove(there.1[0])).expect("there");
        assert_eq!(back.apply(&expected), Ok(body.into()), "and back again");
    }
}

/// Lengths that were wider than needed become minimal where something changed, and stay as they are elsewhere.
#[test]
fn wide_lengths_of_untouched_messages_stay() {
    let wide = b"\x12\x82\x80\x00\x2a\x00";
    let body = field(0x0a, &[b"\x12\x8c\x00".as_slice(), wide, wide].concat());
    let mut edits = Edits::default();
    edits
        .span(places(&body).0[1])
        .and_then(|mut span| span.append(|attributes| attributes.int("k", -1)))
        .expect("small");
    let attribute = b"\x4a\x10\x0a\x01k\x12\x0b\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
    let second = field(0x12, &[b"\x2a\x00".as_slice(), attribute].concat());
    let expected = field(0x0a, &field(0x12, &[wide.as_slice(), &second].concat()));
    assert_eq!(edits.apply(&body), Ok(expected.clone().into()));
    assert_eq!(edits.len_after(body.len()), expected.len());
}

/// A replaced value leaves the key, unknown fields of the attribute and all around it; several values become one.
#[test]
fn a_replaced_value_leaves_key_and_unknown_fields() {
    let attribute = b"\x4a\x11\x98\x06\x01\x12\x02\x18\x05\x0a\x01k\x12\x02\x18\x07\xa3\x06\xa4\x06";
    let attribute = &[&attribute[..1], &[attribute.len() as u8 - 2], &attribute[2..]].concat();
    let body = request(&[b"\x2a\x01a".as_slice(), attribute, b"\x30\x01"].concat());
    let there = places(&body);
    let mut edits = Edits::default();
    let mut span = edits.span(there.0[0]).expect("first");
    span.replace_with_str(&body, there.1[0], "1").expect("small");
    let replaced = field(0x4a, b"\x98\x06\x01\x0a\x01k\xa3\x06\xa4\x06\x12\x03\x0a\x011");
    let expected = request(&[b"\x2a\x01a".as_slice(), &replaced, b"\x30\x01"].concat());
    assert_eq!(edits.apply(&body), Ok(expected.into()));
}

/// What is refused changes nothing, and what comes after still works.
#[test]
fn edits_out_of_order_are_refused_and_change_nothing() {
    let span = field(0x12, &field(0x4a, b"\x0a\x01k"));
    let body = field(0x0a, &field(0x12, &[span.clone(), span].concat()));
    let there = places(&body);
    let mut edits = Edits::default();
    let mut second = edits.span(there.0[1]).expect("first edit");
    assert_eq!(second.remove(there.1[0]), Err(EditError::Order), "another span's attribute");
    second.append(|attributes| attributes.str("a", "b")).expect("small");
    second.remove(there.1[1]).expect("its own");
    assert_eq!(second.remove(there.1[1]), Err(EditError::Order), "twice");
    assert_eq!(second.replace_with_str(&body, there.1[1], "x"), Err(EditError::Order), "twice");
    second.append(|attributes| attributes.str("c", "d")).expect("small");
    let before = edits.apply(&body);
    assert_eq!(edits.span(there.0[0]).map(drop), Err(EditError::Order));
    assert_eq!(edits.apply(&body), before);
    assert_eq!(edits.apply(b"short"), Err(EditError::OtherBody));
}

/// 2^32 bytes do not wrap: not in a message's length, not in the request's.
#[test]
fn growth_beyond_4_gib_is_an_error() {
    let end = u32::MAX - 3;
    let container = |start| Container { length_at: start - 1, start, end };
    let place = SpanPlace { resource_spans: container(2), scope_spans: container(4), span: container(6) };
    let mut edits = Edits::default();
    assert_eq!(
        edits.span(place).and_then(|mut span| span.append(|attributes| attributes.str("k", "v"))),
        Err(EditError::TooLarge)
    );
    assert!(edits.is_empty());
    assert_eq!(edits.len_after(usize::MAX), usize::MAX);
    let body = request(b"");
    edits
        .span(places(&body).0[0])
        .and_then(|mut span| span.append(|attributes| attributes.str("k", "v")))
        .expect("small");
    assert!(edits.len_after(u32::MAX as usize) > u32::MAX as usize);
}
