//! The program as a user meets it: arguments in; stdout, stderr and the exit code out.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

/// Runs chainspan in `dir` without variables of ours.
fn chainspan(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chainspan"));
    command.current_dir(dir).args(args).env_remove("CHAINSPAN_TEST_TOKEN");
    command.output().expect("the binary runs")
}

/// An empty directory, or one with `text` as its configuration.
fn directory(text: Option<&str>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    if let Some(text) = text {
        std::fs::write(dir.path().join("collector-config.yaml"), text).expect("written");
    }
    dir
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

const TO_AGENT: &str = "service: {pipelines: {traces: {receivers: [otlp], exporters: [otlp/datadog]}}}\n";

/// A valid file: a verdict and a summary on stdout, nothing on stderr, exit code 0.
#[test]
fn check_says_valid() {
    let dir = directory(Some(TO_AGENT));
    for args in [&["check"][..], &["check", "--config", "collector-config.yaml"]] {
        let output = chainspan(dir.path(), args);
        assert_eq!(output.status.code(), Some(0));
        let out = text(&output.stdout);
        assert!(out.starts_with("collector-config.yaml: valid\n"), "{out}");
        assert!(out.contains("otlp -> otlp/datadog") && out.contains("127.0.0.1:4317 (required)"), "{out}");
        assert_eq!(text(&output.stderr), "");
    }
}

/// The way to a configuration of one's own that `run` names when it cannot use the shipped directory.
#[test]
fn the_shipped_configuration_can_be_printed_into_a_file_and_changed() {
    let dir = directory(None);
    let printed = chainspan(dir.path(), &["check", "--print"]);
    assert_eq!(printed.status.code(), Some(0), "{}", text(&printed.stderr));
    let mine = text(&printed.stdout).replace("/var/lib/chainspan", "elsewhere");
    std::fs::write(dir.path().join("chainspan.yaml"), mine).expect("written");
    let output = chainspan(dir.path(), &["check", "--config", "chainspan.yaml"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("in elsewhere\n"), "{}", text(&output.stdout));
}

/// Every mistake on stderr with its line, nothing on stdout, exit code 2: for `check` and for `run`.
#[test]
fn mistakes_exit_2() {
    let wrong = format!("exporters:\n  otlp/datadog:\n    timeot: 5s\n    connections: 0\nextension: {{}}\n{TO_AGENT}");
    let dir = directory(Some(&wrong));
    for command in ["check", "run"] {
        let output = chainspan(dir.path(), &[command]);
        assert_eq!(output.status.code(), Some(2), "{command}");
        assert_eq!(text(&output.stdout), "");
        assert_eq!(
            text(&output.stderr),
            "collector-config.yaml:3:5: exporters.otlp/datadog.timeot: unknown key; did you mean \"timeout\"?\n\
             collector-config.yaml:4:18: exporters.otlp/datadog.connections: \"0\": must be 1 to 64\n\
             collector-config.yaml:5:1: extension: unknown key; did you mean \"extensions\"?\n"
        );
    }
}

/// Files that cannot be a configuration are named, exit code 2.
#[test]
fn unreadable_files_exit_2() {
    let dir = directory(None);
    std::fs::write(dir.path().join("binary"), b"a: b\nc: \xff\n").expect("written");
    std::fs::write(dir.path().join("huge"), vec![b' '; (1 << 20) + 1]).expect("written");
    std::fs::create_dir(dir.path().join("folder")).expect("created");
    for (name, part) in [
        ("missing", "missing: cannot be read: No such file"),
        ("binary", "binary: is not UTF-8 text, first on line 2"),
        ("huge", "huge: is larger than 1 MiB"),
        ("folder", "folder: is a directory"),
    ] {
        let output = chainspan(dir.path(), &["check", "--config", name]);
        assert_eq!(output.status.code(), Some(2), "{name}");
        assert!(text(&output.stderr).starts_with(part), "{}", text(&output.stderr));
    }
}

/// Without a file anywhere the shipped one holds, and the verdict says so.
#[test]
fn without_a_file_the_shipped_one_holds() {
    if Path::new("/etc/chainspan/collector-config.yaml").exists() {
        eprintln!("SKIPPED: this machine has a configuration in /etc/chainspan");
        return;
    }
    let output = chainspan(directory(None).path(), &["check"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).starts_with("collector-config.yaml (as shipped): valid\n"));
}

/// `--print` gives the whole effective configuration, which loads again; secrets appear nowhere, not even when they are
/// missing or the file is wrong.
#[test]
fn print_masks_and_loads_again() {
    let file = format!(
        "exporters: {{otlp/datadog: {{headers: {{authorization: \"Bearer ${{env:CHAINSPAN_TEST_TOKEN}}\", x: hunter3}}}}}}\n\
         {TO_AGENT}"
    );
    let dir = directory(Some(&file));
    let mut command = Command::new(env!("CARGO_BIN_EXE_chainspan"));
    command.current_dir(dir.path()).args(["check", "--print"]).env("CHAINSPAN_TEST_TOKEN", "hunter2");
    let output = command.output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let printed = text(&output.stdout);
    assert!(printed.contains("authorization: \"****\"") && printed.contains("max_request_size: 1MiB"), "{printed}");
    assert!(!printed.contains("hunter") && !text(&output.stderr).contains("hunter"));
    let again = chainspan(directory(Some(printed)).path(), &["check", "--print"]);
    assert_eq!(text(&again.stdout), printed);

    let output = chainspan(dir.path(), &["check"]);
    assert_eq!(output.status.code(), Some(2));
    let error = text(&output.stderr);
    assert!(error.contains("the environment variable CHAINSPAN_TEST_TOKEN is not set"), "{error}");
    assert!(!error.contains("hunter"), "{error}");
}

/// Help fits a screen of 24 lines and 80 columns and ends with an example; the arguments of no command do not surprise.
#[test]
fn help_fits_a_screen() {
    let dir = directory(None);
    for args in [
        &["--help"][..],
        &["run", "--help"],
        &["check", "--help"],
        &["demo", "--help"],
        &["load", "--help"],
        &["health", "--help"],
        &["metrics", "--help"],
        &["dlq", "--help"],
        &["dlq", "list", "--help"],
        &["dlq", "show", "--help"],
        &["dlq", "stats", "--help"],
        &["dlq", "replay", "--help"],
        &["dlq", "purge", "--help"],
    ] {
        let output = chainspan(dir.path(), args);
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        let help = text(&output.stdout);
        assert!(help.lines().count() <= 24 && help.lines().all(|line| line.chars().count() <= 80), "{args:?}:\n{help}");
        let example = help.trim_end().lines().last().unwrap_or_default();
        assert!(help.contains("\nExample") && example.starts_with("  chainspan "), "{args:?}:\n{help}");
    }
}

/// `--version` prints version, commit and target on one line.
#[test]
fn version_names_the_build() {
    let output = chainspan(directory(None).path(), &["--version"]);
    let line = text(&output.stdout);
    assert!(line.starts_with(concat!("chainspan ", env!("CARGO_PKG_VERSION"), " (commit ")), "{line}");
    assert!(line.contains(std::env::consts::ARCH) && line.ends_with(")\n") && line.lines().count() == 1, "{line}");
}

/// Wrong arguments exit 2 with a usage line on stderr.
#[test]
fn usage_errors_exit_2() {
    let dir = directory(None);
    for args in [
        &[][..],
        &["walk"],
        &["check", "--confg", "a"],
        &["health", "--endpoint", "127.0.0.1:1"],
        &["health", "--endpoint", "https://a:1"],
        &["health", "--endpoint", "http://a:1/health"],
    ] {
        let output = chainspan(dir.path(), args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert_eq!(text(&output.stdout), "", "{args:?}");
        assert!(!output.stderr.is_empty(), "{args:?}");
    }
}

/// Answers one request with `answer` and hands back the request line and the address it came to.
fn answer_once(answer: String) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut request = Vec::new();
        let mut buffer = [0; 1024];
        while !request.ends_with(b"\r\n\r\n") {
            let read = stream.read(&mut buffer).expect("a request");
            request.extend_from_slice(&buffer[..read]);
        }
        stream.write_all(answer.as_bytes()).expect("answered");
        text(&request).lines().next().unwrap_or_default().to_owned()
    });
    (url, thread)
}

fn http(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/health+json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The verdict of `/health` and `/health/ready` becomes a line, the failing checks and an exit code.
#[test]
fn health_reports_the_verdict() {
    let dir = directory(None);
    let checks = r#"{"status":"warn","checks":{"receiver":[{"status":"pass"}],
        "destination:otlp/datadog":[{"status":"warn","output":"connection\nrefused"}]}}"#;
    let full = r#"{"status":"fail","checks":{"spill":{"status":"fail","output":"the disk is full"}}}"#;
    for (answer, code, expected) in [
        (
            http("200 OK", r#"{"status":"pass","checks":{"receiver":[{"status":"pass"}]}}"#),
            0,
            "pass: 1 of 1 checks pass\n",
        ),
        (http("200 OK", checks), 0, "warn: 1 of 2 checks pass\n  destination:otlp/datadog: warn: connection refused\n"),
        (http("503 Service Unavailable", full), 1, "fail: 0 of 1 checks pass\n  spill: fail: the disk is full\n"),
        (http("200 OK", full), 1, "fail: 0 of 1 checks pass\n  spill: fail: the disk is full\n"),
        (http("503 Service Unavailable", r#"{"status":"pass"}"#), 1, "fail: 0 of 0 checks pass\n"),
    ] {
        let (url, asked) = answer_once(answer);
        let output = chainspan(dir.path(), &["health", "--ready", "--endpoint", &url]);
        assert_eq!(asked.join().expect("asked"), "GET /health/ready HTTP/1.1");
        assert_eq!((text(&output.stdout), output.status.code()), (expected, Some(code)));
    }
    let (url, asked) = answer_once(http("200 OK", r#"{"status":"pass"}"#));
    assert_eq!(chainspan(dir.path(), &["health", "--endpoint", &url]).status.code(), Some(0));
    assert_eq!(asked.join().expect("asked"), "GET /health HTTP/1.1");
}

/// Something else on the port, nothing on it, or something that never answers: not healthy.
#[test]
fn health_is_not_fooled() {
    let dir = directory(None);
    for answer in [
        http("200 OK", "hello"),
        http("200 OK", "{}"),
        http("404 Not Found", "no"),
        "SSH-2.0-OpenSSH\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{".to_owned(),
    ] {
        let (url, asked) = answer_once(answer.clone());
        let output = chainspan(dir.path(), &["health", "--endpoint", &url]);
        asked.join().expect("asked");
        assert_eq!(output.status.code(), Some(1), "{answer}");
        assert!(text(&output.stdout).starts_with("fail: "), "{answer}: {}", text(&output.stdout));
    }
    let free = chainspan_testing::port::free();
    let output = chainspan(dir.path(), &["health", "--endpoint", &format!("http://{free}")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("cannot reach"), "{}", text(&output.stdout));

    // The system accepts connections for a listener that never looks at them: a black hole.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", silent.local_addr().expect("bound"));
    let output = chainspan(dir.path(), &["health", "--endpoint", &url]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("no answer from"), "{}", text(&output.stdout));
}
