//! Reads protobuf's wire format, one element at a time.
//!
//! A [`WireReader`] holds the body *up to the end of the message it reads*, so one comparison checks both the message's end
//! and the slice's, and its position is at the same time the offset in the body that errors name. It stays in registers:
//! whatever is rare is a function of its own that takes and returns plain values.

use super::schema::{END_GROUP, FIXED32, FIXED64, KnownField, LEN, START_GROUP, VARINT};
use super::visit::Container;
use super::wire::{GROUP_DEPTH, WireError, WireFault};

/// The largest field number there is: 2^29 - 1.
const MAX_FIELD_NUMBER: u64 = (1 << 29) - 1;

/// Reads the fields of one message.
#[derive(Clone, Copy, Debug)]
pub(super) struct WireReader<'a> {
    /// The body, cut off where the message ends.
    bytes: &'a [u8],
    position: usize,
}

#[cold]
#[inline(never)]
fn fail(path: &'static str, offset: usize, fault: WireFault) -> WireError {
    WireError::new(path, offset, fault)
}

impl<'a> WireReader<'a> {
    /// Reads the whole body; refuses one whose offsets do not fit in 32 bits.
    pub(super) fn body(body: &'a [u8], path: &'static str) -> Result<Self, WireError> {
        if u32::try_from(body.len()).is_err() {
            return Err(fail(path, 0, WireFault::TooLarge));
        }
        Ok(Self { bytes: body, position: 0 })
    }

    /// Reads what stands between two offsets of `body`; `None` when it has no such range.
    pub(super) fn range(body: &'a [u8], start: u32, end: u32) -> Option<Self> {
        let bytes = body.get(..end as usize)?;
        (start <= end).then_some(Self { bytes, position: start as usize })
    }

    /// Offset in the body of the next byte.
    #[inline(always)]
    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// [`WireReader::position`] as it is kept in places: [`WireReader::body`] has checked that offsets fit.
    #[inline(always)]
    pub(super) fn offset(&self) -> u32 {
        self.position as u32
    }

    /// The body up to the end of this message.
    #[inline(always)]
    pub(super) fn bytes_to_end(&self) -> &'a [u8] {
        self.bytes
    }

    /// What of this message has not been read yet.
    #[inline(always)]
    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.position..).unwrap_or_default()
    }

    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        self.position >= self.bytes.len()
    }

    /// Steps over `len` bytes of [`WireReader::rest`].
    #[inline(always)]
    pub(super) fn advance(&mut self, len: usize) {
        debug_assert!(len <= self.rest().len());
        self.position += len;
    }

    /// Steps over the next byte if it is the one-byte tag `tag`.
    #[inline(always)]
    pub(super) fn next_is(&mut self, tag: u32) -> bool {
        let next = self.bytes.get(self.position).is_some_and(|byte| u32::from(*byte) == tag);
        self.position += usize::from(next);
        next
    }

    #[inline(always)]
    pub(super) fn varint(&mut self, path: &'static str) -> Result<u64, WireError> {
        if let Some(byte) = self.bytes.get(self.position)
            && *byte < 0x80
        {
            self.position += 1;
            return Ok(u64::from(*byte));
        }
        // Lengths of spans.
        if let Some(&[low, high]) = self.rest().first_chunk()
            && high < 0x80
        {
            self.position += 2;
            return Ok(u64::from(low & 0x7f) | u64::from(high) << 7);
        }
        let (value, position) = long_varint(self.bytes, self.position, path)?;
        self.position = position;
        Ok(value)
    }

    /// A field's number and wire type as they stand on the wire. Whether the number may be is left to [`WireReader::other`],
    /// which sees every tag that no arm of the walk matched.
    #[inline(always)]
    pub(super) fn tag(&mut self, path: &'static str) -> Result<u32, WireError> {
        let at = self.position;
        let tag = self.varint(path)?;
        u32::try_from(tag).map_err(|_| fail(path, at, WireFault::FieldNumber(tag >> 3)))
    }

    /// The length and the bytes of a length-delimited field.
    #[inline(always)]
    pub(super) fn bytes(&mut self, path: &'static str) -> Result<&'a [u8], WireError> {
        let at = self.position;
        let len = self.varint(path)?;
        let rest = self.rest();
        if len > rest.len() as u64 {
            return Err(fail(path, at, WireFault::LengthTooLong(len)));
        }
        // Not longer than a slice, so it is a usize.
        let len = len as usize;
        self.position += len;
        Ok(&rest[..len])
    }

    /// A message in a length-delimited field: where it stands, and what reads it.
    #[inline(always)]
    pub(super) fn message(&mut self, path: &'static str) -> Result<(WireReader<'a>, Container), WireError> {
        let length_at = self.offset();
        let len = self.bytes(path)?.len();
        let start = self.position - len;
        let inner = WireReader { bytes: &self.bytes[..self.position], position: start };
        Ok((inner, Container { length_at, start: start as u32, end: self.offset() }))
    }

    #[inline(always)]
    pub(super) fn fixed64(&mut self, path: &'static str) -> Result<u64, WireError> {
        let Some(bytes) = self.rest().first_chunk() else {
            return Err(fail(path, self.position, WireFault::Truncated));
        };
        self.position += 8;
        Ok(u64::from_le_bytes(*bytes))
    }

    #[inline(always)]
    pub(super) fn fixed32(&mut self, path: &'static str) -> Result<u32, WireError> {
        let Some(bytes) = self.rest().first_chunk() else {
            return Err(fail(path, self.position, WireFault::Truncated));
        };
        self.position += 4;
        Ok(u32::from_le_bytes(*bytes))
    }

    /// Steps over the field whose tag `tag` was read at `at` and which the walk has no interest in. One of `known` must
    /// have its own wire type; any other only has to be well-formed.
    #[inline(always)]
    pub(super) fn other(
        &mut self,
        tag: u32,
        at: usize,
        path: &'static str,
        known: &[KnownField],
    ) -> Result<(), WireError> {
        *self = skip(*self, tag, at, path, known)?;
        Ok(())
    }

    /// Reads a message that has nothing to show to its end.
    pub(super) fn check(mut self, path: &'static str, known: &[KnownField]) -> Result<(), WireError> {
        while !self.is_empty() {
            let at = self.position;
            let tag = self.tag(path)?;
            self.other(tag, at, path, known)?;
        }
        Ok(())
    }
}

/// The fields of a message as they stand, tag included, whatever they are. For where there is time.
pub(super) fn fields<'a>(
    mut reader: WireReader<'a>,
    path: &'static str,
) -> impl Iterator<Item = Result<(u32, &'a [u8]), WireError>> + Clone {
    std::iter::from_fn(move || {
        if reader.is_empty() {
            return None;
        }
        let at = reader.position;
        let field = reader.tag(path).and_then(|tag| {
            reader.other(tag, at, path, &[])?;
            Ok((tag, &reader.bytes[at..reader.position]))
        });
        if field.is_err() {
            // Nothing after a fault can be read.
            reader.position = reader.bytes.len();
        }
        Some(field)
    })
}

/// A varint that is not one byte long.
#[inline(never)]
fn long_varint(bytes: &[u8], start: usize, path: &'static str) -> Result<(u64, usize), WireError> {
    let mut value = 0;
    for (index, byte) in bytes.iter().skip(start).take(10).enumerate() {
        // The tenth byte has room for one bit only.
        if index == 9 && *byte > 1 {
            return Err(fail(path, start, WireFault::VarintTooLong));
        }
        value |= u64::from(byte & 0x7f) << (7 * index);
        if *byte < 0x80 {
            return Ok((value, start + index + 1));
        }
    }
    Err(fail(path, start, WireFault::Truncated))
}

#[cold]
#[inline(never)]
fn skip<'a>(
    mut reader: WireReader<'a>,
    tag: u32,
    at: usize,
    path: &'static str,
    known: &[KnownField],
) -> Result<WireReader<'a>, WireError> {
    let (number, found) = split_tag(tag, at, path)?;
    let path = match known.iter().find(|field| field.number == number) {
        Some(field) if field.wire_type != found => {
            return Err(fail(field.path, at, WireFault::WrongWireType { found, expected: field.wire_type }));
        }
        Some(field) => field.path,
        None => path,
    };
    skip_content(&mut reader, number, found, at, path, 0)?;
    Ok(reader)
}

/// The number and the wire type of a tag, if both may be.
pub(super) fn split_tag(tag: u32, at: usize, path: &'static str) -> Result<(u32, u8), WireError> {
    let (number, wire_type) = (tag >> 3, (tag & 7) as u8);
    if number == 0 || u64::from(number) > MAX_FIELD_NUMBER {
        return Err(fail(path, at, WireFault::FieldNumber(number.into())));
    }
    if wire_type > FIXED32 {
        return Err(fail(path, at, WireFault::WireType(wire_type)));
    }
    Ok((number, wire_type))
}

fn skip_content(
    reader: &mut WireReader<'_>,
    number: u32,
    wire_type: u8,
    at: usize,
    path: &'static str,
    groups: u32,
) -> Result<(), WireError> {
    match wire_type {
        VARINT => reader.varint(path).map(drop),
        FIXED64 => reader.fixed64(path).map(drop),
        LEN => reader.bytes(path).map(drop),
        FIXED32 => reader.fixed32(path).map(drop),
        START_GROUP if groups == GROUP_DEPTH => Err(fail(path, at, WireFault::TooDeep(GROUP_DEPTH))),
        START_GROUP => skip_group(reader, number, at, path, groups + 1),
        // The end of a group that has not begun; wire types 6 and 7 do not come here.
        _ => Err(fail(path, at, WireFault::Group)),
    }
}

fn skip_group(
    reader: &mut WireReader<'_>,
    group: u32,
    group_at: usize,
    path: &'static str,
    groups: u32,
) -> Result<(), WireError> {
    while !reader.is_empty() {
        let at = reader.position;
        let (number, wire_type) = split_tag(reader.tag(path)?, at, path)?;
        if wire_type == END_GROUP && number == group {
            return Ok(());
        }
        skip_content(reader, number, wire_type, at, path, groups)?;
    }
    Err(fail(path, group_at, WireFault::Group))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> WireReader<'_> {
        WireReader::body(bytes, "m").expect("small")
    }

    fn refused<T: std::fmt::Debug>(result: Result<T, WireError>) -> (usize, WireFault) {
        let error = result.expect_err("malformed");
        assert_eq!(error.field, "m");
        (error.offset, error.fault)
    }

    fn check(bytes: &[u8]) -> Result<(), WireError> {
        read(bytes).check("m", &[KnownField { number: 1, wire_type: LEN, path: "m" }])
    }

    #[test]
    fn varints_of_every_width_and_none_beyond_64_bits() {
        for shift in 0..64 {
            let mut bytes = Vec::new();
            prost::encoding::encode_varint(u64::MAX >> shift, &mut bytes);
            let mut reader = read(&bytes);
            assert_eq!(reader.varint("m"), Ok(u64::MAX >> shift));
            assert!(reader.is_empty());
        }
        // Longer than needed is allowed, up to ten bytes.
        assert_eq!(read(b"\x81\x80\x80\x80\x80\x80\x80\x80\x80\x00").varint("m"), Ok(1));
        let overflows = refused(read(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02").varint("m"));
        assert_eq!(overflows, (0, WireFault::VarintTooLong));
        let eleven = refused(read(b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00").varint("m"));
        assert_eq!(eleven, (0, WireFault::VarintTooLong));
        assert_eq!(refused(read(b"\x80\x80").varint("m")), (0, WireFault::Truncated));
        assert_eq!(refused(read(b"").varint("m")), (0, WireFault::Truncated));
    }

    #[test]
    fn a_length_of_2_to_the_63_is_refused_without_overflow() {
        let bytes = b"\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01rest";
        assert_eq!(refused(check(bytes)), (1, WireFault::LengthTooLong(1 << 63)));
        assert_eq!(refused(check(b"\x0a\x05four")), (1, WireFault::LengthTooLong(5)));
    }

    #[test]
    fn field_numbers_and_wire_types_that_do_not_exist() {
        assert_eq!(refused(check(b"\x02\x00")), (0, WireFault::FieldNumber(0)));
        assert_eq!(refused(check(b"\x0a\x00\x80\x80\x80\x80\x10\x00")), (2, WireFault::FieldNumber(1 << 29)));
        assert_eq!(refused(check(b"\x16")), (0, WireFault::WireType(6)));
        assert_eq!(refused(check(b"\x17")), (0, WireFault::WireType(7)));
        assert_eq!(check(b"\xf8\xff\xff\xff\x0f\x00"), Ok(()), "2^29 - 1 is the largest");
    }

    #[test]
    fn a_known_field_has_its_own_wire_type() {
        let fault = WireFault::WrongWireType { found: VARINT, expected: LEN };
        assert_eq!(refused(check(b"\x10\x00\x08\x00")), (2, fault));
    }

    #[test]
    fn groups_close_in_order_and_nest_to_the_limit() {
        assert_eq!(check(b"\x13\x18\x01\x23\x24\x2d\x00\x00\x00\x00\x14"), Ok(()));
        assert_eq!(refused(check(b"\x0a\x00\x13\x18\x01")), (2, WireFault::Group), "does not end");
        assert_eq!(refused(check(b"\x13\x24\x14")), (1, WireFault::Group), "another's end");
        assert_eq!(refused(check(b"\x14")), (0, WireFault::Group), "has not begun");
        assert_eq!(refused(check(b"\x13\x16\x14")), (1, WireFault::WireType(6)));

        let nested = |depth| [vec![0x13; depth], vec![0x14; depth]].concat();
        let limit = GROUP_DEPTH as usize;
        assert_eq!(check(&nested(limit)), Ok(()));
        assert_eq!(refused(check(&nested(limit + 1))), (limit, WireFault::TooDeep(GROUP_DEPTH)));
        assert_eq!(refused(check(&nested(10_000))), (limit, WireFault::TooDeep(GROUP_DEPTH)));
    }

    #[test]
    fn fixed_numbers_are_cut_off_where_they_begin() {
        assert_eq!(refused(check(b"\x11\x00\x00\x00\x00\x00\x00\x00")), (1, WireFault::Truncated));
        assert_eq!(refused(check(b"\x15\x00\x00\x00")), (1, WireFault::Truncated));
    }
}
