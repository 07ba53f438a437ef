//! `chainspan run` as a supervisor sees it: it starts, it is told to stop, it ends with the right code.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStderr, Command, Stdio};

const CONFIG: &str = "
receivers: {otlp: {protocols: {grpc: {endpoint: \"127.0.0.1:0\"}}}}
exporters: {otlp/datadog: {endpoint: \"127.0.0.1:1\"}, prometheus: {endpoint: \"127.0.0.1:0\"}}
extensions: {health_check: {endpoint: \"127.0.0.1:0\"}}
service:
  extensions: [health_check]
  shutdown_timeout: 5s
  telemetry: {logs: {encoding: json}}
  pipelines:
    traces: {receivers: [otlp], processors: [chain], exporters: [gateway, otlp/datadog]}
    metrics/gateway: {receivers: [gateway], exporters: [prometheus]}
";

/// A running process and the rest of its log.
fn start(dir: &std::path::Path) -> (Child, BufReader<ChildStderr>) {
    std::fs::write(dir.join("collector-config.yaml"), CONFIG).expect("written");
    let mut child = Command::new(env!("CARGO_BIN_EXE_chainspan"))
        .current_dir(dir)
        .arg("run")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut log = BufReader::new(child.stderr.take().expect("piped"));
    let mut seen = String::new();
    while !seen.contains("\"running\"") {
        let before = seen.len();
        log.read_line(&mut seen).expect("a log");
        assert!(seen.len() > before, "ended before it ran: {seen}");
    }
    assert!(seen.contains("collector-config.yaml"), "the log says which file: {seen}");
    (child, log)
}

/// SIGTERM and SIGINT drain: exit code 0, logs on stderr, nothing on stdout.
#[test]
fn a_signal_drains() {
    for signal in ["-TERM", "-INT"] {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (child, mut log) = start(dir.path());
        let told = Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill runs");
        assert!(told.success());
        let mut rest = String::new();
        log.read_to_string(&mut rest).expect("a log");
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(0), "{signal}: {rest}");
        assert!(rest.contains("draining") && rest.contains("drained"), "{rest}");
        assert!(output.stdout.is_empty());
    }
}
