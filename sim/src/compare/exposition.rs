//! Reads the Prometheus text format (and OpenMetrics), as far as a comparison needs it.

use std::collections::BTreeMap;

use crate::series::Series;

/// A line that is not in the text format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the metrics is not in the Prometheus text format: {text:?}")]
pub struct ExpositionError {
    line: usize,
    text: String,
}

/// All samples of `text`. Comments, timestamps and exemplars are skipped; of two samples of one series the last wins.
pub fn parse(text: &str) -> Result<BTreeMap<Series, f64>, ExpositionError> {
    let mut samples = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let Some((series, value)) = sample(trimmed) else {
            return Err(ExpositionError { line: index + 1, text: line.chars().take(200).collect() });
        };
        samples.insert(series, value);
    }
    Ok(samples)
}

fn sample(line: &str) -> Option<(Series, f64)> {
    let name_end = line.find(|c: char| c == '{' || c.is_ascii_whitespace())?;
    let (name, mut rest) = line.split_at(name_end);
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    if name.is_empty() || !name.chars().all(valid) {
        return None;
    }
    let mut series = Series::new(name);
    if let Some(mut inside) = rest.strip_prefix('{') {
        loop {
            inside = inside.trim_start_matches([',', ' ']);
            if let Some(after) = inside.strip_prefix('}') {
                rest = after;
                break;
            }
            let (label, after) = inside.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            series = series.with(label.trim(), value);
            inside = after;
        }
    }
    let value = rest.split_ascii_whitespace().next()?;
    let value = match value {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        number => number.parse().ok()?,
    };
    Some((series, value))
}

/// The text up to the closing quote with its escapes undone, and what follows the quote.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match chars.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Labels, escapes, exemplars, timestamps, infinities and empty labels are read as Prometheus reads them.
    #[test]
    fn reads_what_prometheus_reads() {
        let text = "# HELP a_total things\n# TYPE a_total counter\na_total{x=\"1\",error_type=\"\"} 3\n\
                    a_total{x=\"q\\\"uo\\\\te\\n}\", } 4.5e3 1700000000000\n\nb 2\n\
                    c_bucket{le=\"+Inf\"} 7 # {trace_id=\"ab\"} 0.2 1.0\nd{}  +Inf\n# EOF\n";
        let samples = parse(text).expect("it is well formed");
        assert_eq!(samples[&Series::new("a_total").with("x", "1")], 3.0);
        assert_eq!(samples[&Series::new("a_total").with("x", "q\"uo\\te\n}")], 4500.0);
        assert_eq!(samples[&Series::new("b")], 2.0);
        assert_eq!(samples[&Series::new("c_bucket").with("le", "+Inf")], 7.0);
        assert_eq!(samples[&Series::new("d")], f64::INFINITY);
        assert_eq!(samples.len(), 5);
    }

    /// Text in another format is an error with its line, not an empty result.
    #[test]
    fn other_formats_are_refused() {
        for text in ["a 1\n<html>\n", "a 1\nb{x=\"1} 2\n", "a 1\nb two\n", "a 1\nb\n", "a 1\nb{x} 1"] {
            assert_eq!(parse(text).expect_err(text).line, 2, "{text}");
        }
    }
}
