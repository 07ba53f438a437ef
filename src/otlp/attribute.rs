//! Attributes: `KeyValue` and the `AnyValue` in it, validated to the bottom and shown from the top.

use super::reader::WireReader;
use super::schema::{AttributePaths, FIXED64, KnownField, LEN, VALUES, VARINT, any_value, key_value};
use super::value::Value;
use super::wire::{VALUE_DEPTH, WireError, WireFault};

/// An attribute as it stands on the wire.
pub(super) struct Attribute<'a> {
    pub(super) key: &'a [u8],
    /// Offset of the key's first byte in the body; some offset inside the attribute when it has no key.
    pub(super) key_at: u32,
    pub(super) value: Value<'a>,
}

/// An attribute that looks as nearly all do.
pub(super) struct Usual<'a> {
    pub(super) key: &'a [u8],
    pub(super) value: Value<'a>,
    /// Bytes of its message, and of the length before it.
    pub(super) len: usize,
}

/// From where the key's offset is counted: length, tag and length stand before it.
pub(super) const USUAL_KEY_AT: u32 = 3;

/// The attribute whose length `bytes` begins with, if it looks as nearly all do: a key, then a value of a simple type, each
/// once, lengths of one byte, and nothing else. A few comparisons decide; what does not look so is read field by field.
#[inline(always)]
pub(super) fn usual(bytes: &[u8]) -> Option<Usual<'_>> {
    let (&[len, key_tag, key_len], rest) = bytes.split_first_chunk()?;
    let (key, rest) = rest.split_at_checked(key_len.into())?;
    let (&[value_tag, value_len, tag], rest) = rest.split_first_chunk()?;
    let one_byte_each = (len | key_len | value_len) < 0x80;
    let tags = u32::from(key_tag) == key_value::KEY && u32::from(value_tag) == key_value::VALUE;
    let whole = usize::from(len) == usize::from(key_len) + usize::from(value_len) + 4;
    if !(one_byte_each && tags && whole) {
        return None;
    }
    let content = rest.get(..usize::from(value_len).checked_sub(1)?)?;
    let value = match tag.into() {
        any_value::STRING => {
            let (&len, text) = content.split_first()?;
            // The value's length is one byte, so the text's is.
            if text.len() != usize::from(len) {
                return None;
            }
            Value::Str(text)
        }
        any_value::INT => Value::Int(whole_varint(content)? as i64),
        any_value::DOUBLE => Value::Double(f64::from_bits(u64::from_le_bytes(content.try_into().ok()?))),
        any_value::BOOL => Value::Bool(whole_varint(content)? != 0),
        _ => return None,
    };
    Some(Usual { key, value, len: usize::from(len) + 1 })
}

/// The varint that `bytes` is from its first byte to its last, of up to nine bytes.
#[inline(always)]
fn whole_varint(bytes: &[u8]) -> Option<u64> {
    let (&last, before) = bytes.split_last()?;
    if last >= 0x80 || before.len() > 8 {
        return None;
    }
    let mut value = last.into();
    for &byte in before.iter().rev() {
        if byte < 0x80 {
            return None;
        }
        value = value << 7 | u64::from(byte & 0x7f);
    }
    Some(value)
}

/// Reads the `KeyValue` in `reader`, whatever it looks like.
#[inline(never)]
pub(super) fn read<'a>(reader: WireReader<'a>, paths: &AttributePaths) -> Result<Attribute<'a>, WireError> {
    read_key_value(reader, paths, 1)
}

/// `depth` is that of the `AnyValue` in it: 1 when the attribute stands in no other's value.
#[inline(always)]
fn read_key_value<'a>(
    mut reader: WireReader<'a>,
    paths: &AttributePaths,
    depth: u32,
) -> Result<Attribute<'a>, WireError> {
    let mut attribute = Attribute { key: &[], key_at: reader.offset(), value: Value::Empty };
    while !reader.is_empty() {
        let at = reader.position();
        let tag = reader.tag(paths.attribute)?;
        if tag == key_value::KEY {
            attribute.key = reader.bytes(paths.key)?;
            attribute.key_at = reader.offset() - attribute.key.len() as u32;
        } else if tag == key_value::VALUE {
            if depth > VALUE_DEPTH {
                return Err(too_deep(paths, at));
            }
            let (value, _) = reader.message(paths.value)?;
            // Several values are merged: one in which nothing is set does not hide the one before.
            read_value(value, &mut attribute.value, paths, depth)?;
        } else {
            other_of_key_value(&mut reader, tag, at, paths)?;
        }
    }
    Ok(attribute)
}

/// Reads an `AnyValue` over the one in `value`. The last field of the oneof wins.
#[inline(always)]
fn read_value<'a>(
    mut reader: WireReader<'a>,
    value: &mut Value<'a>,
    paths: &AttributePaths,
    depth: u32,
) -> Result<(), WireError> {
    while !reader.is_empty() {
        let at = reader.position();
        let tag = reader.tag(paths.value)?;
        *value = match tag {
            any_value::STRING => Value::Str(reader.bytes(paths.value)?),
            any_value::BOOL => Value::Bool(reader.varint(paths.value)? != 0),
            any_value::INT => Value::Int(reader.varint(paths.value)? as i64),
            any_value::DOUBLE => Value::Double(f64::from_bits(reader.fixed64(paths.value)?)),
            any_value::ARRAY => {
                let (list, _) = reader.message(paths.value)?;
                check_array(list, paths, depth)?;
                Value::Array(list.rest())
            }
            any_value::KV_LIST => {
                let (list, _) = reader.message(paths.value)?;
                check_kv_list(list, paths, depth)?;
                Value::KvList(list.rest())
            }
            any_value::BYTES => Value::Bytes(reader.bytes(paths.value)?),
            any_value::STRING_STRINDEX => {
                reader.varint(paths.value)?;
                Value::Empty
            }
            _ => {
                other_of_value(&mut reader, tag, at, paths)?;
                continue;
            }
        };
    }
    Ok(())
}

/// Reads the `ArrayValue` inside an `AnyValue` of depth `depth`.
#[inline(never)]
fn check_array(mut reader: WireReader<'_>, paths: &AttributePaths, depth: u32) -> Result<(), WireError> {
    while !reader.is_empty() {
        let at = reader.position();
        let tag = reader.tag(paths.value)?;
        if tag != VALUES {
            other_of_list(&mut reader, tag, at, paths)?;
            continue;
        }
        if depth == VALUE_DEPTH {
            return Err(too_deep(paths, at));
        }
        let (value, _) = reader.message(paths.value)?;
        read_value(value, &mut Value::Empty, paths, depth + 1)?;
    }
    Ok(())
}

/// Reads the `KeyValueList` inside an `AnyValue` of depth `depth`.
#[inline(never)]
fn check_kv_list(mut reader: WireReader<'_>, paths: &AttributePaths, depth: u32) -> Result<(), WireError> {
    let inside = paths.inside_value();
    while !reader.is_empty() {
        let at = reader.position();
        let tag = reader.tag(paths.value)?;
        if tag != VALUES {
            other_of_list(&mut reader, tag, at, paths)?;
            continue;
        }
        let (item, _) = reader.message(paths.value)?;
        read_key_value(item, &inside, depth + 1)?;
    }
    Ok(())
}

#[cold]
fn too_deep(paths: &AttributePaths, at: usize) -> WireError {
    WireError::new(paths.value, at, WireFault::TooDeep(VALUE_DEPTH))
}

fn other_of_key_value(
    reader: &mut WireReader<'_>,
    tag: u32,
    at: usize,
    paths: &AttributePaths,
) -> Result<(), WireError> {
    let known = [
        KnownField { number: 1, wire_type: LEN, path: paths.key },
        KnownField { number: 2, wire_type: LEN, path: paths.value },
        KnownField { number: 3, wire_type: VARINT, path: paths.key_strindex },
    ];
    reader.other(tag, at, paths.attribute, &known)
}

fn other_of_value(reader: &mut WireReader<'_>, tag: u32, at: usize, paths: &AttributePaths) -> Result<(), WireError> {
    let types = [LEN, VARINT, VARINT, FIXED64, LEN, LEN, LEN, VARINT];
    let mut number = 0;
    let known = types.map(|wire_type| {
        number += 1;
        KnownField { number, wire_type, path: paths.value }
    });
    reader.other(tag, at, paths.value, &known)
}

fn other_of_list(reader: &mut WireReader<'_>, tag: u32, at: usize, paths: &AttributePaths) -> Result<(), WireError> {
    reader.other(tag, at, paths.value, &[KnownField { number: 1, wire_type: LEN, path: paths.value }])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::otlp::schema::SPAN_ATTRIBUTES;

    /// Bytes that are nearly attributes: the usual shape, with any byte of it changed, cut off or followed by others.
    fn nearly_attributes() -> impl Strategy<Value = Vec<u8>> {
        let value = prop_oneof![
            prop::collection::vec(any::<u8>(), 0..130).prop_map(|text| {
                let mut value = vec![0x0a, text.len() as u8];
                value.extend(text);
                value
            }),
            prop::collection::vec(any::<u8>(), 0..12).prop_map(|number| [vec![0x18], number].concat()),
            any::<u64>().prop_map(|number| {
                let mut value = vec![0x18];
                prost::encoding::encode_varint(number, &mut value);
                value
            }),
            any::<[u8; 8]>().prop_map(|number| [vec![0x21], number.to_vec()].concat()),
            any::<u8>().prop_map(|flag| vec![0x10, flag]),
            Just(Vec::new()),
        ];
        let key = prop::collection::vec(any::<u8>(), 0..130);
        let change = prop::option::weighted(0.5, (any::<prop::sample::Index>(), any::<u8>()));
        (key, value, change, prop::collection::vec(any::<u8>(), 0..4)).prop_map(|(key, value, change, more)| {
            let message = [vec![0x0a, key.len() as u8], key, vec![0x12, value.len() as u8], value].concat();
            let mut bytes = [vec![message.len() as u8], message, more].concat();
            if let Some((at, byte)) = change {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes
        })
    }

    proptest! {
        /// Whatever is taken for usual is what reading it field by field makes of it: same key, same value, same length.
        #[test]
        fn the_usual_shape_means_what_its_fields_mean(bytes in nearly_attributes()) {
            if let Some(Usual { key, value, len }) = usual(&bytes) {
                let mut reader = WireReader::body(&bytes, "attribute").expect("small");
                let (message, place) = reader.message("attribute").expect("as long as it says");
                let read = read(message, &SPAN_ATTRIBUTES).expect("well-formed");
                prop_assert_eq!((key, len, USUAL_KEY_AT), (read.key, place.end as usize, read.key_at));
                // As text, for a NaN is not equal to itself.
                prop_assert_eq!(format!("{value:?}"), format!("{:?}", read.value));
            }
        }
    }
}
