//! Writes protobuf's wire format: the few shapes that edit and split need.

use super::schema::{LEN, any_value, key_value};

/// Bytes that `value` takes as a varint, 1 to 10.
pub(super) fn varint_len(value: u64) -> usize {
    // One bit per byte is spent on saying whether another byte follows.
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// Appends `value` as the shortest varint.
pub(super) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Bytes that a length-delimited field with a one-byte tag and `len` bytes of content takes.
pub(super) fn field_len(len: usize) -> usize {
    1 + varint_len(len as u64) + len
}

/// Appends the tag and the length of a length-delimited field.
pub(super) fn field(out: &mut Vec<u8>, tag: u32, len: usize) {
    debug_assert_eq!(tag & 7, u32::from(LEN));
    varint(out, tag.into());
    varint(out, len as u64);
}

/// An attribute's value that can be written.
#[derive(Clone, Copy)]
pub(super) enum NewValue<'a> {
    Str(&'a str),
    Int(i64),
}

impl NewValue<'_> {
    /// Bytes of the `AnyValue` message.
    fn len(self) -> usize {
        match self {
            NewValue::Str(text) => field_len(text.len()),
            NewValue::Int(number) => 1 + varint_len(number as u64),
        }
    }

    /// Bytes of the `value` field of a `KeyValue`.
    pub(super) fn field_len(self) -> usize {
        field_len(self.len())
    }

    /// Appends the `value` field of a `KeyValue`.
    pub(super) fn write_field(self, out: &mut Vec<u8>) {
        field(out, key_value::VALUE, self.len());
        match self {
            NewValue::Str(text) => {
                field(out, any_value::STRING, text.len());
                out.extend_from_slice(text.as_bytes());
            }
            NewValue::Int(number) => {
                varint(out, any_value::INT.into());
                varint(out, number as u64);
            }
        }
    }
}

/// Appends an attribute as a field with the tag `tag`.
pub(super) fn attribute(out: &mut Vec<u8>, tag: u32, key: &str, value: NewValue<'_>) {
    if let NewValue::Str(text) = value
        && key.len() + text.len() < 0x78
    {
        return short_attribute(out, tag as u8, key, text);
    }
    field(out, tag, field_len(key.len()) + value.field_len());
    field(out, key_value::KEY, key.len());
    out.extend_from_slice(key.as_bytes());
    value.write_field(out);
}

/// The same for a tag and lengths of one byte each.
fn short_attribute(out: &mut Vec<u8>, tag: u8, key: &str, text: &str) {
    let (key_len, text_len) = (key.len() as u8, text.len() as u8);
    out.extend_from_slice(&[tag, key_len + text_len + 6, key_value::KEY as u8, key_len]);
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(&[key_value::VALUE as u8, text_len + 2, any_value::STRING as u8, text_len]);
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Short attributes are what the general way writes, up to the longest short one and beyond.
    #[test]
    fn short_attributes_are_written_alike() {
        for len in 0..200 {
            let text = "t".repeat(len);
            let (mut short, mut general) = (Vec::new(), Vec::new());
            attribute(&mut short, 0x4a, "key", NewValue::Str(&text));
            field(&mut general, 0x4a, field_len(3) + NewValue::Str(&text).field_len());
            field(&mut general, key_value::KEY, 3);
            general.extend_from_slice(b"key");
            NewValue::Str(&text).write_field(&mut general);
            assert_eq!(short, general, "{len}");
        }
    }

    #[test]
    fn varints_are_as_prost_writes_them() {
        for shift in 0..64 {
            for value in [u64::MAX >> shift, 1 << shift] {
                let (mut ours, mut theirs) = (Vec::new(), Vec::new());
                varint(&mut ours, value);
                prost::encoding::encode_varint(value, &mut theirs);
                assert_eq!(ours, theirs);
                assert_eq!(varint_len(value), theirs.len());
            }
        }
        assert_eq!(varint_len(0), 1);
    }
}
