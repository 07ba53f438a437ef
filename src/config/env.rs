//! `${env:NAME}` and `${env:NAME:-default}` inside scalars; `$$` is a dollar sign.

use std::borrow::Cow;

/// Where values of the environment come from: the process, or a test.
pub(super) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// `text` with every reference replaced. Borrowed: there was nothing to replace.
///
/// A variable that is set to nothing counts as unset, so that a deployment which passes `NAME=` through gets the default
/// or a clear error, and not an empty token.
///
/// # Errors
/// A sentence that names the variable or the spelling that is not understood; never a value.
pub(super) fn expand<'t>(text: &'t str, env: Env<'_>) -> Result<Cow<'t, str>, String> {
    if !text.contains('$') {
        return Ok(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let Some((reference, after)) = after.split_once('}') else {
                return Err("\"${\" without its \"}\"; write ${env:NAME}, or $$ for a dollar sign".to_owned());
            };
            out.push_str(&resolve(reference, env)?);
            rest = after;
        } else if rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
            return Err("a lone \"$\"; write ${env:NAME} for a variable, or $$ for a dollar sign".to_owned());
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    Ok(Cow::Owned(out))
}

/// The inverse for text that holds no references: what must be written so that `text` is read.
pub(super) fn escape(text: &str) -> String {
    text.replace('$', "$$")
}

fn resolve(reference: &str, env: Env<'_>) -> Result<String, String> {
    let Some(reference) = reference.strip_prefix("env:") else {
        return Err("only ${env:NAME} and ${env:NAME:-default} are understood between \"${\" and \"}\"".to_owned());
    };
    let (name, default) = match reference.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (reference, None),
    };
    let valid = !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !valid {
        return Err("the name of an environment variable holds letters, digits and \"_\" only: ${env:NAME}".to_owned());
    }
    if default.is_some_and(|default| default.contains("${")) {
        return Err(format!("the default of {name} is a reference itself; write its value"));
    }
    match (env(name).filter(|value| !value.is_empty()), default) {
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(format!(
            "the environment variable {name} is not set; set it, or give a default: ${{env:{name}:-default}}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "HOST" => Some("agent".to_owned()),
            "EMPTY" => Some(String::new()),
            "DOLLAR" => Some("${env:HOST}".to_owned()),
            _ => None,
        }
    }

    /// References are replaced wherever they stand, and what a variable holds is never read as a reference again.
    #[test]
    fn references_are_replaced_once() {
        for (text, expected) in [
            ("plain", "plain"),
            ("${env:HOST}", "agent"),
            ("${env:HOST}:4317", "agent:4317"),
            ("a${env:HOST}b${env:NONE:-c}d", "aagentbcd"),
            ("${env:NONE:-}", ""),
            ("${env:NONE:-a:-b}", "a:-b"),
            ("${env:EMPTY:-x}", "x"),
            ("$$", "$"),
            ("$${env:HOST}", "${env:HOST}"),
            ("$$${env:HOST}", "$agent"),
            ("cost: 5$", "cost: 5$"),
            ("${env:DOLLAR}", "${env:HOST}"),
        ] {
            assert_eq!(expand(text, &env).as_deref(), Ok(expected), "{text}");
        }
    }

    /// Whatever is not understood is an error that says how to write it.
    #[test]
    fn everything_else_is_an_error() {
        for (text, part) in [
            ("${env:NONE}", "variable NONE is not set"),
            ("${env:EMPTY}", "variable EMPTY is not set"),
            ("${HOST}", "only ${env:NAME}"),
            ("${file:/etc/passwd}", "only ${env:NAME}"),
            ("${env:}", "letters, digits"),
            ("${env:A B}", "letters, digits"),
            ("${env:NONE:-${env:HOST}}", "write its value"),
            ("${env:HOST", "without its"),
            ("$HOST", "lone"),
        ] {
            let error = expand(text, &env).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    proptest::proptest! {
        /// What `--print` writes for any text is read back as that text.
        #[test]
        fn escape_is_undone_by_expand(text in ".*") {
            let escaped = escape(&text);
            let read = expand(&escaped, &|_| None);
            proptest::prop_assert_eq!(read.as_deref(), Ok(text.as_str()));
        }
    }
}
