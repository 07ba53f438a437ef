//! The messages of OTLP 1.11 as one table: field numbers, wire types and the paths that errors name.
//!
//! Source: `opentelemetry/proto/{collector/trace,trace,resource,common}/v1`. A field that is in the table is checked for
//! its wire type; one that is not is unknown, and skipped.

/// The wire types that known fields have.
pub(super) const VARINT: u8 = 0;
pub(super) const FIXED64: u8 = 1;
pub(super) const LEN: u8 = 2;
pub(super) const START_GROUP: u8 = 3;
pub(super) const END_GROUP: u8 = 4;
pub(super) const FIXED32: u8 = 5;

/// One known field of a message.
pub(super) struct KnownField {
    pub(super) number: u32,
    pub(super) wire_type: u8,
    pub(super) path: &'static str,
}

/// The tag of a field as it stands on the wire.
pub(super) const fn tag(number: u32, wire_type: u8) -> u32 {
    number << 3 | wire_type as u32
}

/// A module per message: its path, its fields, and for each field a module with its tag and its path.
macro_rules! message {
    ($message:ident at $path:literal { $($field:ident = $number:literal : $wire:ident,)* }) => {
        pub(crate) mod $message {
            pub(crate) const PATH: &str = $path;
            pub(in crate::otlp) const FIELDS: &[super::KnownField] = &[$(super::KnownField {
                number: $field::TAG >> 3,
                wire_type: ($field::TAG & 7) as u8,
                path: $field::PATH,
            },)*];
            $(pub(crate) mod $field {
                pub(crate) const TAG: u32 = super::super::tag($number, super::super::$wire);
                pub(crate) const PATH: &str = concat!($path, ".", stringify!($field));
            })*
        }
    };
}

message!(resource_spans at "resource_spans" {
    resource = 1: LEN,
    scope_spans = 2: LEN,
    schema_url = 3: LEN,
});

message!(resource at "resource_spans.resource" {
    attributes = 1: LEN,
    dropped_attributes_count = 2: VARINT,
    entity_refs = 3: LEN,
});

message!(entity_ref at "resource_spans.resource.entity_refs" {
    schema_url = 1: LEN,
    entity_type = 2: LEN,
    id_keys = 3: LEN,
    description_keys = 4: LEN,
});

message!(scope_spans at "resource_spans.scope_spans" {
    scope = 1: LEN,
    spans = 2: LEN,
    schema_url = 3: LEN,
});

message!(scope at "resource_spans.scope_spans.scope" {
    name = 1: LEN,
    version = 2: LEN,
    attributes = 3: LEN,
    dropped_attributes_count = 4: VARINT,
});

message!(span at "resource_spans.scope_spans.spans" {
    trace_id = 1: LEN,
    span_id = 2: LEN,
    trace_state = 3: LEN,
    parent_span_id = 4: LEN,
    name = 5: LEN,
    kind = 6: VARINT,
    start_time_unix_nano = 7: FIXED64,
    end_time_unix_nano = 8: FIXED64,
    attributes = 9: LEN,
    dropped_attributes_count = 10: VARINT,
    events = 11: LEN,
    dropped_events_count = 12: VARINT,
    links = 13: LEN,
    dropped_links_count = 14: VARINT,
    status = 15: LEN,
    flags = 16: FIXED32,
});

message!(event at "resource_spans.scope_spans.spans.events" {
    time_unix_nano = 1: FIXED64,
    name = 2: LEN,
    attributes = 3: LEN,
    dropped_attributes_count = 4: VARINT,
});

message!(link at "resource_spans.scope_spans.spans.links" {
    trace_id = 1: LEN,
    span_id = 2: LEN,
    trace_state = 3: LEN,
    attributes = 4: LEN,
    dropped_attributes_count = 5: VARINT,
    flags = 6: FIXED32,
});

message!(status at "resource_spans.scope_spans.spans.status" {
    message = 2: LEN,
    code = 3: VARINT,
});

/// The fields of a `KeyValue`, which stands in five places and so has five paths.
pub(super) mod key_value {
    use super::{LEN, tag};

    pub(in crate::otlp) const KEY: u32 = tag(1, LEN);
    pub(in crate::otlp) const VALUE: u32 = tag(2, LEN);
}

/// The fields of an `AnyValue`. KnownField 8, an index into a table that only profiles have, counts as no value.
pub(super) mod any_value {
    use super::{FIXED64, LEN, VARINT, tag};

    pub(in crate::otlp) const STRING: u32 = tag(1, LEN);
    pub(in crate::otlp) const BOOL: u32 = tag(2, VARINT);
    pub(in crate::otlp) const INT: u32 = tag(3, VARINT);
    pub(in crate::otlp) const DOUBLE: u32 = tag(4, FIXED64);
    pub(in crate::otlp) const ARRAY: u32 = tag(5, LEN);
    pub(in crate::otlp) const KV_LIST: u32 = tag(6, LEN);
    pub(in crate::otlp) const BYTES: u32 = tag(7, LEN);
    pub(in crate::otlp) const STRING_STRINDEX: u32 = tag(8, VARINT);
}

/// The `values` (1) of an `ArrayValue` or a `KeyValueList`.
pub(super) const VALUES: u32 = tag(1, LEN);

/// What errors call an attribute and its parts. All that is nested inside a value is called by the value's path.
pub(super) struct AttributePaths {
    pub(super) attribute: &'static str,
    pub(super) key: &'static str,
    pub(super) value: &'static str,
    pub(super) key_strindex: &'static str,
}

impl AttributePaths {
    /// For an attribute inside a value.
    pub(super) fn inside_value(&self) -> Self {
        Self { attribute: self.value, key: self.value, value: self.value, key_strindex: self.value }
    }
}

macro_rules! attribute_paths {
    ($name:ident = $path:literal) => {
        pub(super) static $name: AttributePaths = AttributePaths {
            attribute: $path,
            key: concat!($path, ".key"),
            value: concat!($path, ".value"),
            key_strindex: concat!($path, ".key_strindex"),
        };
    };
}

attribute_paths!(RESOURCE_ATTRIBUTES = "resource_spans.resource.attributes");
attribute_paths!(SCOPE_ATTRIBUTES = "resource_spans.scope_spans.scope.attributes");
attribute_paths!(SPAN_ATTRIBUTES = "resource_spans.scope_spans.spans.attributes");
attribute_paths!(EVENT_ATTRIBUTES = "resource_spans.scope_spans.spans.events.attributes");
attribute_paths!(LINK_ATTRIBUTES = "resource_spans.scope_spans.spans.links.attributes");
