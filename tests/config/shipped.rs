//! The file that everybody starts with: it is the defaults, every line of it is read, Jaeger is a comment away.

use chainspan::config::{Config, ConfigErrors, Role, parse};

const SHIPPED: &str = include_str!("../../collector-config.yaml");

/// The pipelines of the shipped file and nothing else, so that every other value is a default.
const BARE: &str = "
service:
  pipelines:
    traces: {receivers: [otlp], processors: [chain], exporters: [gateway, otlp/datadog]}
    metrics/gateway: {receivers: [gateway], exporters: [otlp/datadog, prometheus]}
    metrics: {receivers: [otlp], exporters: [otlp/datadog]}
    logs: {receivers: [otlp], exporters: [otlp/datadog]}
";

fn read(text: &str) -> Result<Config, ConfigErrors> {
    parse(text, "collector-config.yaml", &|_| None)
}

/// Whether a line holds a key or an item.
fn is_code(line: &str) -> bool {
    let line = line.trim_start();
    !line.is_empty() && !line.starts_with('#')
}

/// The values that the file states are the defaults: deleting a line changes nothing.
#[test]
fn the_shipped_file_states_the_defaults() {
    assert_eq!(read(SHIPPED), read(BARE));
    assert!(read(SHIPPED).is_ok());
}

/// No line is decoration: each one misspelt is a mistake, so each one is read.
#[test]
fn every_line_of_the_shipped_file_is_read() {
    let lines: Vec<&str> = SHIPPED.lines().collect();
    for (index, line) in lines.iter().enumerate().filter(|(_, line)| is_code(line)) {
        let indent = line.len() - line.trim_start().len();
        let wrong = match line.trim_start().strip_prefix("- ") {
            Some(item) => format!("{}- [{item}]", &line[..indent]),
            None => format!("{}zz{}", &line[..indent], line.trim_start()),
        };
        let mut changed = lines.clone();
        changed[index] = &wrong;
        let errors = read(&changed.join("\n")).expect_err(line).to_string();
        assert!(errors.contains(&format!("collector-config.yaml:{}:", index + 1)), "{line}: {errors}");
    }
}

/// Each scalar replaced by nonsense is a mistake on its line, so no value is accepted and ignored.
#[test]
fn every_value_of_the_shipped_file_is_checked() {
    let lines: Vec<&str> = SHIPPED.lines().collect();
    for (index, line) in lines.iter().enumerate().filter(|(_, line)| is_code(line)) {
        let Some((key, _)) = line.split_once(": ") else { continue };
        let wrong = format!("{key}: [[]]");
        let mut changed = lines.clone();
        changed[index] = &wrong;
        let errors = read(&changed.join("\n")).expect_err(line).to_string();
        assert!(errors.contains(&format!("collector-config.yaml:{}:", index + 1)), "{line}: {errors}");
    }
}

/// Without the "#" in front of its lines, Jaeger is a destination that watches along and holds nothing up.
#[test]
fn jaeger_is_one_comment_away() {
    let uncomment = |line: &str| {
        let code = line.trim_start();
        let prose = code.starts_with("# ") && !code.starts_with("#  ");
        if code.starts_with('#') && !prose { line.replacen('#', "", 1) } else { line.to_owned() }
    };
    let text: Vec<String> = SHIPPED.lines().map(uncomment).collect();
    let config = read(&text.join("\n")).expect("valid without the comment signs");
    let [datadog, jaeger] = &config.destinations[..] else { panic!("two destinations: {config:?}") };
    assert_eq!((datadog.name.as_str(), datadog.role), ("otlp/datadog", Role::Required));
    assert_eq!(
        (jaeger.name.as_str(), jaeger.role, jaeger.endpoint.as_str()),
        ("otlp/jaeger", Role::Debug, "127.0.0.1:24317")
    );
    assert!(jaeger.signals.traces && !jaeger.signals.metrics && !jaeger.signals.logs);
}
