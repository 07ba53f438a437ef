//! The attribute keys of a request: what each means to the visitor, asked once, and whether a span has the same key twice.
//! Exact, without allocating, a few nanoseconds a key.
//!
//! The spans of a request have few different keys, and the same ones again and again. The first of them go into a small
//! table for the whole request, each with its meaning and the span that had it last: a key that is found there needs no other look.
//! SpanKeys that find no room (many keys, or keys chosen to collide) go span by span into a table of offsets. That one is never
//! cleared: spans come in ascending order, so an offset before the span's own start is that of an earlier span, and its slot
//! is free. A span whose keys do not find room there either is counted again, by [`crowded`], with keyed hashes.

use std::hash::{BuildHasher, RandomState};

use super::attribute;
use super::reader::WireReader;
use super::schema::{SPAN_ATTRIBUTES, span};
use super::visit::{Container, KeyMeaning};

/// Slots for the keys of a request. A power of two.
const KNOWN: usize = 128;
/// How many of them a key may try.
const KNOWN_PROBES: usize = 4;

/// Slots for 128 attributes of a span, OpenTelemetry's default limit, with room to spare. A power of two.
const SLOTS: usize = 512;
/// How many slots a key may try.
const PROBES: usize = 8;

/// SpanKeys are compared among this many attributes of a span, so that a hostile span costs no more than linear time.
const MAX_ATTRIBUTES: usize = 8_192;
/// Slots of the large table, and how many keys at most it is meant to hold at a time.
const MANY_SLOTS: usize = 4_096;
const MANY_KEYS: usize = 2_048;

/// A key by its offsets in the body.
type KeyRange = (u32, u32);

/// What tells most keys apart: beginning and end, in full for keys of up to 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Ends {
    first: u64,
    last: u64,
}

/// A key of the request.
#[derive(Clone, Copy)]
struct KnownKey<'a> {
    /// Empty: the slot is free.
    key: &'a [u8],
    ends: Ends,
    /// Offset of the last span that had it.
    span: u32,
    meaning: KeyMeaning,
}

/// The keys of the request and of the span being walked.
pub(super) struct SpanKeys<'a> {
    known: [KnownKey<'a>; KNOWN],
    slots: [KeyRange; SLOTS],
    /// Offset of the span: slots with smaller offsets are free.
    span: u32,
    duplicate: bool,
    crowded: bool,
}

impl<'a> SpanKeys<'a> {
    pub(super) fn new() -> Self {
        let free = KnownKey { key: &[], ends: Ends { first: 0, last: 0 }, span: 0, meaning: KeyMeaning::NONE };
        Self { known: [free; KNOWN], slots: [(0, 0); SLOTS], span: 0, duplicate: false, crowded: false }
    }

    /// Begins a span that starts at offset `start`, which is greater than 0 and than those before.
    #[inline(always)]
    pub(super) fn begin(&mut self, start: u32) {
        self.span = start;
        self.duplicate = false;
        self.crowded = false;
    }

    /// Takes in `key`, which stands at offset `at` of `body`. What it means, by `ask` where it is met for the first time.
    #[inline(always)]
    pub(super) fn see(&mut self, body: &[u8], key: &'a [u8], at: u32, ask: impl FnOnce() -> KeyMeaning) -> KeyMeaning {
        let ends = Ends::of(key);
        let hash = ends.hash(key.len());
        let known = &mut self.known[hash % KNOWN];
        if known.ends == ends && same(known.key, key) && !key.is_empty() {
            self.duplicate |= known.span == self.span;
            known.span = self.span;
            return known.meaning;
        }
        self.see_other(body, key, at, ends, ask)
    }

    /// The same for a key that does not stand in its first slot.
    #[inline(never)]
    fn see_other(
        &mut self,
        body: &[u8],
        key: &'a [u8],
        at: u32,
        ends: Ends,
        ask: impl FnOnce() -> KeyMeaning,
    ) -> KeyMeaning {
        let hash = ends.hash(key.len());
        // A slot that was taken stays taken: a key is here from its first time on, or never.
        for probe in 0..KNOWN_PROBES {
            let known = &mut self.known[(hash + probe) % KNOWN];
            if key.is_empty() {
                break;
            }
            if known.key.is_empty() {
                *known = KnownKey { key, ends, span: self.span, meaning: ask() };
                return known.meaning;
            }
            if known.key == key {
                self.duplicate |= known.span == self.span;
                known.span = self.span;
                return known.meaning;
            }
        }
        for probe in 0..PROBES {
            let slot = &mut self.slots[(hash + probe) % SLOTS];
            if slot.0 < self.span {
                *slot = (at, at + key.len() as u32);
                return ask();
            }
            if is_at(body, *slot, key) {
                self.duplicate = true;
                return ask();
            }
        }
        self.crowded = true;
        ask()
    }

    /// Whether the span that ends here, and stands at `place`, had the same key twice.
    #[inline(always)]
    pub(super) fn duplicate(&self, body: &[u8], place: Container) -> bool {
        self.duplicate || (self.crowded && crowded(body, place))
    }
}

/// Whether two keys with the same ends are the same.
#[inline(always)]
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len()
        && match one.len() {
            ..=16 => true,
            17..=32 => inner(one) == inner(other),
            _ => one == other,
        }
}

/// The eight bytes after the first eight and the eight before the last: all that the ends do not cover of a key of 17 to 32
/// bytes.
#[inline(always)]
fn inner(key: &[u8]) -> Option<(&[u8; 8], &[u8; 8])> {
    Some((key.get(8..)?.first_chunk()?, key.get(..key.len().checked_sub(8)?)?.last_chunk()?))
}

#[inline(always)]
fn is_at(body: &[u8], place: KeyRange, key: &[u8]) -> bool {
    body.get(place.0 as usize..place.1 as usize) == Some(key)
}

impl Ends {
    #[inline(always)]
    fn of(key: &[u8]) -> Self {
        if let (Some(first), Some(last)) = (key.first_chunk(), key.last_chunk()) {
            Self { first: u64::from_le_bytes(*first), last: u64::from_le_bytes(*last) }
        } else if let (Some(first), Some(last)) = (key.first_chunk(), key.last_chunk()) {
            Self { first: u32::from_le_bytes(*first).into(), last: u32::from_le_bytes(*last).into() }
        } else {
            Self { first: key.iter().fold(0, |all, byte| all << 8 | u64::from(*byte)), last: 0 }
        }
    }

    /// Of a key of `len` bytes.
    #[inline(always)]
    fn hash(self, len: usize) -> usize {
        // The upper bits of the product depend on all the lower bits; nine of them number the slots.
        let mixed = self.first ^ self.last.rotate_left(29) ^ len as u64;
        (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 55) as usize
    }
}

/// The same question with a larger table and hashes that a client cannot foresee. A span with more keys than the table holds
/// is gone through several times, each time for the keys of one class.
#[cold]
#[inline(never)]
fn crowded(body: &[u8], place: Container) -> bool {
    let hasher = RandomState::new();
    let classes = keys(body, place).count().div_ceil(MANY_KEYS).max(1);
    (0..classes).any(|class| {
        let mut slots: [KeyRange; MANY_SLOTS] = [(0, 0); MANY_SLOTS];
        keys(body, place).any(|(key, at)| {
            let hash = hasher.hash_one(key) as usize;
            if hash / MANY_SLOTS % classes != class {
                return false;
            }
            for probe in 0..MANY_SLOTS {
                let slot = &mut slots[(hash + probe) % MANY_SLOTS];
                if slot.0 == 0 {
                    *slot = (at, at + key.len() as u32);
                    return false;
                }
                if is_at(body, *slot, key) {
                    return true;
                }
            }
            false
        })
    })
}

/// The attribute keys of a span that has been walked, with their offsets.
fn keys(body: &[u8], place: Container) -> impl Iterator<Item = (&[u8], u32)> {
    let mut reader = WireReader::range(body, place.start, place.end);
    std::iter::from_fn(move || {
        let reader = reader.as_mut()?;
        loop {
            if reader.is_empty() {
                return None;
            }
            let at = reader.position();
            let tag = reader.tag(span::PATH).ok()?;
            if tag == span::attributes::TAG {
                let (attribute, _) = reader.message(span::attributes::PATH).ok()?;
                let attribute = attribute::read(attribute, &SPAN_ATTRIBUTES).ok()?;
                return Some((attribute.key, attribute.key_at));
            }
            reader.other(tag, at, span::PATH, span::FIELDS).ok()?;
        }
    })
    .take(MAX_ATTRIBUTES)
}
