//! Numbers as a person reads them.

/// `1234567` → `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Nanoseconds in three digits: `4.21 ms`, `12.5 s`; `-` for none.
pub(crate) fn nanos(nanos: Option<u64>) -> String {
    nanos.map_or_else(|| "-".to_owned(), |nanos| seconds(nanos as f64 / 1e9))
}

/// Seconds in three digits.
pub(crate) fn seconds(seconds: f64) -> String {
    let (value, unit) = match seconds {
        s if s >= 1.0 => (s, "s"),
        s if s >= 1e-3 => (s * 1e3, "ms"),
        s => (s * 1e6, "µs"),
    };
    let decimals = match value {
        v if v >= 99.95 => 0,
        v if v >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.decimals$} {unit}")
}

/// A ratio as percent: `0.4 %`; `-` when nothing was counted.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 { "-".to_owned() } else { format!("{:.1} %", part as f64 * 100.0 / whole as f64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Groups of three digits, three significant digits of time.
    #[test]
    fn numbers_read_well() {
        assert_eq!(count(7), "7");
        assert_eq!(count(182_344), "182,344");
        assert_eq!(count(1_000_000), "1,000,000");
        assert_eq!(seconds(0.004_21), "4.21 ms");
        assert_eq!(seconds(12.53), "12.5 s");
        assert_eq!(seconds(0.180_4), "180 ms");
        assert_eq!(seconds(0.000_02), "20.0 µs");
        assert_eq!(percent(1, 3), "33.3 %");
        assert_eq!(percent(0, 0), "-");
    }
}
