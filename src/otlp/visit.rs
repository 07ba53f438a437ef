//! What the walk shows to a visitor.

use super::Value;

/// Where a length-delimited message stands in the body. Offsets count bytes from the start of the request body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Container {
    /// Offset of the varint that holds the message's length.
    pub length_at: u32,
    /// Offset of the first byte of the message.
    pub start: u32,
    /// Offset just after its last byte.
    pub end: u32,
}

/// Where a span stands, and in which messages: all whose length changes when the span is edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanPlace {
    /// The `ResourceSpans` around it.
    pub resource_spans: Container,
    /// The `ScopeSpans` around it.
    pub scope_spans: Container,
    /// The span itself.
    pub span: Container,
}

/// Where an attribute of a span stands: the whole `attributes` field, its tag and length included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttributePlace {
    /// Offset of the field's tag.
    pub start: u32,
    /// Offset just after the field's last byte.
    pub end: u32,
}

/// What an attribute key means to a visitor, in a form of its own: the walk remembers it and does not read it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyMeaning(pub u16);

impl KeyMeaning {
    /// Nothing.
    pub const NONE: Self = Self(0);
}

/// The fields of a span that are not attributes, as they stood on the wire (absent fields have protobuf's default).
#[derive(Clone, Copy, Debug)]
pub struct SpanHead<'a> {
    /// `trace_id` (1): 16 bytes when sound, any length otherwise.
    pub trace_id: &'a [u8],
    /// `span_id` (2): 8 bytes when sound, any length otherwise.
    pub span_id: &'a [u8],
    /// `parent_span_id` (4).
    pub parent_span_id: &'a [u8],
    /// `name` (5).
    pub name: &'a [u8],
    /// `kind` (6): 0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
    pub kind: i32,
    /// `start_time_unix_nano` (7).
    pub start_unix_nano: u64,
    /// `end_time_unix_nano` (8).
    pub end_unix_nano: u64,
    /// `status.code` (15.3): 0 unset, 1 ok, 2 error.
    pub status_code: i32,
    /// `status.message` (15.2).
    pub status_message: &'a [u8],
    /// The same attribute key occurs more than once.
    pub duplicate_keys: bool,
    /// Where it stands.
    pub place: SpanPlace,
}

/// A visitor of a request, which the walk shows to it piece by piece. All of a resource's attributes come before its scopes, all of a scope's before
/// its spans, whatever their order on the wire; a span's attributes and events come before [`Visitor::span`].
///
/// What a visitor was shown counts only when the walk returns `Ok`: a later byte may be malformed.
pub trait Visitor<'a> {
    /// The walk begins again, once at most: a resource, or a scope, stands behind what belongs to it. No exporter writes
    /// it so, protobuf allows it. Nothing that was shown before counts.
    fn restart(&mut self);
    /// A `ResourceSpans` begins.
    fn resource(&mut self) {}
    /// An attribute of its resource.
    fn resource_attribute(&mut self, key: &'a [u8], value: Value<'a>) {
        let _ = (key, value);
    }
    /// A `ScopeSpans` begins.
    fn scope(&mut self) {}
    /// An attribute of its scope.
    fn scope_attribute(&mut self, key: &'a [u8], value: Value<'a>) {
        let _ = (key, value);
    }
    /// What `key` means where it is the key of a span's attribute. Asked when a request has it for the first time, and again
    /// only where keys are too many to be remembered.
    fn meaning(&mut self, key: &'a [u8]) -> KeyMeaning {
        let _ = key;
        KeyMeaning::NONE
    }
    /// An attribute of the span that [`Visitor::span`] will show next, with what its key means.
    #[inline(always)]
    fn known_attribute(&mut self, meaning: KeyMeaning, key: &'a [u8], value: Value<'a>, place: AttributePlace) {
        let _ = meaning;
        self.span_attribute(key, value, place);
    }
    /// The same for visitors to which keys mean nothing.
    fn span_attribute(&mut self, key: &'a [u8], value: Value<'a>, place: AttributePlace) {
        let _ = (key, value, place);
    }
    /// An attribute of an event of the span that [`Visitor::span`] will show next.
    fn event_attribute(&mut self, key: &'a [u8], value: Value<'a>) {
        let _ = (key, value);
    }
    /// A span ends: all that belongs to it has been shown.
    fn span(&mut self, span: &SpanHead<'a>);
}
