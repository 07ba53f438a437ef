//! The walk inside a span: where nearly all the bytes are, and so nearly all the time.

use super::attribute;
use super::reader::Reader;
use super::schema::{EVENT_ATTRIBUTES, LINK_ATTRIBUTES, SPAN_ATTRIBUTES, event, link, span, status};
use super::visit::{AttributePlace, SpanHead, SpanPlace, Visitor};
use super::walk::Walk;
use super::wire::WireError;

/// Walks the span in `reader`, which stands at `place`.
pub(super) fn walk<'a, V: Visitor<'a>>(
    walk: &mut Walk<'_, V>,
    mut reader: Reader<'a>,
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
    walk.keys.begin(place.span.start);
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
                    let (message, _) = reader.message(span::attributes::PATH)?;
                    let attribute = attribute::read(message, &SPAN_ATTRIBUTES)?;
                    walk.keys.see(reader.bytes_to_end(), attribute.key, attribute.key_at);
                    let place = AttributePlace { start, end: reader.offset() };
                    walk.visitor.span_attribute(attribute.key, attribute.value, place);
                    start = reader.offset();
                    if !reader.next_is(span::attributes::TAG) {
                        break;
                    }
                }
            }
            span::events::TAG => events(walk.visitor, reader.message(event::PATH)?.0)?,
            span::links::TAG => links(reader.message(link::PATH)?.0)?,
            span::status::TAG => read_status(reader.message(status::PATH)?.0, &mut head)?,
            span::flags::TAG => drop(reader.fixed32(span::flags::PATH)?),
            tag => reader.other(tag, at, span::PATH, span::FIELDS)?,
        }
    }
    head.duplicate_keys = walk.keys.duplicate(reader.bytes_to_end(), place.span);
    walk.visitor.span(&head);
    Ok(())
}

#[inline(never)]
fn events<'a, V: Visitor<'a>>(visitor: &mut V, mut reader: Reader<'a>) -> Result<(), WireError> {
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
fn links(mut reader: Reader<'_>) -> Result<(), WireError> {
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
fn read_status<'a>(mut reader: Reader<'a>, head: &mut SpanHead<'a>) -> Result<(), WireError> {
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
