//! A request of any signal taken apart down to its items, so that it can be divided.
//!
//! Traces, metrics and logs have the same outer shape: the request holds resources (1), a resource holds scopes (2), a
//! scope holds items (2): spans, metrics, log records. All other fields of the three belong to every item below them.
//! This is not the hot path: it allocates, and it looks at no item.

use super::reader::WireReader;
use super::schema::{KnownField, LEN, span, tag};
use super::wire::WireError;

const REQUEST: &str = "request";
const RESOURCE: &str = "request.resource";
const SCOPE: &str = "request.resource.scope";
const ITEM: &str = "request.resource.scope.item";

/// Tag of a resource in a request.
pub(super) const RESOURCES: u32 = tag(1, LEN);
/// Tag of a scope in a resource, and of an item in a scope.
pub(super) const INNER: u32 = tag(2, LEN);

/// A range of the body by its offsets.
#[derive(Clone, Copy, Debug)]
pub(super) struct ByteRange {
    start: u32,
    end: u32,
}

impl ByteRange {
    pub(super) fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// Its bytes in the body it was found in.
    pub(super) fn of(self, body: &[u8]) -> &[u8] {
        &body[self.start as usize..self.end as usize]
    }
}

/// What a message has beside the messages it holds, in its order.
#[derive(Debug, Default)]
pub(super) struct OwnFields {
    pub(super) parts: Vec<ByteRange>,
    /// Bytes of them all.
    pub(super) len: usize,
}

impl OwnFields {
    fn push(&mut self, part: ByteRange) {
        self.len += part.len();
        match self.parts.last_mut() {
            Some(last) if last.end == part.start => last.end = part.end,
            _ => self.parts.push(part),
        }
    }
}

/// Reads the fields of `reader`: gives each message with the tag `inner` to `each`, with the range of its whole field, and
/// returns the others.
fn read<'a>(
    mut reader: WireReader<'a>,
    path: &'static str,
    inner: (u32, &'static str),
    mut each: impl FnMut(WireReader<'a>, ByteRange) -> Result<(), WireError>,
) -> Result<OwnFields, WireError> {
    let known = [KnownField { number: inner.0 >> 3, wire_type: LEN, path: inner.1 }];
    let mut own = OwnFields::default();
    while !reader.is_empty() {
        let (at, start) = (reader.position(), reader.offset());
        let tag = reader.tag(path)?;
        if tag == inner.0 {
            let (message, place) = reader.message(inner.1)?;
            each(message, ByteRange { start, end: place.end })?;
        } else {
            reader.other(tag, at, path, &known)?;
            own.push(ByteRange { start, end: reader.offset() });
        }
    }
    Ok(own)
}

/// One span, metric or log record.
#[derive(Debug)]
pub(super) struct Item {
    /// The whole field, tag included.
    pub(super) field: ByteRange,
    /// Index of its scope, counted over the request.
    pub(super) scope: u32,
}

/// A scope that holds items.
#[derive(Debug)]
pub(super) struct Scope {
    pub(super) own: OwnFields,
    /// Index of its resource.
    pub(super) resource: u32,
}

/// A request taken apart. Items are in the order of the wire, so their scopes ascend, and the resources of these.
/// Scopes and resources that hold no item are left out.
#[derive(Debug)]
pub(super) struct Outline<'a> {
    pub(super) body: &'a [u8],
    pub(super) request: OwnFields,
    pub(super) resources: Vec<OwnFields>,
    pub(super) scopes: Vec<Scope>,
    pub(super) items: Vec<Item>,
}

impl<'a> Outline<'a> {
    pub(super) fn read(body: &'a [u8]) -> Result<Self, WireError> {
        let (mut resources, mut scopes, mut items) = (Vec::new(), Vec::<Scope>::new(), Vec::<Item>::new());
        let request = read(WireReader::body(body, REQUEST)?, REQUEST, (RESOURCES, RESOURCE), |message, _| {
            let scopes_before = scopes.len();
            let resource = resources.len() as u32;
            let own = read(message, RESOURCE, (INNER, SCOPE), |message, _| {
                let items_before = items.len();
                let scope = scopes.len() as u32;
                let own = read(message, SCOPE, (INNER, ITEM), |_, field| {
                    items.push(Item { field, scope });
                    Ok(())
                })?;
                if items.len() > items_before {
                    scopes.push(Scope { own, resource });
                }
                Ok(())
            })?;
            if scopes.len() > scopes_before {
                resources.push(own);
            }
            Ok(())
        })?;
        Ok(Self { body, request, resources, scopes, items })
    }

    pub(super) fn scope_of(&self, item: u32) -> u32 {
        self.items[item as usize].scope
    }

    pub(super) fn resource_of(&self, item: u32) -> u32 {
        self.scopes[self.scope_of(item) as usize].resource
    }

    /// Bytes of an item's whole field.
    pub(super) fn len_of(&self, item: u32) -> usize {
        self.items[item as usize].field.len()
    }

    /// The trace id of an item, if it is a span and has one. Of two, which no encoder writes, the first, and nothing behind it
    /// is looked at: the id comes first on the wire, and a span is long.
    pub(super) fn trace_id_of(&self, item: u32) -> Result<Option<&'a [u8]>, WireError> {
        let ByteRange { start, end } = self.items[item as usize].field;
        let Some(mut field) = WireReader::range(self.body, start, end) else { return Ok(None) };
        field.tag(ITEM)?;
        let (mut span, _) = field.message(span::PATH)?;
        while !span.is_empty() {
            let at = span.position();
            match span.tag(span::PATH)? {
                span::trace_id::TAG => return Ok(Some(span.bytes(span::trace_id::PATH)?).filter(|id| !id.is_empty())),
                tag => span.other(tag, at, span::PATH, span::FIELDS)?,
            }
        }
        Ok(None)
    }
}

/// How many spans, metrics or log records the request in `body` holds.
///
/// # Errors
///
/// The first fault in the messages around the items. The items themselves are not looked into.
pub fn count_items(body: &[u8]) -> Result<u32, WireError> {
    let mut items = 0;
    read(WireReader::body(body, REQUEST)?, REQUEST, (RESOURCES, RESOURCE), |resource, _| {
        read(resource, RESOURCE, (INNER, SCOPE), |scope, _| {
            read(scope, SCOPE, (INNER, ITEM), |_, _| {
                items += 1;
                Ok(())
            })
            .map(drop)
        })
        .map(drop)
    })?;
    Ok(items)
}
