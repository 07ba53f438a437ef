//! The walk inside a span: where nearly all the bytes are, and so nearly all the time.

use super::attribute::{self, Attribute, USUAL_KEY_AT, Usual};
use super::keys::SpanKeys;
use super::reader::WireReader;
use super::schema::{EVENT_ATTRIBUTES, LINK_ATTRIBUTES, SPAN_ATTRIBUTES, event, link, span, status};
use super::visit::{AttributePlace, SpanHead, SpanPlace, Visitor};
use super::wire::WireError;

/// Walks the span in `reader`, which stands at `place`, and shows it to `visitor`. `keys` are those of the request so far.
pub(super) fn walk<'a, V: Visitor<'a>>(
    visitor: &mut V,
    keys: &mut SpanKeys<'a>,
    mut reader: WireReader<'a>,
    place: SpanPlace,
) -> Result<(), WireError> {
    let mut head = SpanHead {
        trace_id: &[],
        span_id: &[],
        parent_span_id: &[],
        name: &[],
        kind: 0,
        start_unix_nano: 0,
        end_unix_nano: 0,
        status_code: 0,
        status_message: &[],
        duplicate_keys: false,
        place,
    };
    keys.begin(place.span.start);
    usual_head(&mut reader, &mut head);
    while !reader.is_empty() {
        let at = reader.position();
        match reader.tag(span::PATH)? {
            span::trace_id::TAG => head.trace_id = reader.bytes(span::trace_id::PATH)?,
            span::span_id::TAG => head.span_id = reader.bytes(span::span_id::PATH)?,
            span::parent_span_id::TAG => head.parent_span_id = reader.bytes(span::parent_span_id::PATH)?,
            span::name::TAG => head.name = reader.bytes(span::name::PATH)?,
            // An enum is an int32 on the wire: of a longer varint the lower 32 bits count.
            span::kind::TAG => head.kind = reader.varint(span::kind::PATH)? as i32,
            span::start_time_unix_nano::TAG => {
                head.start_unix_nano = reader.fixed64(span::start_time_unix_nano::PATH)?;
            }
            span::end_time_unix_nano::TAG => head.end_unix_nano = reader.fixed64(span::end_time_unix_nano::PATH)?,
            span::attributes::TAG => {
                let mut start = at as u32;
                // Attributes stand in a row: going from one to the next here keeps the branch above predictable.
                loop {
                    let (key, key_at, value) = match attribute::usual(reader.rest()) {
                        Some(Usual { key, value, len }) => {
                            let key_at = reader.offset() + USUAL_KEY_AT;
                            reader.advance(len);
                            (key, key_at, value)
                        }
                        None => {
                            let (message, _) = reader.message(span::attributes::PATH)?;
                            let Attribute { key, key_at, value } = attribute::read(message, &SPAN_ATTRIBUTES)?;
                            (key, key_at, value)
                        }
                    };
                    let ask = || visitor.meaning(key);
                    let meaning = keys.see(reader.bytes_to_end(), key, key_at, ask);
                    let place = AttributePlace { start, end: reader.offset() };
                    visitor.known_attribute(meaning, key, value, place);
                    start = reader.offset();
                    if !reader.next_is(span::attributes::TAG) {
                        break;
                    }
                }
            }
            span::events::TAG => events(visitor, reader.message(event::PATH)?.0)?,
            span::links::TAG => links(reader.message(link::PATH)?.0)?,
            span::status::TAG => read_status(reader.message(status::PATH)?.0, &mut head)?,
            span::flags::TAG => drop(reader.fixed32(span::flags::PATH)?),
            tag => reader.other(tag, at, span::PATH, span::FIELDS)?,
        }
    }
    head.duplicate_keys = keys.duplicate(reader.bytes_to_end(), place.span);
    visitor.span(&head);
    Ok(())
}

/// Reads what nearly all spans begin with, in the order in which all encoders write it, without asking for each field which
/// one it is. Stops at the first field that looks otherwise, and leaves it to the loop that asks.
#[inline(always)]
fn usual_head<'a>(reader: &mut WireReader<'a>, head: &mut SpanHead<'a>) {
    const TRACE_ID: [u8; 2] = [span::trace_id::TAG as u8, 16];
    const SPAN_ID: [u8; 2] = [span::span_id::TAG as u8, 8];
    const PARENT: [u8; 2] = [span::parent_span_id::TAG as u8, 8];
    const NAME: u8 = span::name::TAG as u8;
    const KIND: u8 = span::kind::TAG as u8;
    const START: u8 = span::start_time_unix_nano::TAG as u8;
    const END: u8 = span::end_time_unix_nano::TAG as u8;

    let Some(ids) = reader.rest().first_chunk::<28>() else { return };
    if ids[..2] != TRACE_ID || ids[18..20] != SPAN_ID {
        return;
    }
    (head.trace_id, head.span_id) = (&ids[2..18], &ids[20..]);
    reader.advance(ids.len());
    if let Some(parent) = reader.rest().first_chunk::<10>()
        && parent[..2] == PARENT
    {
        head.parent_span_id = &parent[2..];
        reader.advance(parent.len());
    }
    let Some((&[NAME, len], rest)) = reader.rest().split_first_chunk() else { return };
    if len >= 0x80 || rest.len() < usize::from(len) {
        return;
    }
    head.name = &rest[..usize::from(len)];
    reader.advance(usize::from(len) + 2);
    if let Some(&[KIND, kind]) = reader.rest().first_chunk()
        && kind < 0x80
    {
        head.kind = kind.into();
        reader.advance(2);
    }
    if let Some(&[START, ref start @ .., END, e0, e1, e2, e3, e4, e5, e6, e7]) = reader.rest().first_chunk::<18>() {
        head.start_unix_nano = start.first_chunk().map_or(0, |start| u64::from_le_bytes(*start));
        head.end_unix_nano = u64::from_le_bytes([e0, e1, e2, e3, e4, e5, e6, e7]);
        reader.advance(18);
    }
}

#[inline(never)]
fn events<'a, V: Visitor<'a>>(visitor: &mut V, mut reader: WireReader<'a>) -> Result<(), WireError> {
    while !reader.is_empty() {
        let at = reader.position();
        match reader.tag(event::PATH)? {
            event::attributes::TAG => {
                let (message, _) = reader.message(event::attributes::PATH)?;
                let attribute = attribute::read(message, &EVENT_ATTRIBUTES)?;
                visitor.event_attribute(attribute.key, attribute.value);
            }
            event::time_unix_nano::TAG => drop(reader.fixed64(event::time_unix_nano::PATH)?),
            event::name::TAG => drop(reader.bytes(event::name::PATH)?),
            tag => reader.other(tag, at, event::PATH, event::FIELDS)?,
        }
    }
    Ok(())
}

#[inline(never)]
fn links(mut reader: WireReader<'_>) -> Result<(), WireError> {
    while !reader.is_empty() {
        let at = reader.position();
        match reader.tag(link::PATH)? {
            link::attributes::TAG => {
                let (message, _) = reader.message(link::attributes::PATH)?;
                attribute::read(message, &LINK_ATTRIBUTES)?;
            }
            tag => reader.other(tag, at, link::PATH, link::FIELDS)?,
        }
    }
    Ok(())
}

/// Several `status` fields are merged, as every decoder does it: what the later does not set stays.
#[inline(always)]
fn read_status<'a>(mut reader: WireReader<'a>, head: &mut SpanHead<'a>) -> Result<(), WireError> {
    while !reader.is_empty() {
        let at = reader.position();
        match reader.tag(status::PATH)? {
            status::message::TAG => head.status_message = reader.bytes(status::message::PATH)?,
            status::code::TAG => head.status_code = reader.varint(status::code::PATH)? as i32,
            tag => reader.other(tag, at, status::PATH, status::FIELDS)?,
        }
    }
    Ok(())
}
