//! What a plain scalar of YAML 1.2 means, and how a text has to be written so that it reads back as that text.

use std::fmt::Write as _;

use super::env;

/// A whole number of YAML 1.2: decimal, `0x` or `0o`.
pub(super) fn whole(text: &str) -> Option<i128> {
    let digits = |text: &str, radix| {
        if text.starts_with(['+', '-']) { None } else { i128::from_str_radix(text, radix).ok() }
    };
    match (text.strip_prefix("0x"), text.strip_prefix("0o")) {
        (Some(hex), _) => digits(hex, 16),
        (_, Some(octal)) => digits(octal, 8),
        _ => text.parse().ok(),
    }
}

/// `true`, `True` or `TRUE`, and the same for `false`.
pub(super) fn truth(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// Whether plain `text` is a number or a truth value, and so no text.
pub(super) fn is_typed(text: &str) -> bool {
    let number = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'))
        && (whole(text).is_some() || text.parse::<f64>().is_ok());
    number || truth(text).is_some()
}

/// Whether plain `text` stands for no value at all.
pub(super) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// What plain `text` looks like, for `found …` in an error.
pub(super) fn kind(text: &str) -> &'static str {
    if whole(text).is_some() {
        "a number"
    } else if matches!(text.to_ascii_lowercase().as_str(), "true" | "false") {
        "true or false"
    } else if is_typed(text) {
        "a number"
    } else if is_null(text) {
        "nothing"
    } else {
        "a text"
    }
}

/// `text` as a value of a configuration file, in which the environment is filled in.
pub(super) fn quote(text: &str) -> String {
    quote_key(&env::escape(text))
}

/// `text` as a key: plain where that reads back as the same text, else in double quotes.
pub(super) fn quote_key(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '-');
    let address = text.contains(':') && !text.contains(": ") && text.split(':').all(|part| !part.is_empty());
    let plain = !text.is_empty()
        && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/')
        && text.chars().all(|c| safe(c) || c == ':' && address)
        && !is_typed(text)
        && !matches!(text.to_ascii_lowercase().as_str(), "null" | "true" | "false");
    if plain {
        return text.to_owned();
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            ' '..='~' => quoted.push(c),
            _ if c.is_alphanumeric() => quoted.push(c),
            _ => write!(quoted, "\\U{:08X}", u32::from(c)).expect("writing to a String cannot fail"),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers, truth values and nothing are told apart from text, as YAML 1.2 does.
    #[test]
    fn plain_scalars_have_a_kind() {
        for (text, expected) in [
            ("5", "a number"),
            ("-5", "a number"),
            ("0x1F", "a number"),
            ("1e3", "a number"),
            (".5", "a number"),
            ("true", "true or false"),
            ("tRue", "true or false"),
            ("~", "nothing"),
            ("", "nothing"),
            ("yes", "a text"),
            ("0x-1", "a text"),
            ("10s", "a text"),
        ] {
            assert_eq!(kind(text), expected, "{text}");
        }
    }

    /// A text is quoted only where YAML or the substitution would take it for something else.
    #[test]
    fn texts_are_quoted_where_needed() {
        for (text, expected) in [
            ("avs.gateway", "avs.gateway"),
            ("127.0.0.1:4317", "127.0.0.1:4317"),
            ("5", "\"5\""),
            ("null", "\"null\""),
            ("a: b", "\"a: b\""),
            ("a:", "\"a:\""),
            ("$x", "\"$$x\""),
            ("[::1]:1", "\"[::1]:1\""),
            ("say \"no\"", "\"say \\\"no\\\"\""),
            ("", "\"\""),
        ] {
            assert_eq!(quote(text), expected, "{text}");
        }
    }
}
