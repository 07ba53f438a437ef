//! Reading numbers and flags out of attribute values, whatever type they came in: a Rust `u64` recorded through
//! `tracing-opentelemetry` arrives as a string. Garbage is absent; nothing here panics, wraps or rounds an int.

use crate::otlp::Value;

/// No number that means something is longer: a uint256 has 78 digits.
const LONGEST: usize = 96;

/// The value as a whole number: an int, a decimal string with an optional sign, or a double without a fraction.
#[inline]
pub(super) fn int(value: Value<'_>) -> Option<i64> {
    match value {
        Value::Int(number) => Some(number),
        Value::Str(text) => short(text).or_else(|| text_of(text)?.parse().ok()),
        Value::Double(number) => whole(number),
        _ => None,
    }
}

/// The number that 1 to 15 digits stand for, which is how nearly all numbers in strings look; a double holds it exactly.
#[inline]
fn short(text: &[u8]) -> Option<i64> {
    if !(1..=15).contains(&text.len()) {
        return None;
    }
    text.iter().try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + i64::from(byte - b'0')))
}

/// Beyond 2^53 a double may stand for another number than the one that was meant.
fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0).then_some(number as i64)
}

/// The value as a finite number: a double, an int, or a decimal string.
#[inline]
pub(super) fn double(value: Value<'_>) -> Option<f64> {
    let number = match value {
        Value::Double(number) => number,
        Value::Int(number) => number as f64,
        Value::Str(text) => match short(text) {
            Some(number) => number as f64,
            None => text_of(text)?.parse().ok()?,
        },
        _ => return None,
    };
    number.is_finite().then_some(number)
}

/// The value as a flag: a bool, the string `true` or `false` in any case, or 0 or 1.
#[inline]
pub(super) fn flag(value: Value<'_>) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(flag),
        Value::Str(text) if text.eq_ignore_ascii_case(b"true") => Some(true),
        Value::Str(text) if text.eq_ignore_ascii_case(b"false") => Some(false),
        _ => match int(value)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        },
    }
}

/// The value as an amount of stake: a decimal string of up to 78 digits (uint256), or an int. A double holds it well
/// enough for a ratio and cannot overflow: it reaches 10^308.
pub(super) fn stake(value: Value<'_>) -> Option<f64> {
    let amount = match value {
        Value::Str(text) => {
            let text = text_of(text)?;
            if text.len() > 78 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            text.parse().ok()?
        }
        other => double(other)?,
    };
    (amount >= 0.0).then_some(amount)
}

fn text_of(text: &[u8]) -> Option<&str> {
    let text = text.trim_ascii();
    if text.len() > LONGEST { None } else { std::str::from_utf8(text).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ints of every type, and nothing that is none.
    #[test]
    fn ints_arrive_in_several_types() {
        for value in [Value::Int(67), Value::Str(b"67"), Value::Str(b" 67 "), Value::Str(b"+67"), Value::Double(67.0)] {
            assert_eq!(int(value), Some(67), "{value:?}");
        }
        assert_eq!(int(Value::Str(b"-32615")), Some(-32615));
        let garbage = [
            Value::Str(b""),
            Value::Str(b"6.7"),
            Value::Str(b"0x43"),
            Value::Str(b"9223372036854775808"),
            Value::Str(b"\xff"),
            Value::Str(&[b'1'; 500]),
            Value::Double(67.5),
            Value::Double(f64::NAN),
            Value::Double(f64::INFINITY),
            Value::Double(1e300),
            Value::Bool(true),
            Value::Bytes(b"67"),
            Value::Empty,
        ];
        for value in garbage {
            assert_eq!(int(value), None, "{value:?}");
        }
    }

    /// Doubles too, always finite.
    #[test]
    fn doubles_arrive_in_several_types() {
        for value in [Value::Double(2.0), Value::Int(2), Value::Str(b"2"), Value::Str(b"2.0"), Value::Str(b"2e0")] {
            assert_eq!(double(value), Some(2.0), "{value:?}");
        }
        for value in [
            Value::Double(f64::NAN),
            Value::Double(f64::INFINITY),
            Value::Str(b"inf"),
            Value::Str(b"nan"),
            Value::Str(b"1e999"),
        ] {
            assert_eq!(double(value), None, "{value:?}");
        }
    }

    /// Flags as bools, strings and digits.
    #[test]
    fn flags_arrive_in_several_types() {
        for value in [Value::Bool(true), Value::Str(b"true"), Value::Str(b"True"), Value::Int(1), Value::Str(b"1")] {
            assert_eq!(flag(value), Some(true), "{value:?}");
        }
        for value in [Value::Bool(false), Value::Str(b"FALSE"), Value::Int(0), Value::Str(b"0")] {
            assert_eq!(flag(value), Some(false), "{value:?}");
        }
        for value in [Value::Str(b"yes"), Value::Int(2), Value::Empty, Value::Double(f64::NAN)] {
            assert_eq!(flag(value), None, "{value:?}");
        }
    }

    /// The largest uint256 is read; signs, fractions and longer numbers are no stake.
    #[test]
    fn stake_reaches_uint256() {
        let largest = b"115792089237316195423570985008687907853269984665640564039457584007913129639935";
        assert_eq!(stake(Value::Str(largest)), Some(2_f64.powi(256)));
        assert_eq!(stake(Value::Int(5)), Some(5.0));
        for value in [Value::Str(b"-1"), Value::Str(b"1e3"), Value::Str(b""), Value::Str(&[b'9'; 79]), Value::Int(-1)] {
            assert_eq!(stake(value), None, "{value:?}");
        }
    }
}
