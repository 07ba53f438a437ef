//! Points in time as an operator writes them, and ages as they are shown.

use jiff::{SignedDuration, Timestamp};

use crate::clock;

/// `2h`, `1h30m`, `3d` ago, a day (`2026-11-24`, UTC) or RFC 3339; nanoseconds since the Unix epoch.
///
/// # Errors
/// How to write it.
pub(super) fn parse(text: &str) -> Result<u64, String> {
    const FORM: &str = "write how long ago (90m, 2h, 3d), a day (2026-11-24) or RFC 3339 (2026-11-24T12:00:00Z)";
    let moment = ago(text).or_else(|| text.parse().ok()).or_else(|| day(text)).ok_or(FORM)?;
    u64::try_from(moment.as_nanosecond()).map_err(|_| "before 1970".to_owned())
}

fn ago(text: &str) -> Option<Timestamp> {
    let duration = match text.strip_suffix('d') {
        Some(days) => SignedDuration::try_from_hours(days.parse::<u32>().ok()?.checked_mul(24)?.into())?,
        None => text.parse::<SignedDuration>().ok().filter(|duration| !duration.is_negative())?,
    };
    Timestamp::from_nanosecond(clock::unix_nano().into()).ok()?.checked_sub(duration).ok()
}

fn day(text: &str) -> Option<Timestamp> {
    let day: jiff::civil::Date = text.parse().ok()?;
    day.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

/// How long ago, in one unit: `5s`, `12m`, `3h`, `2d`.
pub(super) fn age(unix_nano: u64) -> String {
    let seconds = clock::unix_nano().saturating_sub(unix_nano) / 1_000_000_000;
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Absolute times are what they say; times ago are counted from now; what is no time is told how to write one.
    #[test]
    fn moments_are_read() {
        for (text, unix) in [
            ("1970-01-01T00:00:01Z", 1_000_000_000),
            ("2009-02-13T23:31:30.5Z", 1_234_567_890_500_000_000),
            ("2009-02-14T00:31:30+01:00", 1_234_567_890_000_000_000),
            ("2000-02-29", 951_782_400_000_000_000),
        ] {
            assert_eq!(parse(text), Ok(unix), "{text}");
        }
        for (text, seconds) in [("90s", 90), ("2h", 7_200), ("1h30m", 5_400), ("3d", 259_200), ("0d", 0)] {
            let before = clock::unix_nano();
            let read = parse(text).expect(text);
            assert!((before..=clock::unix_nano()).contains(&(read + seconds * 1_000_000_000)), "{text}");
        }
        for text in ["", "yesterday", "2", "-2h", "1969-01-01", "99999999d", "2026-13-01", "d"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(age(clock::unix_nano() - 7_300_000_000_000), "2h");
    }
}
