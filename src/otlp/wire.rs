//! What can be wrong with the bytes of a request.

/// How deep attribute values may nest: an attribute's own `AnyValue` is depth 1.
pub(super) const VALUE_DEPTH: u32 = 64;

/// How deep unknown groups may nest.
pub(super) const GROUP_DEPTH: u32 = 64;

/// Why a request is not a valid protobuf message of its type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} at byte {offset}: {fault}")]
pub struct WireError {
    /// Dotted path of the field.
    pub(super) field: &'static str,
    /// Bytes from the start of the request body to where the fault begins: the first byte of the number or of the length
    /// that is cut off or too large; else the tag of the field that may not be as it is.
    pub(super) offset: usize,
    /// What is wrong.
    pub(super) fault: WireFault,
}

impl WireError {
    /// The fault `fault` in `field` (a dotted path such as `resource_spans.scope_spans.spans.attributes`), `offset` bytes
    /// into the request body.
    pub fn new(field: &'static str, offset: usize, fault: WireFault) -> Self {
        Self { field, offset, fault }
    }
}

/// The kinds of damage the walk refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireFault {
    /// The message ends inside a field.
    #[error("the message ends in the middle of a field")]
    Truncated,
    /// A varint of more than 10 bytes, or one whose tenth byte overflows 64 bits.
    #[error("a varint is longer than 10 bytes or overflows 64 bits")]
    VarintTooLong,
    /// A length that reaches past the enclosing message.
    #[error("a length of {0} bytes reaches past the end of the enclosing message")]
    LengthTooLong(u64),
    /// Field number 0, or one above 2^29 - 1.
    #[error("field number {0} is not allowed")]
    FieldNumber(u64),
    /// Wire types 6 and 7 do not exist.
    #[error("wire type {0} does not exist")]
    WireType(u8),
    /// A known field with the wire type of another.
    #[error("wire type {found} where {expected} belongs")]
    WrongWireType {
        /// The type on the wire.
        found: u8,
        /// The type of the field's definition.
        expected: u8,
    },
    /// A group that ends without having begun, or does not end.
    #[error("a group is not closed where it should be")]
    Group,
    /// Nested deeper than the limit.
    #[error("nested deeper than {0}")]
    TooDeep(u32),
    /// Larger than offsets can address (4 GiB).
    #[error("the request is larger than 4 GiB")]
    TooLarge,
}
