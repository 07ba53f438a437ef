//! Names and labels as Prometheus allows them.

use crate::red::{Family, OVERFLOW_LABEL, Series, is_reserved_label};

/// The labels of a series without braces: `chain_id="1",operation="task"`.
pub(super) fn of_series(dimensions: &[String], family: &Family, series: &Series) -> String {
    let mut labels = String::new();
    for (name, value) in dimensions.iter().zip(&series.dims.0) {
        label(&mut labels, name, value);
    }
    for (attribute, value) in series.texts(family.metric) {
        label(&mut labels, attribute.label(), &value);
    }
    if series.attributes.overflow {
        label(&mut labels, OVERFLOW_LABEL, "true");
    }
    labels
}

/// Appends a label; an empty value is the same as none, so it is left out.
pub(super) fn label(labels: &mut String, name: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    if !labels.is_empty() {
        labels.push(',');
    }
    labels.push_str(name);
    labels.push_str("=\"");
    for character in value.chars() {
        match character {
            '\\' => labels.push_str("\\\\"),
            '"' => labels.push_str("\\\""),
            '\n' => labels.push_str("\\n"),
            other => labels.push(other),
        }
    }
    labels.push('"');
}

/// The label names of the dimensions. A dimension whose name is one of ours, or the same as another's once its odd
/// characters are gone, is told apart by a prefix: two labels of one name make the whole scrape invalid.
pub(super) fn dimension_labels(dimensions: &[String]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for dimension in dimensions {
        let mut name = sanitized(dimension);
        while is_reserved_label(&name) || names.contains(&name) || name.starts_with("__") {
            name = format!("resource_{}", name.trim_start_matches('_'));
        }
        names.push(name);
    }
    names
}

/// `name` with everything that may not stand in a Prometheus name replaced by underscores.
pub(super) fn sanitized(name: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let body: String = name.chars().map(allowed).collect();
    if body.starts_with(|c: char| c.is_ascii_digit()) || body.is_empty() { format!("_{body}") } else { body }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Labels that would clash with ours or with each other are renamed, and every name is a legal one.
    #[test]
    fn dimension_labels_are_legal_and_distinct() {
        let names: Vec<String> =
            ["service.name", "service-name", "chain_id", "le", "1st", "__x", "", "é"].map(str::to_owned).into();
        let labels = dimension_labels(&names);
        assert_eq!(labels[..4], ["service_name", "resource_service_name", "resource_chain_id", "resource_le"]);
        assert_eq!(labels[4], "_1st");
        for (place, name) in labels.iter().enumerate() {
            assert!(name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric()), "{name}");
            assert!(!name.starts_with(|c: char| c.is_ascii_digit()), "{name}");
            assert_eq!(labels.iter().position(|other| other == name), Some(place), "{name}");
        }
    }

    #[test]
    fn label_values_are_escaped_and_empty_ones_left_out() {
        let mut labels = String::new();
        label(&mut labels, "a", "");
        label(&mut labels, "b", "back\\slash \"quote\"\nline");
        label(&mut labels, "c", "ok");
        assert_eq!(labels, r#"b="back\\slash \"quote\"\nline",c="ok""#);
    }
}
