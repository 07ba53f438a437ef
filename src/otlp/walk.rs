//! The walk: one pass over a trace request that validates every byte and shows what it means to a [`Visitor`].
//!
//! It allocates nothing, copies nothing and waits for nothing. Messages are shown from the outside in whatever their order
//! on the wire. Every exporter writes them so; where a span comes before its scope, or a scope before its resource, the
//! walk begins again and from then on looks over all siblings first, from tag to tag.

use super::attribute;
use super::keys::SpanKeys;
use super::reader::WireReader;
use super::schema::{
    AttributePaths, KnownField, LEN, RESOURCE_ATTRIBUTES, SCOPE_ATTRIBUTES, entity_ref, resource, resource_spans,
    scope, scope_spans, span as span_schema, tag,
};
use super::span;
use super::visit::{Container, SpanPlace, Visitor};
use super::wire::WireError;

/// What errors call the request itself.
const REQUEST: &str = "request";
/// `ExportTraceServiceRequest.resource_spans`.
const RESOURCE_SPANS: u32 = tag(1, LEN);

/// What a walk has passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Walked {
    /// How many spans there are.
    pub spans: u32,
}

/// Walks the `ExportTraceServiceRequest` in `body`, validates it and shows it to `visitor`. An empty body is an empty
/// request.
///
/// Text is not checked for UTF-8, ids not for their length: what is odd but well-formed is for the visitor to judge. Where
/// protobuf allows a field more than once, the last scalar wins and messages are merged, as every decoder does it; one
/// thing is not merged, because it could not be shown without a copy: of two arrays (or two lists) in one value, the last
/// is shown.
///
/// # Errors
///
/// The first fault met, with the field's path and the offset in the body. What the visitor was shown by then does not
/// count.
pub fn walk<'a>(body: &'a [u8], visitor: &mut impl Visitor<'a>) -> Result<Walked, WireError> {
    let mut looks_ahead = false;
    loop {
        let walk = Walk { visitor: &mut *visitor, keys: SpanKeys::new(), spans: 0, looks_ahead };
        match walk.request(body) {
            Ok(spans) => return Ok(Walked { spans }),
            Err(Stop::Malformed(error)) => return Err(error),
            // A walk that looks ahead does not come here.
            Err(Stop::OutOfOrder) => looks_ahead = true,
        }
        visitor.restart();
    }
}

/// Why a walk does not go on.
enum Stop {
    Malformed(WireError),
    /// Something was shown before what it belongs to.
    OutOfOrder,
}

impl From<WireError> for Stop {
    fn from(error: WireError) -> Self {
        Self::Malformed(error)
    }
}

/// One walk under way.
struct Walk<'v, 'a, V> {
    visitor: &'v mut V,
    keys: SpanKeys<'a>,
    spans: u32,
    /// Siblings are looked over before the first of them is shown.
    looks_ahead: bool,
}

impl<'a, V: Visitor<'a>> Walk<'_, 'a, V> {
    /// The number of spans.
    fn request(mut self, body: &'a [u8]) -> Result<u32, Stop> {
        let mut reader = WireReader::body(body, REQUEST)?;
        while !reader.is_empty() {
            let at = reader.position();
            let tag = reader.tag(REQUEST)?;
            if tag == RESOURCE_SPANS {
                let (message, place) = reader.message(resource_spans::PATH)?;
                self.resource_spans(message, place)?;
            } else {
                reader.other(
                    tag,
                    at,
                    REQUEST,
                    &[KnownField { number: 1, wire_type: LEN, path: resource_spans::PATH }],
                )?;
            }
        }
        Ok(self.spans)
    }

    fn resource_spans(&mut self, mut reader: WireReader<'a>, place: Container) -> Result<(), Stop> {
        self.visitor.resource();
        let mut outer_shown = false;
        while !reader.is_empty() {
            let at = reader.position();
            match reader.tag(resource_spans::PATH)? {
                resource_spans::resource::TAG => {
                    let (message, _) = reader.message(resource::PATH)?;
                    if !outer_shown {
                        self.resource(message)?;
                    } else if !self.looks_ahead {
                        return Err(Stop::OutOfOrder);
                    }
                }
                resource_spans::scope_spans::TAG => {
                    let (message, scope_place) = reader.message(scope_spans::PATH)?;
                    if !outer_shown {
                        outer_shown = true;
                        if self.looks_ahead {
                            look_ahead(reader, &RESOURCE_AND_SCOPES, |message| self.resource(message))?;
                        }
                    }
                    self.scope_spans(message, place, scope_place)?;
                }
                tag => reader.other(tag, at, resource_spans::PATH, resource_spans::FIELDS)?,
            }
        }
        Ok(())
    }

    fn scope_spans(
        &mut self,
        mut reader: WireReader<'a>,
        resource_spans: Container,
        place: Container,
    ) -> Result<(), Stop> {
        self.visitor.scope();
        let mut outer_shown = false;
        while !reader.is_empty() {
            let at = reader.position();
            match reader.tag(scope_spans::PATH)? {
                scope_spans::spans::TAG => {
                    let (message, span) = reader.message(scope_spans::spans::PATH)?;
                    if !outer_shown {
                        outer_shown = true;
                        if self.looks_ahead {
                            look_ahead(reader, &SCOPE_AND_SPANS, |message| self.scope(message))?;
                        }
                    }
                    // A span takes two bytes at least, so their number fits where offsets do.
                    self.spans += 1;
                    let place = SpanPlace { resource_spans, scope_spans: place, span };
                    span::walk(self.visitor, &mut self.keys, message, place)?;
                }
                scope_spans::scope::TAG => {
                    let (message, _) = reader.message(scope::PATH)?;
                    if !outer_shown {
                        self.scope(message)?;
                    } else if !self.looks_ahead {
                        return Err(Stop::OutOfOrder);
                    }
                }
                tag => reader.other(tag, at, scope_spans::PATH, scope_spans::FIELDS)?,
            }
        }
        Ok(())
    }

    fn resource(&mut self, mut reader: WireReader<'a>) -> Result<(), WireError> {
        while !reader.is_empty() {
            let at = reader.position();
            match reader.tag(resource::PATH)? {
                resource::attributes::TAG => {
                    let (message, _) = reader.message(resource::attributes::PATH)?;
                    let attribute = read(message, &RESOURCE_ATTRIBUTES)?;
                    self.visitor.resource_attribute(attribute.key, attribute.value);
                }
                resource::entity_refs::TAG => {
                    let (message, _) = reader.message(entity_ref::PATH)?;
                    message.check(entity_ref::PATH, entity_ref::FIELDS)?;
                }
                tag => reader.other(tag, at, resource::PATH, resource::FIELDS)?,
            }
        }
        Ok(())
    }

    fn scope(&mut self, mut reader: WireReader<'a>) -> Result<(), WireError> {
        while !reader.is_empty() {
            let at = reader.position();
            match reader.tag(scope::PATH)? {
                scope::attributes::TAG => {
                    let (message, _) = reader.message(scope::attributes::PATH)?;
                    let attribute = read(message, &SCOPE_ATTRIBUTES)?;
                    self.visitor.scope_attribute(attribute.key, attribute.value);
                }
                tag => reader.other(tag, at, scope::PATH, scope::FIELDS)?,
            }
        }
        Ok(())
    }
}

/// The attributes of resources and scopes are few: they share one copy of the code.
#[inline(never)]
fn read<'a>(reader: WireReader<'a>, paths: &'static AttributePaths) -> Result<attribute::Attribute<'a>, WireError> {
    attribute::read(reader, paths)
}

/// Two kinds of sibling messages of which the outer must be shown before the inner.
struct Siblings {
    path: &'static str,
    fields: &'static [KnownField],
    outer: (u32, &'static str),
    inner: (u32, &'static str),
}

const RESOURCE_AND_SCOPES: Siblings = Siblings {
    path: resource_spans::PATH,
    fields: resource_spans::FIELDS,
    outer: (resource_spans::resource::TAG, resource::PATH),
    inner: (resource_spans::scope_spans::TAG, scope_spans::PATH),
};

const SCOPE_AND_SPANS: Siblings = Siblings {
    path: scope_spans::PATH,
    fields: scope_spans::FIELDS,
    outer: (scope_spans::scope::TAG, scope::PATH),
    inner: (scope_spans::spans::TAG, span_schema::PATH),
};

/// Shows the outer messages among the fields that `reader` has still before it, and steps over the rest.
#[cold]
fn look_ahead<'a>(
    mut reader: WireReader<'a>,
    siblings: &Siblings,
    mut show: impl FnMut(WireReader<'a>) -> Result<(), WireError>,
) -> Result<(), WireError> {
    while !reader.is_empty() {
        let at = reader.position();
        let tag = reader.tag(siblings.path)?;
        if tag == siblings.inner.0 {
            reader.bytes(siblings.inner.1)?;
        } else if tag == siblings.outer.0 {
            show(reader.message(siblings.outer.1)?.0)?;
        } else {
            reader.other(tag, at, siblings.path, siblings.fields)?;
        }
    }
    Ok(())
}
