//! Circles in a graph of imports.

use std::collections::{BTreeMap, BTreeSet};

/// One file takes a name from another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Arrow {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) name: String,
}

/// The sets of files that reach each other. Quadratic, which is quick enough for a few hundred files.
pub(crate) fn circles(arrows: &BTreeSet<Arrow>) -> Vec<BTreeSet<String>> {
    let mut next: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for arrow in arrows {
        next.entry(&arrow.from).or_default().insert(&arrow.to);
    }
    let reach: BTreeMap<&str, BTreeSet<&str>> = next.keys().map(|file| (*file, reached(file, &next))).collect();
    let mut found: Vec<BTreeSet<String>> = Vec::new();
    for (file, seen) in reach.iter().filter(|(file, seen)| seen.contains(*file)) {
        if !found.iter().any(|circle| circle.contains(*file)) {
            let back = seen.iter().filter(|other| reach.get(*other).is_some_and(|reached| reached.contains(file)));
            found.push(back.map(|other| (*other).to_owned()).collect());
        }
    }
    found
}

fn reached<'a>(file: &str, next: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    let mut open = vec![file];
    while let Some(file) = open.pop() {
        for to in next.get(file).into_iter().flatten().copied() {
            if seen.insert(to) {
                open.push(to);
            }
        }
    }
    seen
}
