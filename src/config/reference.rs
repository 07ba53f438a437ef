//! `docs/configuration.md`: the tables in it are made from the declarations, and a test holds the page to them.
//!
//! `CHAINSPAN_WRITE_DOCS=1 cargo test --lib config::reference` writes them anew.

use std::fmt::Write as _;
use std::path::Path;

use super::contents::contents;
use super::form::{Key, Shape, one_line};
use super::output::Yaml;

const WRITE: &str = "CHAINSPAN_WRITE_DOCS";
const BEGIN: &str = "<!-- generated: keys -->\n";
const END: &str = "<!-- end -->";

/// The tables, one per component.
fn tables() -> String {
    let mut out = String::new();
    for Key { name, about, shape, .. } in contents() {
        match shape {
            Shape::Section(components) if about.is_empty() => {
                for Key { name: component, about, shape, .. } in components {
                    table(&mut out, &format!("{name}.{component}"), about, &shape);
                }
            }
            _ => table(&mut out, name, about, &shape),
        }
    }
    out
}

fn table(out: &mut String, path: &str, about: &str, shape: &Shape) {
    write!(out, "\n## `{path}`\n\n{}\n\n| key | value | default | effect |\n|---|---|---|---|\n", one_line(about))
        .expect("writing to a String cannot fail");
    rows(out, "", shape);
}

fn rows(out: &mut String, path: &str, shape: &Shape) {
    let joined = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match shape {
        Shape::Section(keys) => {
            for key in keys {
                row(out, &joined(key.name), key);
            }
        }
        Shape::Named { placeholder, each, .. } => rows(out, &joined(placeholder), each),
        _ => {}
    }
}

fn row(out: &mut String, path: &str, key: &Key) {
    let default = match &key.default {
        Yaml::Map(entries) if !entries.is_empty() => "".to_owned(),
        Yaml::Absent => "".to_owned(),
        default => format!("`{}`", default.inline()),
    };
    let cells = [key.shape.words(), default, one_line(key.about)].map(|cell| cell.replace('|', "\\|"));
    writeln!(out, "| `{path}` | {} |", cells.join(" | ")).expect("writing to a String cannot fail");
    rows(out, path, &key.shape);
}

/// A key that is added, renamed or changed in the code is so on the page.
#[test]
fn the_page_shows_the_keys_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let page = std::fs::read_to_string(&path).expect("the page exists");
    let (before, rest) = page.split_once(BEGIN).expect("the page has a generated part");
    let (_, after) = rest.split_once(END).expect("the generated part ends");
    let expected = format!("{before}{BEGIN}{}\n{END}{after}", tables());
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, &expected).expect("the page can be written");
        return;
    }
    let stale = format!("docs/configuration.md is out of date: {WRITE}=1 cargo test --lib config::reference");
    for (ours, theirs) in page.lines().zip(expected.lines()) {
        assert_eq!(ours, theirs, "{stale}");
    }
    assert_eq!(page, expected, "{stale}");
}
