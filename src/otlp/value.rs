//! One attribute value, borrowed from the request.

/// An OTLP `AnyValue` as it stands on the wire. Strings are not checked for UTF-8: that is up to the reader of the value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// No field of the oneof is set.
    Empty,
    /// `string_value` (1).
    Str(&'a [u8]),
    /// `bool_value` (2).
    Bool(bool),
    /// `int_value` (3).
    Int(i64),
    /// `double_value` (4).
    Double(f64),
    /// `array_value` (5): the validated bytes of the `ArrayValue` message.
    Array(&'a [u8]),
    /// `kvlist_value` (6): the validated bytes of the `KeyValueList` message.
    KvList(&'a [u8]),
    /// `bytes_value` (7).
    Bytes(&'a [u8]),
}
