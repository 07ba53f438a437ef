//! Durations and sizes as the Collector writes them: `1m30s`, `100ms`, `1MiB`. Both ways: what is printed is read back.

use std::time::Duration;

/// Nanoseconds of each unit, longest first, so that printing may go down the list.
const TIME: [(&str, u128); 7] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("µs", 1_000),
    ("ns", 1),
];

/// Bytes of each unit of a size.
const SIZE: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Reads a duration the way Go does: decimal numbers, each with a unit of `h m s ms us ns`, or a bare `0`.
///
/// # Errors
/// What is wrong and how to write it; the value itself is not repeated.
pub(super) fn parse_duration(text: &str) -> Result<Duration, &'static str> {
    const FORM: &str = "not a duration; write a number with its unit, for example 100ms, 30s or 1m30s";
    if text.is_empty() {
        return Err(FORM);
    }
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    if text.starts_with('-') {
        return Err("a duration cannot be negative");
    }
    if text.parse::<f64>().is_ok() {
        return Err("a duration needs a unit; write for example 100ms, 30s or 1m30s");
    }
    let mut rest = text;
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or(FORM)?;
        let (number, after) = rest.split_at(digits);
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let (_, nanos) = TIME.iter().find(|(name, _)| *name == unit).ok_or(FORM)?;
        total += scale(number, *nanos).ok_or(FORM)?;
        rest = after;
    }
    u64::try_from(total).map(Duration::from_nanos).map_err(|_| "longer than 584 years")
}

/// `number` (`12`, `1.5`, `.5`, `2.`) times `unit`; what is smaller than a nanosecond is cut off.
fn scale(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || whole.len() > 18 || fraction.len() > 18 || fraction.contains('.') {
        return None;
    }
    let digits = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<u128>().ok() };
    let power = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    Some(digits(whole)? * unit + digits(fraction)? * unit / power)
}

/// Writes a duration so that it reads back exactly, without units that are zero: `1m30s`, `100ms`, `0s`.
pub fn format_duration(duration: Duration) -> String {
    let mut rest = duration.as_nanos();
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut out = String::new();
    for (unit, nanos) in TIME {
        if rest >= nanos {
            out.push_str(&format!("{}{unit}", rest / nanos));
            rest %= nanos;
        }
    }
    out
}

/// Reads a size in bytes: a whole number, bare or with `B`, `KiB`, `MiB` or `GiB`.
///
/// # Errors
/// What is wrong and how to write it; the value itself is not repeated.
pub(super) fn parse_size(text: &str) -> Result<u64, &'static str> {
    const FORM: &str = "not a size; write bytes or a number with KiB, MiB or GiB, for example 512KiB or 1MiB";
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.trim_start();
    let factor = if unit.is_empty() {
        1
    } else {
        let known = SIZE.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit));
        known
            .ok_or(if matches!(unit, "KB" | "kB" | "MB" | "GB" | "K" | "k" | "M" | "G") {
                "sizes are in powers of two here; write KiB, MiB or GiB"
            } else {
                FORM
            })?
            .1
    };
    let number: u64 = number.parse().map_err(|_| FORM)?;
    number.checked_mul(factor).ok_or("larger than any memory")
}

/// Writes a size with the largest unit that divides it.
pub fn format_size(bytes: u64) -> String {
    match SIZE.iter().find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor)) {
        Some((unit, factor)) if *factor > 1 => format!("{}{unit}", bytes / factor),
        _ => bytes.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every form that Go's `time.ParseDuration` takes, without signs.
    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, nanos) in [
            ("0", 0),
            ("0s", 0),
            ("100ms", 100_000_000),
            ("1m30s", 90_000_000_000),
            ("1.5h", 5_400_000_000_000),
            (".5s", 500_000_000),
            ("2.s", 2_000_000_000),
            ("1h0.25s", 3_600_250_000_000),
            ("7us", 7_000),
            ("7µs", 7_000),
            ("3ns", 3),
            ("1s1s", 2_000_000_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
        for text in ["", "s", "10", "1.5", "-1s", "1 s", "1d", "1.2.3s", ".s", "1s2", "1e3s", "99999999999h", "١s"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    /// Sizes are whole numbers of bytes, in powers of two.
    #[test]
    fn sizes_are_read_in_powers_of_two() {
        for (text, bytes) in
            [("0", 0), ("512", 512), ("512B", 512), ("1KiB", 1024), ("1 MiB", 1 << 20), ("2gib", 2 << 30)]
        {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "KiB", "1.5MiB", "-1", "1MB", "1Mi", "99999999999GiB", "99999999999999999999999"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        /// What is printed is read back to the nanosecond and to the byte.
        #[test]
        fn printing_round_trips(nanos: u64, bytes: u64) {
            let duration = Duration::from_nanos(nanos);
            proptest::prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
            proptest::prop_assert_eq!(parse_size(&format_size(bytes)), Ok(bytes));
        }

        /// No text makes the readers panic.
        #[test]
        fn any_text_is_answered(text in "[0-9.hmsunµKMGiB -]{0,30}") {
            let _ = (parse_duration(&text), parse_size(&text));
        }
    }
}
