//! The JSON schema of the file, for editors that complete keys and check values while somebody types.

use serde_json::{Map, Value, json};

use super::contents::contents;
use super::form::{Key, Naming, Shape, one_line};
use super::output::Yaml;

/// A number with a unit, or several: `1m30s`.
const TIME: &str = r"^(0|(([0-9]+\.?[0-9]*|\.[0-9]+)(h|m|s|ms|us|µs|ns))+)$";
/// Bytes, bare or with a unit: `1MiB`.
const SIZE: &str = "^[0-9]+ ?(B|KiB|MiB|GiB)?$";

/// The JSON schema of `collector-config.yaml`, draft 2020-12.
pub fn schema() -> String {
    let mut root = section(&contents());
    root.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    root.insert("title".to_owned(), json!("chainspan collector-config.yaml"));
    format!("{:#}\n", Value::Object(root))
}

fn section(keys: &[Key]) -> Map<String, Value> {
    let (mut properties, mut patterns) = (Map::new(), Map::new());
    for key in keys {
        let mut schema = shape(&key.shape);
        if !key.about.is_empty() {
            schema.insert("description".to_owned(), json!(one_line(key.about)));
        }
        if let Some(default) = value(&key.default) {
            schema.insert("default".to_owned(), default);
        }
        match key.name.strip_suffix("NAME") {
            Some(prefix) => patterns.insert(format!("^{prefix}[A-Za-z0-9._-]{{1,64}}$"), Value::Object(schema)),
            None => properties.insert(key.name.to_owned(), Value::Object(schema)),
        };
    }
    mapping(properties, patterns)
}

fn mapping(properties: Map<String, Value>, patterns: Map<String, Value>) -> Map<String, Value> {
    object(json!({"type": ["object", "null"], "properties": properties, "patternProperties": patterns,
        "additionalProperties": false}))
}

fn shape(shape: &Shape) -> Map<String, Value> {
    let known = match shape {
        Shape::Section(keys) => return section(keys),
        Shape::Named { names, each, .. } => {
            let each = || Value::Object(self::shape(each));
            let (properties, patterns): (Map<_, _>, Map<_, _>) = match names {
                Naming::Known(names) => (names.iter().map(|name| ((*name).to_owned(), each())).collect(), Map::new()),
                Naming::Pattern(pattern) => (Map::new(), [((*pattern).to_owned(), each())].into_iter().collect()),
            };
            let mut schema = mapping(properties, patterns);
            schema.insert("title".to_owned(), json!(shape.words()));
            return schema;
        }
        Shape::List { low, high, .. } => {
            return object(json!({"type": "array", "title": shape.words(), "items": {"type": "string"},
                "uniqueItems": true, "minItems": low, "maxItems": high}));
        }
        Shape::Text(_) => return object(json!({"type": "string", "title": shape.words()})),
        Shape::Truth => json!({"type": "boolean"}),
        Shape::Whole { low, high, .. } => json!({"type": "integer", "minimum": low, "maximum": high}),
        Shape::Ratio => json!({"type": "number", "minimum": 0, "maximum": 1}),
        Shape::Time { .. } => json!({"type": "string", "pattern": TIME}),
        Shape::Size { .. } => json!({"type": ["string", "integer"], "pattern": SIZE}),
        Shape::OneOf(names) => json!({"enum": names}),
    };
    // What the environment holds is not known while somebody types.
    let substituted = json!({"type": "string", "pattern": r"\$\{env:"});
    object(json!({"title": shape.words(), "anyOf": [known, substituted]}))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => Map::from_iter([("const".to_owned(), other)]),
    }
}

/// The default as JSON; sections have none of their own.
fn value(default: &Yaml) -> Option<Value> {
    match default {
        Yaml::Absent | Yaml::Map(_) => None,
        Yaml::Plain(text) => Some(serde_json::from_str(text).unwrap_or_else(|_| json!(text))),
        Yaml::Text(text) => Some(json!(text)),
        Yaml::List(texts) => Some(json!(texts)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at<'v>(schema: &'v Value, path: &[&str]) -> &'v Value {
        path.iter().fold(schema, |schema, key| &schema["properties"][key])
    }

    /// Ranges, defaults and sentences are those of the declarations, and every scalar may come from the environment.
    #[test]
    fn the_schema_follows_the_declarations() {
        let schema: Value = serde_json::from_str(&schema()).expect("JSON");
        let exemplars = at(&schema, &["connectors", "gateway", "exemplars"]);
        assert_eq!(exemplars["default"], 4);
        assert_eq!(exemplars["anyOf"][0], json!({"type": "integer", "minimum": 0, "maximum": 4}));
        assert_eq!(exemplars["anyOf"][1]["pattern"], r"\$\{env:");
        let destination = &at(&schema, &["exporters"])["patternProperties"]["^otlp/[A-Za-z0-9._-]{1,64}$"];
        assert_eq!(at(destination, &["timeout"])["default"], "10s");
        assert_eq!(at(destination, &["compression"])["anyOf"][0]["enum"], json!(["none", "gzip", "zstd"]));
        let retry = at(destination, &["retry_on_failure", "max_elapsed_time"]);
        assert_eq!(retry["title"], "duration, 0s to 720h");
        let about = retry["description"].as_str().expect("described");
        assert!(about.starts_with("How long a batch is retried"), "{about}");
        assert_eq!(destination["additionalProperties"], false);
        assert!(at(destination, &["signals"]).is_null(), "not a key");
    }
}
