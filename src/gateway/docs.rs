//! The tables of `docs/span-convention.md` are those of the code.
//!
//! `CHAINSPAN_WRITE_DOCS=1 cargo test --lib gateway::docs` writes them anew.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::outcome::{LABELS, ROWS};
use super::{Operation, Outcome, OutcomeClass, QuorumReason, Text, TxClass, TxReason, WebhookStatus};
use crate::chain::DEFAULT_KEYS;

const WRITE: &str = "CHAINSPAN_WRITE_DOCS";

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

fn texts(texts: &[Text]) -> String {
    list(texts.iter().map(|text| match text {
        Text::Part(text) => code(text),
        Text::Word(text) => format!("`{text}` as a word of its own"),
        Text::Code(code) => format!("JSON-RPC `{code}`"),
        Text::Wrapper(text) => format!("(`{text}`)"),
    }))
}

/// The span kinds that a gateway usually gives an operation.
fn usual_kind(operation: Operation) -> &'static str {
    match operation {
        Operation::Task => "SERVER / INTERNAL",
        Operation::TaskBroadcast => "PRODUCER",
        Operation::BlsAggregation => "INTERNAL",
        Operation::TxSubmission => "CLIENT / INTERNAL",
        Operation::WebhookDelivery => "INTERNAL / CLIENT",
    }
}

fn operations() -> String {
    let mut table = "| `avs.operation` | span names that mean it | usual kind |\n|---|---|---|\n".to_owned();
    for operation in Operation::ALL {
        let names = list(operation.span_names().iter().map(|name| code(name)));
        writeln!(table, "| `{}` | {names} | {} |", operation.label(), usual_kind(operation))
            .expect("a string takes it");
    }
    table
}

fn outcomes() -> String {
    let mut table = "| operation | success | failure | neither |\n|---|---|---|---|\n".to_owned();
    let labels = |outcomes: &[Outcome]| list(outcomes.iter().map(|outcome| code(LABELS[*outcome as usize].1)));
    for (operation, success, failure, neither) in ROWS {
        let [success, failure, neither] = [success, failure, neither].map(labels);
        writeln!(table, "| `{}` | {success} | {failure} | {neither} |", operation.label()).expect("a string takes it");
    }
    table
}

fn quorum() -> String {
    let mut table = "| reason | class | texts |\n|---|---|---|\n".to_owned();
    for reason in QuorumReason::ALL {
        let (label, class) = (reason.label(), reason.class().label());
        writeln!(table, "| `{label}` | {class} | {} |", texts(reason.texts())).expect("a string takes it");
    }
    table
}

fn transactions() -> String {
    let mut table = "| reason | counts as | texts |\n|---|---|---|\n".to_owned();
    for reason in TxReason::ALL {
        let class = match reason.class() {
            TxClass::Failure => "failure",
            TxClass::Duplicate => "success (`duplicate`)",
        };
        writeln!(table, "| `{}` | {class} | {} |", reason.label(), texts(reason.texts())).expect("a string takes it");
    }
    table
}

fn webhooks() -> String {
    let mut table = "| status class | counts as | texts |\n|---|---|---|\n".to_owned();
    for status in WebhookStatus::ALL {
        let class = status.class().map_or("what the status says", OutcomeClass::label);
        writeln!(table, "| `{}` | {class} | {} |", status.label(), texts(status.texts())).expect("a string takes it");
    }
    table
}

/// `page` with the generated part `name` replaced by `table`.
fn replaced(page: &str, name: &str, table: &str) -> String {
    let begin = format!("<!-- generated: {name} -->\n");
    let (before, rest) = page.split_once(&begin).expect("the page has each generated part");
    let (_, after) = rest.split_once("<!-- end -->").expect("each generated part ends");
    format!("{before}{begin}{table}<!-- end -->{after}")
}

/// A reason, outcome or span name that is added to the code is on the page.
#[test]
fn the_page_shows_the_tables_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/span-convention.md");
    let page = fs::read_to_string(&path).expect("the page exists");
    let parts = [
        ("operations", operations()),
        ("outcomes", outcomes()),
        ("quorum", quorum()),
        ("transactions", transactions()),
        ("webhooks", webhooks()),
    ];
    let expected = parts.iter().fold(page.clone(), |page, (name, table)| replaced(&page, name, table));
    if std::env::var_os(WRITE).is_some() {
        fs::write(&path, &expected).expect("the page can be written");
        return;
    }
    for (ours, theirs) in page.lines().zip(expected.lines()) {
        assert_eq!(ours, theirs, "docs/span-convention.md is out of date: {WRITE}=1 cargo test --lib gateway::docs");
    }
    assert_eq!(page, expected, "docs/span-convention.md is out of date: {WRITE}=1 cargo test --lib gateway::docs");
}

/// The keys that are read for the chain stand on the page in their order.
#[test]
fn the_page_shows_the_chain_keys_in_order() {
    let page = include_str!("../../docs/span-convention.md");
    assert!(page.contains(&list(DEFAULT_KEYS.iter().map(|key| code(key)))));
}

/// Each operation has a snippet, and the snippet sets the attribute that decides.
#[test]
fn each_operation_has_a_snippet() {
    let page = include_str!("../../docs/span-convention.md");
    for operation in Operation::ALL {
        let label = operation.label();
        assert!(page.contains(&format!("### `{label}`\n\n```rust")), "{label}");
        assert!(page.contains(&format!("avs.operation = \"{label}\"")), "{label}");
    }
}
