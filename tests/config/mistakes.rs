//! Wrong configurations, and exactly what is said of each: the line, the key and the fix.

use chainspan::config::parse;

/// A configuration without mistakes, into which each test writes its own.
const GOOD: &str = "\
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: 127.0.0.1:0
processors:
  chain: {}
connectors:
  gateway: {}
exporters:
  otlp/datadog:
    endpoint: 127.0.0.1:4317
  prometheus:
    endpoint: 127.0.0.1:0
extensions:
  health_check:
    endpoint: 127.0.0.1:0
service:
  extensions: [health_check]
  pipelines:
    traces: {receivers: [otlp], processors: [chain], exporters: [gateway, otlp/datadog]}
    metrics/gateway: {receivers: [gateway], exporters: [prometheus]}
    metrics: {receivers: [otlp], exporters: [otlp/datadog]}
";

fn env(name: &str) -> Option<String> {
    match name {
        "SECRET" => Some("hunter2".to_owned()),
        "NUMBER" => Some("7".to_owned()),
        _ => None,
    }
}

/// What is wrong with `text`, one mistake a line, without the name of the file.
fn mistakes(text: &str) -> Vec<String> {
    match parse(text, "f", &env) {
        Ok(_) => Vec::new(),
        Err(errors) => {
            let text = errors.to_string();
            let one_line = |line| str::strip_prefix(line, "f:").unwrap_or_else(|| panic!("one line each: {text}"));
            text.lines().map(|line| one_line(line).to_owned()).collect()
        }
    }
}

/// `GOOD` with `old` (which must be there) replaced by `new`.
fn with(old: &str, new: &str) -> String {
    assert!(GOOD.contains(old), "{old}");
    GOOD.replacen(old, new, 1)
}

/// Checks a table of (what is replaced, by what, the mistakes it makes).
fn table(rows: &[(&str, &str, &[&str])]) {
    assert_eq!(mistakes(GOOD), Vec::<String>::new());
    for (old, new, expected) in rows {
        assert_eq!(mistakes(&with(old, new)), *expected, "{new}");
    }
}

/// Unknown keys at every level name the nearest key there is.
#[test]
fn unknown_keys_suggest_the_nearest_name() {
    table(&[
        (
            "    endpoint: 127.0.0.1:4317",
            "    endpoint: 127.0.0.1:4317\n    timeot: 5s",
            &["13:5: exporters.otlp/datadog.timeot: unknown key; did you mean \"timeout\"?"],
        ),
        ("chain: {}", "chain: {key: [a]}", &["7:11: processors.chain.key: unknown key; did you mean \"keys\"?"]),
        (
            "gateway: {}",
            "gateway: {max_serie: 5}",
            &["9:13: connectors.gateway.max_serie: unknown key; did you mean \"max_series\"?"],
        ),
        (
            "  otlp:",
            "  memory_limit_mib: 5\n  otlp:",
            &["2:3: receivers.memory_limit_mib: unknown component; the components here are otlp"],
        ),
        ("service:", "exporter: {}\nservice:", &["18:1: exporter: unknown key; did you mean \"exporters\"?"]),
        (
            "    metrics: {",
            "    metric: {",
            &["23:5: service.pipelines.metric: unknown pipeline; did you mean \"metrics\"?"],
        ),
        (
            "[otlp], processors",
            "[otlp], procesors: [], processors",
            &["21:33: service.pipelines.traces.procesors: unknown key; did you mean \"processors\"?"],
        ),
        (
            "  extensions: [",
            "  telemetry: {logs: {levle: info}}\n  extensions: [",
            &["19:22: service.telemetry.logs.levle: unknown key; did you mean \"level\"?"],
        ),
        (
            "chain: {}",
            "chain: {whatever: 1}",
            &["7:11: processors.chain.whatever: unknown key; the keys here are keys, inherit, datadog_hints"],
        ),
    ]);
}

/// Wrong types and values out of range say what is expected.
#[test]
fn values_are_checked() {
    table(&[
        (
            "chain: {}",
            "chain: {datadog_hints: yes}",
            &["7:26: processors.chain.datadog_hints: \"yes\": expected true or false"],
        ),
        (
            "chain: {}",
            "chain: {keys: chain_id}",
            &["7:17: processors.chain.keys: expected a list, for example [a, b]; found a text"],
        ),
        (
            "chain: {}",
            "chain: {keys: [a, 5, a]}",
            &["7:21: processors.chain.keys: expected a text, found a number; put it in quotes"],
        ),
        ("chain: {}", "chain: {keys: [a, a]}", &["7:21: processors.chain.keys: named twice; keep one of them"]),
        ("chain: {}", "chain: {keys: []}", &["7:17: processors.chain.keys: 0 names; give 1 to 32"]),
        ("chain: {}", "chain: [a]", &["7:10: processors.chain: expected keys and values, found a list"]),
        (
            "chain: {}",
            "chain: {inherit: {ttl: 5}}",
            &[
                "7:26: processors.chain.inherit.ttl: \"5\": a duration needs a unit; write for example 100ms, 30s or 1m30s",
            ],
        ),
        (
            "chain: {}",
            "chain: {inherit: {ttl: 2h}}",
            &["7:26: processors.chain.inherit.ttl: \"2h\": must be 1ms to 1h"],
        ),
        (
            "chain: {}",
            "chain: {inherit: {ttl: }}",
            &["7:21: processors.chain.inherit.ttl: no value; give one, or remove the key for its default"],
        ),
        (
            "gateway: {}",
            "gateway: {max_series: 0}",
            &["9:25: connectors.gateway.max_series: \"0\": must be 1 to 1000000"],
        ),
        (
            "gateway: {}",
            "gateway: {max_series: -5}",
            &["9:25: connectors.gateway.max_series: \"-5\": must be 1 to 1000000"],
        ),
        (
            "gateway: {}",
            "gateway: {max_series: 1.5}",
            &["9:25: connectors.gateway.max_series: \"1.5\": expected a whole number from 1 to 1000000"],
        ),
        (
            "gateway: {}",
            "gateway: {max_series: \"5\"}",
            &["9:25: connectors.gateway.max_series: \"5\": expected a whole number, found a text; remove the quotes"],
        ),
        (
            "gateway: {}",
            "gateway: {namespace: a-b}",
            &[
                "9:24: connectors.gateway.namespace: \"a-b\": a namespace is words of letters, digits and \"_\", joined by dots, \
             for example avs.gateway",
            ],
        ),
        (
            "gateway: {}",
            "gateway: {dimensions: [chain.id]}",
            &["9:26: connectors.gateway.dimensions: its label chain_id would exist twice; remove it"],
        ),
        (
            "gateway: {}",
            "gateway: {chains: {1: {}, 0x5: {}, 9223372036854775772: {}}}",
            &[
                "9:29: connectors.gateway.chains.0x5: not a chain id; write it as a decimal number from 1 to 9223372036854775771",
                "9:38: connectors.gateway.chains.9223372036854775772: not a chain id; write it as a decimal number from 1 to \
             9223372036854775771",
            ],
        ),
        (
            "gateway: {}",
            "gateway: {operations: {taks: [a], task: [b], tx_submission: [B]}}",
            &[
                "9:26: connectors.gateway.operations.taks: unknown operation; did you mean \"task\"?",
                "9:64: connectors.gateway.operations.tx_submission: a span name can mean only one operation and task has it; remove it here",
            ],
        ),
        (
            "    endpoint: 127.0.0.1:4317",
            "    endpoint: http://agent:4317/",
            &["12:15: exporters.otlp/datadog.endpoint: \"http://agent:4317/\": write it without a scheme: agent:4317"],
        ),
        (
            "    endpoint: 127.0.0.1:4317",
            "    endpoint: agent:0",
            &[
                "12:15: exporters.otlp/datadog.endpoint: \"agent:0\": the port of a destination is a number from 1 to 65535",
            ],
        ),
        (
            "    endpoint: 127.0.0.1:4317",
            "    compression: gzp",
            &["12:18: exporters.otlp/datadog.compression: \"gzp\": unknown value; did you mean \"gzip\"?"],
        ),
        (
            "    endpoint: 127.0.0.1:4317",
            "    max_request_size: 1MB",
            &[
                "12:23: exporters.otlp/datadog.max_request_size: \"1MB\": sizes are in powers of two here; write KiB, MiB or GiB",
            ],
        ),
        (
            "    endpoint: 127.0.0.1:4317",
            "    retry_on_failure: {initial_interval: 1m}",
            &[
                "12:42: exporters.otlp/datadog.retry_on_failure.initial_interval: max_interval is shorter than initial_interval; raise it",
            ],
        ),
        (
            "        endpoint: 127.0.0.1:0",
            "        endpoint: agent:0",
            &[
                "5:19: receivers.otlp.protocols.grpc.endpoint: \"agent:0\": expected IP:PORT or localhost:PORT to listen on, for \
             example 127.0.0.1:4317",
            ],
        ),
        (
            "    protocols:",
            "    memory_limit_mib: 8\n    protocols:",
            &[
                "3:23: receivers.otlp.memory_limit_mib: a request of 64 MiB (max_recv_msg_size_mib) may be held twice and \
             would never fit into 8 MiB (memory_limit_mib); raise memory_limit_mib to 136",
            ],
        ),
        (
            "        endpoint: 127.0.0.1:0",
            "        max_recv_msg_size_mib: 125",
            &[
                "5:32: receivers.otlp.protocols.grpc.max_recv_msg_size_mib: a request of 125 MiB (max_recv_msg_size_mib) may be \
             held twice and would never fit into 256 MiB (memory_limit_mib); raise memory_limit_mib to 258, or lower \
             max_recv_msg_size_mib to 124",
            ],
        ),
    ]);
}

/// Headers are names and values that gRPC can carry, each once.
#[test]
fn headers_are_checked() {
    table(&[
        (
            "    endpoint: 127.0.0.1:4317",
            "    headers: {a b: c, grpc-timeout: 1s, x-bin: y, A: d, a: e, n: 5}",
            &[
                "12:15: exporters.otlp/datadog.headers.a b: not a header name; use letters, digits, \"-\", \"_\" and \".\"",
                "12:23: exporters.otlp/datadog.headers.grpc-timeout: gRPC sets this header itself; remove it",
                "12:41: exporters.otlp/datadog.headers.x-bin: not a header name; use letters, digits, \"-\", \"_\" and \".\"",
                "12:57: exporters.otlp/datadog.headers.a: named twice, upper and lower case are the same; keep one of them",
                "12:66: exporters.otlp/datadog.headers.n: expected a text, found a number; put it in quotes",
            ],
        ),
        (
            "    endpoint: 127.0.0.1:4317",
            "    retry_on_failure: {enabled: true}\n    sending_queue: {}",
            &[
                "12:24: exporters.otlp/datadog.retry_on_failure.enabled: not needed, chainspan always retries, with full \
                 jitter and doubling pauses; remove it",
                "13:5: exporters.otlp/datadog.sending_queue: not needed, clients wait for delivery or the store instead \
                 of a queue; remove it",
            ],
        ),
    ]);
}

/// Limits of what is measured, and how it is sent.
#[test]
fn what_is_measured_is_checked() {
    table(&[
        (
            "gateway: {}",
            "gateway: {series_idle: 59s, exemplars: 5, health: {error_ratio: 1.5, quorum_failure_ratio: \"0.1\", \
             no_success: 0s}, instance: 1}",
            &[
                "9:26: connectors.gateway.series_idle: \"59s\": must be 1m to 24h",
                "9:42: connectors.gateway.exemplars: \"5\": must be 0 to 4",
                "9:67: connectors.gateway.health.error_ratio: \"1.5\": expected a number from 0 to 1, for example 0.05",
                "9:94: connectors.gateway.health.quorum_failure_ratio: \"0.1\": expected a number from 0 to 1, for \
                 example 0.05",
                "9:113: connectors.gateway.health.no_success: \"0s\": must be 1ms to 1h",
                "9:128: connectors.gateway.instance: \"1\": expected true or false",
            ],
        ),
        (
            "    endpoint: 127.0.0.1:4317",
            "    temporality: deltas",
            &["12:18: exporters.otlp/datadog.temporality: \"deltas\": unknown value; did you mean \"delta\"?"],
        ),
    ]);
}

/// Every metric has one overflow series per chain label, and as many again for those that are told apart: fewer series are
/// refused, exactly one too few too.
#[test]
fn series_are_enough_for_every_chain() {
    let needed = |labels: usize| 2 * chainspan::red::Metric::COUNT * (labels + 2);
    let good =
        |gateway: String| assert_eq!(mistakes(&with("gateway: {}", &gateway)), Vec::<String>::new(), "{gateway}");
    good(format!("gateway: {{max_series: {}}}", needed(64)));
    let with_calls = |labels: usize| 4 * (needed(labels) - 1) / 3 + 1;
    good(format!("gateway: {{span_metrics: true, max_series: {}}}", with_calls(64)));
    good(format!("gateway: {{max_series: {}, max_chains: 3, chains: {{1: {{}}, 10: {{}}}}}}", needed(5)));
    for (gateway, least, named, others, at) in [
        (format!("{{max_series: {}}}", needed(64) - 1), needed(64), 0, 64, "9:25: connectors.gateway.max_series"),
        (
            format!("{{span_metrics: true, max_series: {}}}", with_calls(64) - 1),
            with_calls(64),
            0,
            64,
            "9:45: connectors.gateway.max_series",
        ),
        ("{max_chains: 10000}".to_owned(), needed(10_000), 0, 10_000, "9:25: connectors.gateway.max_chains"),
        (
            format!("{{chains: {{1: {{}}}}, max_chains: 0, max_series: {}}}", needed(1) - 1),
            needed(1),
            1,
            0,
            "9:57: connectors.gateway.max_series",
        ),
    ] {
        let lines = mistakes(&with("gateway: {}", &format!("gateway: {gateway}")));
        let [line] = &lines[..] else { panic!("{gateway}: {lines:?}") };
        assert!(line.starts_with(&format!("{at}: ")), "{line}");
        let chains = format!("too few for {named} named chains and {others} others (max_chains)");
        assert!(
            line.contains(&chains) && line.ends_with(&format!("raise max_series to {least}, or lower max_chains")),
            "{line}"
        );
    }
}

/// Where requests are kept, and when a destination is left alone.
#[test]
fn keeping_is_checked() {
    let extension = "  health_check:\n";
    let named = |keys: &str| format!("  file_storage: {{{keys}}}\n  health_check:\n");
    for (keys, expected) in [
        ("directry: /a", &["16:18: extensions.file_storage.directry: unknown key; did you mean \"directory\"?"][..]),
        (
            "directory: \" \"",
            &[
                "16:29: extensions.file_storage.directory: an empty path; name a directory, for example /var/lib/chainspan",
            ],
        ),
        (
            "directory: 5",
            &["16:29: extensions.file_storage.directory: expected a text, found a number; put it in quotes"],
        ),
        (
            "max_size_mib: 0, min_free_mib: -1",
            &[
                "16:32: extensions.file_storage.max_size_mib: \"0\": must be 1 to 1048576",
                "16:49: extensions.file_storage.min_free_mib: \"-1\": must be 0 to 1048576",
            ],
        ),
        (
            "max_size_mib: 1GiB",
            &["16:32: extensions.file_storage.max_size_mib: \"1GiB\": expected a whole number from 1 to 1048576"],
        ),
        (
            "fsync: true",
            &[
                "16:18: extensions.file_storage.fsync: not needed, every write is synced and the directory is made with mode 0700; remove it",
            ],
        ),
    ] {
        let text = with(extension, &named(keys)).replace("[health_check]", "[health_check, file_storage]");
        assert_eq!(mistakes(&text), expected, "{keys}");
    }
    table(&[
        (
            extension,
            "  file_storage: {}\n  health_check:\n",
            &["16:3: extensions.file_storage: not used; name it in service.extensions, or remove it"],
        ),
        (
            extension,
            "  file_storage/a: {}\n  health_check:\n",
            &["16:3: extensions.file_storage/a: there is only one \"file_storage\"; remove the name after it"],
        ),
        (
            "[health_check]",
            "[health_check, file_storag]",
            &["19:30: service.extensions: \"file_storag\": unknown component; did you mean \"file_storage\"?"],
        ),
        (
            "    endpoint: 127.0.0.1:4317",
            "    circuit_breaker: {consecutive_failures: 0, open_min: 2m, enabled: false}",
            &[
                "12:45: exporters.otlp/datadog.circuit_breaker.consecutive_failures: \"0\": must be 1 to 1000",
                "12:58: exporters.otlp/datadog.circuit_breaker.open_min: open_max is shorter than open_min; raise it",
                "12:62: exporters.otlp/datadog.circuit_breaker.enabled: the circuit breaker cannot be turned off; raise \
             consecutive_failures so that it opens later",
            ],
        ),
        (
            "    endpoint: 127.0.0.1:4317",
            "    spill_after: 61m",
            &["12:18: exporters.otlp/datadog.spill_after: \"61m\": must be 0s to 1h"],
        ),
        (
            "    endpoint: 127.0.0.1:4317",
            "    spill_after: 1s\n    role: debug",
            &["12:5: exporters.otlp/datadog.spill_after: a destination with role: debug is never stored; remove it"],
        ),
    ]);
}

/// What is planned but not there yet is refused by name: nobody believes that it works.
#[test]
fn functions_of_later_versions_are_refused() {
    let grpc = "        endpoint: 127.0.0.1:0\n";
    let datadog = "    endpoint: 127.0.0.1:4317\n";
    for (old, new, path) in [
        (grpc, "        tls: {cert_file: a}\n", "receivers.otlp.protocols.grpc.tls"),
        (grpc, "        auth: {bearer_token: hunter2}\n", "receivers.otlp.protocols.grpc.auth"),
        ("      grpc:\n", "      http: {}\n      grpc:\n", "receivers.otlp.protocols.http"),
        (datadog, "    auth: {authenticator: a}\n", "exporters.otlp/datadog.auth"),
        (datadog, "    tls: {insecure: false}\n", "exporters.otlp/datadog.tls"),
        (datadog, "    tls: {}\n", "exporters.otlp/datadog.tls"),
        (datadog, "    tls: {insecure: true, ca_file: a}\n", "exporters.otlp/datadog.tls.ca_file"),
    ] {
        let lines = mistakes(&with(old, new));
        assert_eq!(lines.len(), 1, "{new}: {lines:?}");
        assert!(
            lines[0].contains(&format!(" {path}: ")) && lines[0].contains("not available in this version"),
            "{lines:?}"
        );
        assert!(!lines[0].contains("hunter2"), "{lines:?}");
    }
}

/// The pipelines are checked: every name is defined and stands where it can work, everything defined is used.
#[test]
fn pipelines_are_held_against_the_components() {
    table(&[
        (
            "processors:\n  chain: {}",
            "processors:\n  batch: {}",
            &["7:3: processors.batch: not needed, chainspan coalesces on the way out; remove it"],
        ),
        (
            "[chain]",
            "[memory_limiter, chain]",
            &["21:46: service.pipelines.traces.processors: \"memory_limiter\": not needed, \
             receivers.otlp.memory_limit_mib bounds the memory; remove it"],
        ),
        (
            "[gateway, otlp/datadog]",
            "[gateway, otlp/datdog]",
            &[
                "21:75: service.pipelines.traces.exporters: \"otlp/datdog\" is not defined under exporters; did you mean \
             \"otlp/datadog\"?",
            ],
        ),
        (
            "[gateway, otlp/datadog]",
            "[gateway, otlp/datadog, gateway]",
            &["21:89: service.pipelines.traces.exporters: \"gateway\" is named twice; keep one of them"],
        ),
        (
            "exporters:\n",
            "exporters:\n  otlp/jaeger: {endpoint: \"j:1\"}\n",
            &["11:3: exporters.otlp/jaeger: not used; name it in a pipeline under service.pipelines, or remove it"],
        ),
        (
            "[health_check]",
            "[]",
            &["16:3: extensions.health_check: not used; name it in service.extensions, or remove it"],
        ),
        (
            "processors: [chain], ",
            "",
            &["7:3: processors.chain: not used; name it in a pipeline under service.pipelines, or remove it"],
        ),
        (
            "[gateway, otlp/datadog]",
            "[otlp/datadog]",
            &[
                "20:3: service.pipelines: \"gateway\" is a receiver of metrics/gateway but not an exporter of traces: there would \
             be nothing to measure; name it in both or in neither",
            ],
        ),
        (
            "    metrics/gateway: {receivers: [gateway], exporters: [prometheus]}\n",
            "",
            &[
                "13:3: exporters.prometheus: not used; name it in a pipeline under service.pipelines, or remove it",
                "20:3: service.pipelines: \"gateway\" is an exporter of traces but not a receiver of metrics/gateway: its \
             measurements would go nowhere; name it in both or in neither",
            ],
        ),
        (
            "metrics: {receivers: [otlp], exporters: [otlp/datadog]}",
            "metrics: {receivers: [otlp]}",
            &[
                "23:5: service.pipelines.metrics: no exporters; name at least one, for example exporters: [otlp/datadog]",
            ],
        ),
        (
            "metrics: {receivers: [otlp], ",
            "metrics: {receivers: [], ",
            &["23:5: service.pipelines.metrics: no receivers; name at least one, for example receivers: [otlp]"],
        ),
        (
            "metrics: {receivers: [otlp], ",
            "metrics: {receivers: [otlp], processors: [chain], ",
            &["23:47: service.pipelines.metrics.processors: \"chain\": works only on traces; remove it here"],
        ),
        (
            "metrics: {receivers: [otlp], exporters: [",
            "metrics: {receivers: [otlp], exporters: [prometheus, ",
            &[
                "23:46: service.pipelines.metrics.exporters: \"prometheus\": prometheus shows what \"gateway\" measures; name it \
             only in metrics/gateway",
            ],
        ),
        (
            "    endpoint: 127.0.0.1:4317",
            "    endpoint: localhost:9\n  otlp: {}",
            &["13:3: exporters.otlp: give the destination a name, for example otlp/datadog"],
        ),
        (
            "  otlp:\n    protocols",
            "  otlp/2: {}\n  otlp:\n    protocols",
            &["2:3: receivers.otlp/2: there is only one \"otlp\"; remove the name after it"],
        ),
    ]);
}

/// Two components cannot share a port, and chainspan cannot be its own destination.
#[test]
fn addresses_that_collide_are_seen() {
    let text = GOOD.replace("127.0.0.1:0", "127.0.0.1:14317").replace("127.0.0.1:4317", "localhost:14317");
    assert_eq!(
        mistakes(&text),
        [
            "11:3: exporters.otlp/datadog.endpoint: this is chainspan's own receiver, the data would go in circles; \
             name the agent's address",
            "13:3: exporters.prometheus.endpoint: receivers.otlp.protocols.grpc listens on port 14317 already; choose \
             another port",
            "16:3: extensions.health_check.endpoint: receivers.otlp.protocols.grpc listens on port 14317 already; choose \
             another port",
        ]
    );
}

/// A file without anything to run says what a pipeline looks like.
#[test]
fn an_empty_file_is_told_what_is_missing() {
    for text in ["", "# nothing\n", "service:\n", "service: {pipelines: {}}\n"] {
        let lines = mistakes(text);
        assert_eq!(lines.len(), 1, "{text:?}: {lines:?}");
        assert!(lines[0].contains("service.pipelines: nothing would run; name at least one pipeline"), "{lines:?}");
    }
}

/// Three mistakes in three rooms of the file: three lines, in the order of the file.
#[test]
fn all_mistakes_are_shown() {
    let text = with("chain: {}", "chain: {datadog_hint: true}\n  batch: {}").replace("[prometheus]", "[promtheus]");
    let lines = mistakes(&text.replace("  prometheus:\n    endpoint: 127.0.0.1:0\n", ""));
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].starts_with("7:11: processors.chain.datadog_hint: "));
    assert!(lines[1].starts_with("8:3: processors.batch: "));
    assert!(lines[2].contains("service.pipelines.metrics/gateway.exporters: \"promtheus\": unknown component"));
}

/// Broken YAML and keys that stand there twice have their line and column.
#[test]
fn yaml_errors_have_a_place() {
    for (text, start) in [
        ("a: [1, 2\nb: c\n", "2:"),
        ("a:\n\t- b\n", "2:2: not valid YAML: "),
        (
            "a: {b: ${env:C}}\n",
            "1:9: not valid YAML: while parsing a flow mapping, did not find expected ',' or '}'; between { } or [ ] a \
             \"${env:NAME}\" needs quotes around it",
        ),
        // For YAML a carriage return alone ends a line, too.
        (
            "b: 1\ra: {b: ${env:C}}\r",
            "2:9: not valid YAML: while parsing a flow mapping, did not find expected ',' or '}'; between",
        ),
        ("service: {}\nservice: {}\n", "2:1: service: named twice, first on line 1; keep one of them"),
        ("a: {b: 1, c: 2, b: 3}\n", "1:17: a.b: named twice, first on line 1; keep one of them"),
        ("a: 1\n---\na: 2\n", "2:1: a second YAML document; keep one configuration in a file"),
        ("? [a]\n: b\n", "1:3: a list or mapping as a key"),
        ("a: !!str b\n", "1:4: a: YAML tags have no meaning here; remove the tag"),
        ("[]\n", "1:1: expected keys and values, found a list"),
    ] {
        let lines = mistakes(text);
        assert!(lines.iter().any(|line| line.starts_with(start)), "{text:?}: {lines:?}");
    }
}

/// Hostile nesting and aliases that multiply are turned away without harm.
#[test]
fn hostile_files_cost_a_message() {
    let deep = "[".repeat(100_000);
    assert!(!mistakes(&deep).is_empty());
    let deep = (0..2_000).map(|depth| format!("{:depth$}a:\n", "")).collect::<String>();
    assert!(mistakes(&deep)[0].contains("nested deeper than 32 levels"));
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let items = vec![format!("*a{}", level - 1); 10].join(", ");
        laughs.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    assert!(mistakes(&laughs)[0].contains("more than 100000 values"));
    let aliases = vec!["*a"; 10_000].join(", ");
    let long = format!("a: &a {}\nb: [{aliases}]\n", "x".repeat(100_000));
    assert!(mistakes(&long)[0].starts_with("2:") && mistakes(&long)[0].contains("more than 4 MiB of text"));
    let key = "k".repeat(257);
    assert_eq!(mistakes(&format!("{key}: [x, x]\n")), ["1:1: a key longer than 256 bytes; keys are names"]);
    let keys: String = (0..5_000).map(|key| format!("k{key}: \n")).collect();
    assert_eq!(mistakes(&keys).len(), 5_001);
}

/// Neither the environment nor a header ever shows up in a mistake.
#[test]
fn secrets_are_not_repeated() {
    let datadog = "    endpoint: 127.0.0.1:4317\n";
    for new in [
        "    endpoint: ${env:SECRET}\n",
        "    endpoint: user:hunter2@agent:4317\n",
        "    endpoint: http://user:hunter2@agent:4317\n",
        "    timeout: ${env:SECRET}\n",
        "    connections: ${env:SECRET}\n",
        "    role: ${env:SECRET}\n",
        "    max_request_size: ${env:SECRET}\n",
        "    headers: hunter2\n",
        "    headers: [hunter2]\n",
        "    headers: {a: [hunter2]}\n",
        "    headers: {a: \"hunter2\\u00fc\"}\n",
        "    headers: {a: hunter2$env}\n",
        "    headers: {a: hunter2${env:NONE}}\n",
        "    heders: {a: hunter2}\n",
        "    bearer_token: hunter2\n",
    ] {
        let lines = mistakes(&with(datadog, new));
        assert!(!lines.is_empty() && !lines.join("\n").contains("hunter2"), "{new}: {lines:?}");
    }
}

proptest::proptest! {
    /// Whatever the file holds, the answer is a configuration or a list of mistakes, never a panic.
    #[test]
    fn any_text_is_answered(text in "([a-z/_]{0,8}[:\\-\\[\\]{},&*!#|>'\"%@`$ \\n\\t0-9]{0,4}){0,60}") {
        let _ = parse(&text, "f", &env);
    }

    /// A valid file with a stretch of it replaced by noise: likewise.
    #[test]
    fn any_damage_is_answered(at in 0_usize..700, cut in 0_usize..60, noise in "[ -~\\n]{0,12}") {
        let at = at.min(GOOD.len());
        let end = (at + cut).min(GOOD.len());
        let _ = parse(&format!("{}{noise}{}", &GOOD[..at], &GOOD[end..]), "f", &env);
    }
}
