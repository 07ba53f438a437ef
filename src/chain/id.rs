//! One chain id: its range, and every spelling it arrives in.
//!
//! Nearly every span has the canonical decimal string, so that one is read first and without detours.

use std::fmt;
use std::num::NonZeroU64;
use std::ops::Deref;
use std::str::FromStr;

use crate::otlp::Value;

/// An EVM chain id in the range that EIP-2294 allows: 1 to [`ChainId::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainId(NonZeroU64);

/// A text that is no chain id, with the spellings that would be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{text}\" is not a chain id: write a number from 1 to {max} in decimal (11155111), in hexadecimal with 0x \
     (0xaa36a7) or as CAIP-2 (eip155:11155111)",
    max = ChainId::MAX
)]
pub struct ParseChainIdError {
    text: String,
}

impl ChainId {
    /// `floor(MAX_UINT64 / 2) - 36`, the largest id of EIP-2294.
    pub const MAX: u64 = 9_223_372_036_854_775_771;

    /// The chain with that id.
    pub const LARGEST: Self = match NonZeroU64::new(Self::MAX) {
        Some(id) => Self(id),
        None => unreachable!(),
    };

    /// The id `raw`, if it is in range.
    #[inline]
    pub fn new(raw: u64) -> Option<Self> {
        if raw > Self::MAX { None } else { NonZeroU64::new(raw).map(Self) }
    }

    /// The id as a number.
    #[inline]
    pub fn get(self) -> u64 {
        self.0.get()
    }

    /// Reads an attribute value: an int, a string that [`ChainId::parse`] takes, or a double without a fraction.
    /// Everything else (booleans, bytes, lists) and every number out of range is `None`.
    #[inline]
    pub fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Str(text) => Self::parse(text),
            Value::Int(number) => u64::try_from(number).ok().and_then(Self::new),
            Value::Double(number) => Self::from_double(number),
            Value::Empty | Value::Bool(_) | Value::Array(_) | Value::KvList(_) | Value::Bytes(_) => None,
        }
    }

    /// Reads a text: ASCII whitespace around it is ignored, then `[0-9]+`, `0[xX][0-9a-fA-F]+` or `eip155:[0-9]+`
    /// (CAIP-2), with any number of leading zeros and without a sign. Bare hexadecimal is refused: guessing would turn
    /// it into another chain.
    #[inline]
    pub fn parse(text: &[u8]) -> Option<Self> {
        match digits(text) {
            Some(number) => Self::new(number),
            None => Self::parse_other(text),
        }
    }

    #[cold]
    fn parse_other(text: &[u8]) -> Option<Self> {
        let text = text.trim_ascii();
        let raw = match text {
            [b'0', b'x' | b'X', digits @ ..] => hexadecimal(digits),
            _ => decimal(text.strip_prefix(b"eip155:").unwrap_or(text)),
        };
        raw.and_then(Self::new)
    }

    /// A double stands for exactly one integer when it has no fraction, above 2^53 too. The largest double below 2^63
    /// is 2^63 - 1024, inside the range; the next is 2^63, outside. So the comparison in doubles is exact although
    /// [`ChainId::MAX`] itself is not a double.
    fn from_double(number: f64) -> Option<Self> {
        const TWO_POW_63: f64 = 9_223_372_036_854_775_808.0;
        if (1.0..TWO_POW_63).contains(&number) && number.fract() == 0.0 { Self::new(number as u64) } else { None }
    }

    /// The decimal digits, without a heap allocation.
    #[inline]
    pub fn canonical(self) -> Canonical {
        let mut bytes = [0_u8; 19];
        let mut start = bytes.len();
        let mut rest = self.get();
        while rest > 0 {
            start -= 1;
            bytes[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        Canonical { bytes, start: start as u8 }
    }
}

/// What an attribute value says about the chain, read once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spelling {
    /// The chain, if the value is a chain id.
    pub chain: Option<ChainId>,
    /// The value already is what a tag looks like: the string of the chain's decimal digits and nothing else.
    pub canonical: bool,
}

impl Spelling {
    /// Reads `value` as [`ChainId::from_value`] does.
    #[inline]
    pub fn of(value: Value<'_>) -> Self {
        if let Value::Str(text) = value
            && let Some(number) = digits(text)
        {
            let chain = ChainId::new(number);
            return Self { chain, canonical: chain.is_some() && text.first() != Some(&b'0') };
        }
        Self { chain: ChainId::from_value(value), canonical: false }
    }
}

/// The number that 1 to 19 decimal digits stand for: no more than 64 bits hold.
#[inline]
fn digits(text: &[u8]) -> Option<u64> {
    if !(1..=19).contains(&text.len()) {
        return None;
    }
    let (mut number, rest) = match text.split_first_chunk() {
        Some((first, rest)) => (eight_digits(*first)?, rest),
        None => (0, text),
    };
    for &byte in rest {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + u64::from(digit);
    }
    Some(number)
}

/// Eight digits in one go: most testnets have ids that long. The byte of a digit has 3 in its upper half, and still has
/// after adding 6. Then neighbours are joined: digits to pairs, pairs to fours, fours to the number.
#[inline]
fn eight_digits(text: [u8; 8]) -> Option<u64> {
    const UPPER_HALVES: u64 = 0xf0f0_f0f0_f0f0_f0f0;
    let bytes = u64::from_le_bytes(text);
    let after_adding = bytes.wrapping_add(0x0606_0606_0606_0606) & UPPER_HALVES;
    if (bytes & UPPER_HALVES) | (after_adding >> 4) != 0x3333_3333_3333_3333 {
        return None;
    }
    let digits = bytes & 0x0f0f_0f0f_0f0f_0f0f;
    let pairs = (digits * 10 + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some((fours * 10_000 + (fours >> 32)) & 0xffff_ffff)
}

fn decimal(digits: &[u8]) -> Option<u64> {
    number(digits, 10, 19)
}

fn hexadecimal(digits: &[u8]) -> Option<u64> {
    number(digits, 16, 16)
}

/// `digits` in base `radix`, where `most` significant digits cannot overflow 64 bits and one more is out of range.
fn number(digits: &[u8], radix: u32, most: usize) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    let zeros = digits.iter().take_while(|&&byte| byte == b'0').count();
    let significant = &digits[zeros..];
    if significant.len() > most {
        return None;
    }
    significant.iter().try_fold(0_u64, |sum, &byte| {
        let digit = char::from(byte).to_digit(radix)?;
        Some(sum * u64::from(radix) + u64::from(digit))
    })
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for ChainId {
    type Err = ParseChainIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text.as_bytes()).ok_or_else(|| ParseChainIdError { text: text.chars().take(80).collect() })
    }
}

/// The decimal digits of a chain id, as bytes on the stack (at most 19).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Canonical {
    /// The digits, at the end.
    bytes: [u8; 19],
    start: u8,
}

impl Canonical {
    /// The digits as text.
    #[inline]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self).expect("decimal digits are ASCII")
    }
}

impl Deref for Canonical {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.bytes[usize::from(self.start)..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The buffer of the canonical digits holds the longest id.
    #[test]
    fn the_longest_id_fits() {
        let longest = ChainId::new(ChainId::MAX).expect("the largest id is in range");
        assert_eq!(&*longest.canonical(), b"9223372036854775771");
        assert_eq!(ChainId::new(ChainId::MAX + 1), None);
        assert_eq!(ChainId::new(0), None);
    }

    /// Every byte at every place of eight digits: read exactly when it is a digit.
    #[test]
    fn eight_digits_are_digits() {
        for place in 0..8 {
            for byte in 0..=u8::MAX {
                let mut text = *b"90817263";
                text[place] = byte;
                let expected =
                    std::str::from_utf8(&text).ok().filter(|_| byte != b'+').and_then(|text| text.parse().ok());
                assert_eq!(eight_digits(text), expected, "{text:?}");
            }
        }
    }

    /// What a configuration error shows says how to write a chain id.
    #[test]
    fn a_refused_text_says_what_to_write() {
        let error = "aa36a7".parse::<ChainId>().expect_err("bare hexadecimal is refused").to_string();
        assert!(error.contains("\"aa36a7\"") && error.contains("0xaa36a7") && error.contains("eip155:"), "{error}");
    }
}
