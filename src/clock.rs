//! The wall clock: reads it, and writes its times for people. What is measured in elapsed time uses `Instant` instead,
//! which nobody can set back.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// Nanoseconds since the Unix epoch; 0 while the system's clock is set to a time before it.
pub(crate) fn unix_nano() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// RFC 3339 in UTC to the nanosecond, without trailing zeros: `2009-02-13T23:31:30.5Z`.
pub(crate) fn rfc3339(unix_nano: u64) -> String {
    timestamp(unix_nano).to_string()
}

/// RFC 3339 in UTC, cut to whole seconds: `2009-02-13T23:31:30Z`.
pub(crate) fn rfc3339_seconds(unix_nano: u64) -> String {
    format!("{:.0}", timestamp(unix_nano))
}

/// Every `u64` of nanoseconds is a time that the calendar has: the last one is in 2554.
fn timestamp(unix_nano: u64) -> Timestamp {
    Timestamp::from_nanosecond(unix_nano.into()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments_are_shown_right() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_234_567_890, "2009-02-13T23:31:30Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            let unix_nano = seconds * 1_000_000_000;
            assert_eq!(rfc3339(unix_nano), text);
            assert_eq!(rfc3339_seconds(unix_nano + 999_999_999), text);
        }
        assert_eq!(rfc3339(1_234_567_890_500_000_000), "2009-02-13T23:31:30.5Z");
        assert!(rfc3339(u64::MAX).starts_with("2554-07-21T"));
    }
}
