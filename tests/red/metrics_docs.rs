//! The tables of `docs/metrics.md` are those of the code, and `chainspan metrics` prints them.
//!
//! `CHAINSPAN_WRITE_DOCS=1 cargo test --test red metrics_docs` writes them anew.

use std::fs;
use std::path::Path;
use std::process::Command;

use chainspan::red::{CALL_METRICS, Metric};
use chainspan::telemetry::OWN_METRICS;

const WRITE: &str = "CHAINSPAN_WRITE_DOCS";

/// `page` with the generated part `name` replaced by `table`.
fn replaced(page: &str, name: &str, table: &str) -> String {
    let begin = format!("<!-- generated: {name} -->\n");
    let (before, rest) = page.split_once(&begin).expect("the page has each generated part");
    let (_, after) = rest.split_once("<!-- end -->").expect("each generated part ends");
    format!("{before}{begin}{table}<!-- end -->{after}")
}

/// A metric that is added, renamed or changed in the code is so on the page.
#[test]
fn the_page_shows_the_tables_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let page = fs::read_to_string(&path).expect("the page exists");
    let tables = printed(&["--format", "markdown"]);
    let tables: Vec<&str> = tables.trim_end().split("\n\n").collect();
    assert_eq!(tables.len(), 3, "one table of each kind");
    let generated = ["derived", "calls", "own"].into_iter().zip(tables);
    let expected = generated.fold(page.clone(), |page, (name, table)| replaced(&page, name, &format!("{table}\n")));
    if std::env::var_os(WRITE).is_some() {
        fs::write(&path, &expected).expect("the page can be written");
        return;
    }
    for (ours, theirs) in page.lines().zip(expected.lines()) {
        assert_eq!(ours, theirs, "docs/metrics.md is out of date: {WRITE}=1 cargo test --test red metrics_docs");
    }
    assert_eq!(page, expected, "docs/metrics.md is out of date: {WRITE}=1 cargo test --test red metrics_docs");
}

fn printed(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_chainspan")).arg("metrics").args(arguments).output().expect("runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// The command prints every metric, one a line.
#[test]
fn the_command_prints_every_metric() {
    let table = printed(&[]);
    for metric in Metric::all() {
        let name = format!("avs.gateway.{} ", metric.entry().name);
        assert_eq!(table.lines().filter(|line| line.starts_with(&name)).count(), 1, "{name}");
    }
    for metric in CALL_METRICS {
        assert_eq!(table.lines().filter(|line| line.starts_with(metric.name)).count(), 1, "{}", metric.name);
    }
    for own in OWN_METRICS {
        let name = format!("{} ", own.name);
        assert_eq!(table.lines().filter(|line| line.starts_with(&name)).count(), 1, "{name}");
    }
}
