//! The structure of `src/`, held by reading the code itself: rooms import one way, files form no circles, and the list of
//! rooms is the same in `src/lib.rs`, in `docs/architecture.md` and on the disk.

mod graph;
mod paths;
mod proto;
mod source;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use graph::circles;
use source::House;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn house() -> House {
    House::read(&root().join("src"))
}

fn text(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The names in the first column of the table that follows `heading` in `text`, where a row is `| `name` | …`.
fn first_column(text: &str, heading: &str) -> Vec<String> {
    let from = text.find(heading).unwrap_or_else(|| panic!("the table {heading:?} is gone"));
    let rows = text[from..].lines().skip(2).map(|line| line.trim_start_matches("//!").trim());
    rows.take_while(|line| line.starts_with('|'))
        .map(|line| line.split('|').nth(1).unwrap_or_default().trim().trim_matches(['`', '[', ']']).to_owned())
        .collect()
}

fn rooms_of_lib() -> Vec<String> {
    first_column(&text("src/lib.rs"), "//! | module |")
}

#[test]
fn the_rooms_are_the_same_in_the_library_the_documentation_and_on_the_disk() {
    let listed = rooms_of_lib();
    assert_eq!(
        first_column(&text("docs/architecture.md"), "| room |"),
        listed,
        "docs/architecture.md (left) and src/lib.rs (right) differ"
    );
    let listed: BTreeSet<_> = listed.into_iter().collect();
    // A way in for `fuzz/`, and no room.
    let on_disk: BTreeSet<_> = house().rooms().into_iter().filter(|room| room != "fuzzing").collect();
    assert_eq!(on_disk, listed, "src/ (left) and the table in src/lib.rs (right) differ");
    let program = text("src/main.rs");
    let whole =
        program.lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';')).map(str::to_owned).collect();
    assert_eq!(listed, whole, "the table in src/lib.rs (left) and the modules of src/main.rs (right) differ");
}

#[test]
fn imports_between_rooms_point_from_the_bottom_of_the_table_to_the_top() {
    let order = rooms_of_lib();
    let place = |room: &str| order.iter().position(|listed| listed == room);
    let wrong: Vec<_> = house()
        .arrows
        .iter()
        .filter(|arrow| {
            let (from, to) = (source::room(&arrow.from), source::room(&arrow.to));
            from != to && place(from).zip(place(to)).is_some_and(|(from, to)| from < to)
        })
        .map(|arrow| format!("{} takes {} from {}", arrow.from, arrow.name, arrow.to))
        .collect();
    assert!(wrong.is_empty(), "imports that point down the table in src/lib.rs:\n{}", wrong.join("\n"));
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let house = house();
    let found = circles(&house.arrows);
    let text: Vec<_> = found.iter().map(|circle| house.explain(circle)).collect();
    assert!(found.is_empty(), "{} circles:\n{}", found.len(), text.join("\n"));
}

/// The reader of `use` lines must not pass because it sees nothing.
#[test]
fn the_reader_sees_imports_through_re_exports_braces_and_inline_paths() {
    let house = House::read(&root().join("tests/house/example"));
    let seen: BTreeSet<_> = house.arrows.iter().map(|a| format!("{} -> {}: {}", a.from, a.to, a.name)).collect();
    let expected = [
        "high/mod.rs -> low/deep.rs: Braced",
        "high/mod.rs -> low/deep.rs: Inline",
        "high/mod.rs -> low/deep.rs: Qualified",
        "high/mod.rs -> low/mod.rs: Own",
        "low/deep.rs -> low/mod.rs: Own",
        "low/mod.rs -> low/deep.rs: Used",
    ];
    assert_eq!(seen, expected.into_iter().map(str::to_owned).collect());
    assert_eq!(circles(&house.arrows), [BTreeSet::from(["low/deep.rs".to_owned(), "low/mod.rs".to_owned()])]);
}
