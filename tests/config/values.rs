//! What valid configurations mean, and that what is printed reads back as the same.

use std::time::Duration;

use chainspan::chain::ChainId;
use chainspan::config::{Compression, Config, Secret, Temporality, parse, print};
use proptest::prelude::*;

fn read(text: &str) -> Config {
    let env = |name: &str| match name {
        "N" => Some("7".to_owned()),
        "WAIT" => Some("3s".to_owned()),
        "TOKEN" => Some("12345".to_owned()),
        "HOST" => Some("agent".to_owned()),
        "OFF" => Some("false".to_owned()),
        _ => None,
    };
    parse(text, "f", &env).unwrap_or_else(|errors| panic!("{text}\n{errors}"))
}

/// A traces pipeline to the agent, with `exporter` as the keys of that destination.
fn to_agent(exporter: &str) -> String {
    format!(
        "exporters: {{otlp/datadog: {{{exporter}}}}}\n\
         service: {{pipelines: {{traces: {{receivers: [otlp], exporters: [otlp/datadog]}}}}}}\n"
    )
}

/// A pipeline without chain and gateway tags and measures nothing, and metrics that no pipeline takes have no destination.
#[test]
fn what_no_pipeline_names_does_not_run() {
    let config = read(&to_agent(""));
    assert_eq!((&config.chain, &config.gateway, &config.prometheus), (&None, &None, &None));
    let signals = config.destinations[0].signals;
    assert_eq!((signals.traces, signals.metrics, signals.logs), (true, false, false));
    assert!(config.health_check.is_some(), "service.extensions was left out, so its default holds");
    let storage = config.file_storage.expect("likewise");
    assert_eq!(storage.directory.to_str(), Some("/var/lib/chainspan"));
    assert_eq!((storage.max_bytes, storage.min_free_bytes), (1 << 30, 256 << 20));
    let config = read("service: {extensions: [], pipelines: {logs: {receivers: [otlp], exporters: [otlp/datadog]}}}");
    assert_eq!((config.health_check, config.file_storage), (None, None));
}

/// Values of the environment take the type of their key, inside longer texts too, and the Collector's forms all work.
#[test]
fn values_of_the_environment_are_typed_by_their_key() {
    let config = read(&to_agent(
        "endpoint: \"${env:HOST}:4${env:NONE:-317}\", connections: \"${env:N}\", timeout: \"${env:WAIT}\", \
         headers: {X-Token: \"${env:TOKEN}\", b: \"a$$b\"}, compression: \"${env:NONE:-zstd}\", max_request_size: 512KiB, \
         retry_on_failure: {max_elapsed_time: 1m30s}",
    ));
    let agent = &config.destinations[0];
    assert_eq!(agent.endpoint, "agent:4317");
    assert_eq!((agent.connections, agent.timeout), (7, Duration::from_secs(3)));
    let headers = [("x-token".to_owned(), Secret::new("12345")), ("b".to_owned(), Secret::new("a$b"))];
    assert_eq!(agent.headers, headers);
    assert_eq!((agent.compression, agent.max_request_bytes), (Compression::Zstd, 512 << 10));
    assert_eq!(agent.retry.max_elapsed_time, Some(Duration::from_secs(90)));
    let config = read(&to_agent("retry_on_failure: {max_elapsed_time: 0s}"));
    assert_eq!(config.destinations[0].retry.max_elapsed_time, None);
}

/// Chains are named by their id, as a number or as a text; anchors and aliases work as in any YAML.
#[test]
fn chains_are_named_by_id() {
    let config = read(
        "connectors: {gateway: {chains: {1: &c {name: Ethereum, block_time: 12s}, \"10\": , 8453: *c}}}\n\
         service: {pipelines: {traces: {receivers: [otlp], exporters: [gateway]}, \
         metrics/gateway: {receivers: [gateway], exporters: [prometheus]}}}",
    );
    let chains = config.gateway.expect("measured").chains;
    let id = |raw| ChainId::new(raw).expect("in range");
    assert_eq!(chains[&id(1)].name.as_deref(), Some("Ethereum"));
    assert_eq!(chains[&id(1)].block_time, Some(Duration::from_secs(12)));
    assert_eq!(chains[&id(10)].name, None);
    assert_eq!(chains[&id(8453)], chains[&id(1)]);
}

/// A destination that metrics/gateway names gets what is measured, and that alone unless other pipelines name it too.
#[test]
fn measurements_go_where_their_pipeline_says() {
    let config = read(
        "connectors: {gateway: {series_idle: 1h, exemplars: 0, health: {error_ratio: 0.1, no_success: 5m}, instance: false, span_metrics: true}}\n\
         exporters: {otlp/a: {endpoint: \"a:1\", temporality: cumulative}}\n\
         service: {pipelines: {traces: {receivers: [otlp], exporters: [gateway]}, \
         metrics/gateway: {receivers: [gateway], exporters: [otlp/a, otlp/datadog]}}}",
    );
    let [a, datadog] = &config.destinations[..] else { panic!("two: {config:?}") };
    assert_eq!((a.temporality, datadog.temporality), (Temporality::Cumulative, Temporality::Delta));
    for each in [a, datadog] {
        let signals = each.signals;
        assert_eq!((signals.traces, signals.metrics, signals.logs, signals.derived), (false, false, false, true));
    }
    let gateway = config.gateway.as_ref().expect("measured");
    assert_eq!((gateway.series_idle, gateway.exemplars, gateway.instance), (Duration::from_secs(3600), 0, false));
    assert!(gateway.span_metrics);
    assert_eq!((gateway.health.error_ratio, gateway.health.quorum_failure_ratio), (0.1, 0.02));
    assert_eq!(gateway.health.no_success, Duration::from_secs(300));
    assert_eq!(parse(&print(&config), "printed", &|_| None), Ok(config.clone()));
}

/// Where requests are kept and when a destination is left alone; relative paths stay as they are.
#[test]
fn keeping_is_configured() {
    let exporter = "circuit_breaker: {consecutive_failures: 3, open_min: 100ms, open_max: 5s}, spill_after: 0s";
    let storage = "extensions: {file_storage: {directory: \"./my store\", max_size_mib: 2, min_free_mib: 0}}\n";
    let config = read(&format!("{storage}{}", to_agent(exporter)));
    let kept = config.file_storage.as_ref().expect("kept");
    assert_eq!(kept.directory.to_str(), Some("./my store"));
    assert_eq!((kept.max_bytes, kept.min_free_bytes), (2 << 20, 0));
    let agent = &config.destinations[0];
    let breaker = agent.breaker;
    assert_eq!((breaker.consecutive_failures, agent.spill_after), (3, Duration::ZERO));
    assert_eq!((breaker.open_min, breaker.open_max), (Duration::from_millis(100), Duration::from_secs(5)));
    assert_eq!(parse(&print(&config), "printed", &|_| None), Ok(config.clone()));
}

/// Printing masks every header, and `Debug` does.
#[test]
fn headers_are_masked() {
    let config = read(&to_agent("headers: {authorization: Bearer hunter2}"));
    let printed = print(&config);
    assert!(printed.contains("authorization: \"****\""), "{printed}");
    assert!(!printed.contains("hunter2") && !format!("{config:?}").contains("hunter2"));
}

/// Texts that YAML or the substitution could take for something else.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{1,20}",
        "\\PC{1,12}",
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("1e3".to_owned()),
        Just("0x1F".to_owned()),
        Just("${env:HOST}".to_owned()),
        Just("- a".to_owned()),
        Just("a: b #c".to_owned()),
    ]
    .prop_filter("no control characters, not blank", |text| {
        !text.trim().is_empty() && !text.chars().any(char::is_control)
    })
}

proptest! {
    /// What `--print` shows loads again to an equal configuration, whatever the texts, times and sizes are.
    #[test]
    fn printing_round_trips(
        keys in prop::collection::hash_set(text(), 1..5),
        spans in prop::collection::hash_set("[a-z :#$\"'\\\\{}]{1,9}", 0..4),
        name in prop::option::of(text()),
        id in 1..=ChainId::MAX,
        nanos in 1_000_000_u64..3_600_000_000_000,
        bytes in 1_usize << 10..64 << 20,
        (jaeger, measured, tagged, stored) in any::<(bool, bool, bool, bool)>(),
        directory in text(),
        elapsed in 0_u64..1_000_000_000_000,
    ) {
        let mut text = "service: {pipelines: {traces: {receivers: [otlp], ".to_owned();
        text.push_str(if tagged { "processors: [chain], " } else { "" });
        text.push_str(if measured { "exporters: [otlp/datadog, gateway" } else { "exporters: [otlp/datadog" });
        text.push_str(if jaeger { ", otlp/jaeger]}" } else { "]}" });
        text.push_str(if measured { ", metrics/gateway: {receivers: [gateway], exporters: [prometheus]}}}\n" } else { "}}\n" });
        text.push_str("exporters:\n  otlp/datadog: {headers: {a: \"****\"}}\n");
        text.push_str(if jaeger { "  otlp/jaeger: {endpoint: \"[::1]:1\", role: debug, compression: gzip}\n" } else { "" });
        let mut config = read(&text);
        config.shutdown_timeout = Duration::from_nanos(nanos);
        config.file_storage = config.file_storage.filter(|_| stored);
        if let Some(storage) = &mut config.file_storage {
            storage.directory = directory.into();
            storage.max_bytes = (bytes as u64 % (1 << 20) + 1) << 20;
        }
        let destination = &mut config.destinations[0];
        destination.timeout = Duration::from_nanos(nanos);
        destination.spill_after = Duration::from_nanos(nanos);
        destination.breaker.open_max = Duration::from_secs(60).max(Duration::from_nanos(nanos));
        destination.max_request_bytes = bytes;
        destination.retry.max_elapsed_time = (elapsed > 0).then(|| Duration::from_nanos(elapsed));
        if let Some(chain) = &mut config.chain {
            chain.keys = keys.into_iter().collect();
            chain.inherit.ttl = Duration::from_nanos(nanos);
        }
        if let Some(gateway) = &mut config.gateway {
            let spans: Vec<String> = spans.into_iter().filter(|name| !name.trim().is_empty()).collect();
            gateway.operations.insert("task".to_owned(), spans);
            let info = chainspan::config::ChainInfo { name, block_time: Some(Duration::from_nanos(nanos)) };
            gateway.chains.insert(ChainId::new(id).expect("in range"), info);
        }
        let printed = print(&config);
        let again = parse(&printed, "printed", &|_| None);
        prop_assert_eq!(again, Ok(config), "{}", printed);
    }
}
