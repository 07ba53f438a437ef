//! `grpc-timeout`: how long the client will wait.

use std::time::Duration;

/// The largest part of the client's time that is kept for the answer to travel.
const MAX_MARGIN: Duration = Duration::from_millis(500);

/// Reads a `grpc-timeout` value: at most 8 digits and a unit (`H`, `M`, `S`, `m`, `u`, `n`). `None` when it is none of
/// these: a request is not refused for that.
pub(super) fn parse(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let count = digits.iter().fold(0u64, |count, digit| count * 10 + u64::from(digit - b'0'));
    match unit {
        b'H' => Some(Duration::from_secs(count * 3600)),
        b'M' => Some(Duration::from_secs(count * 60)),
        b'S' => Some(Duration::from_secs(count)),
        b'm' => Some(Duration::from_millis(count)),
        b'u' => Some(Duration::from_micros(count)),
        b'n' => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

/// How long we may work on a request whose client waits for `timeout`: a tenth less (500 ms at the most), so that our
/// answer, which says when to send again, arrives before the client gives up.
pub(super) fn within(timeout: Duration) -> Duration {
    timeout - (timeout / 10).min(MAX_MARGIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read() {
        for (text, expected) in [
            ("1H", Some(Duration::from_secs(3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("10S", Some(Duration::from_secs(10))),
            ("9999m", Some(Duration::from_millis(9999))),
            ("10000000u", Some(Duration::from_secs(10))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
            ("0S", Some(Duration::ZERO)),
            ("123456789S", None),
            ("S", None),
            ("", None),
            ("-1S", None),
            ("+1S", None),
            ("1s", None),
            ("1.5S", None),
            ("10", None),
        ] {
            assert_eq!(parse(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn the_answer_comes_before_the_client_gives_up() {
        assert_eq!(within(Duration::from_secs(10)), Duration::from_millis(9_500));
        assert_eq!(within(Duration::from_secs(1)), Duration::from_millis(900));
        assert_eq!(within(Duration::ZERO), Duration::ZERO);
    }
}
