//! The files of a crate, their modules, and which file takes what from which.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::graph::Arrow;
use super::paths::{self, Named};

/// A module: where it stands from the root, such as `["delivery", "client"]`.
type Module = Vec<String>;

pub(crate) struct House {
    modules: BTreeMap<Module, (String, Named)>,
    pub(crate) arrows: BTreeSet<Arrow>,
}

/// The folder, or the file without its ending, that stands directly in `src/`.
pub(crate) fn room(file: &str) -> &str {
    file.split('/').next().unwrap_or(file).trim_end_matches(".rs")
}

impl House {
    /// Reads all modules that `lib.rs` in `src` reaches, but those of tests.
    pub(crate) fn read(src: &Path) -> Self {
        let mut house = Self { modules: BTreeMap::new(), arrows: BTreeSet::new() };
        house.module(src, Vec::new(), "lib.rs".to_owned());
        house.arrows =
            house.modules.iter().flat_map(|(module, (file, named))| house.taken(module, file, named)).collect();
        house.arrows.retain(|arrow| arrow.from != arrow.to);
        house
    }

    fn module(&mut self, src: &Path, module: Module, file: String) {
        let text = fs::read_to_string(src.join(&file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let named = paths::read(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        let children = named.children.clone();
        self.modules.insert(module.clone(), (file, named));
        for child in children {
            let mut place = module.clone();
            place.push(child);
            let path = place.join("/").replace("r#", "");
            let file = [format!("{path}.rs"), format!("{path}/mod.rs")];
            let file =
                file.into_iter().find(|file| src.join(file).exists()).unwrap_or_else(|| panic!("no file for {path}"));
            self.module(src, place, file);
        }
    }

    /// The rooms, whatever is in them.
    pub(crate) fn rooms(&self) -> Vec<String> {
        self.modules.keys().filter(|module| module.len() == 1).map(|module| module[0].clone()).collect()
    }

    fn taken(&self, module: &Module, file: &str, named: &Named) -> Vec<Arrow> {
        let arrow = |(to, name): (String, String)| Arrow { from: file.to_owned(), to, name };
        let mut arrows = Vec::new();
        for used in named.uses.iter().filter(|used| !used.re_export) {
            let target = self.resolve(module, &used.path, 0);
            // A module is no use by itself: what is taken out of it stands in the code as a path.
            arrows.extend(target.filter(|(_, name)| !name.is_empty() || used.alias == "*").map(arrow));
        }
        for path in &named.paths {
            arrows.extend(self.resolve(module, path, 0).filter(|(_, name)| !name.is_empty()).map(arrow));
        }
        arrows
    }

    /// The file that defines what `path` names when it stands in `from`, and the name there; the name is empty for a module.
    fn resolve(&self, from: &Module, path: &[String], hops: usize) -> Option<(String, String)> {
        let mut module = from.clone();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => module.clear(),
            "self" => {}
            "super" => {
                module.pop()?;
            }
            first => {
                let (_, named) = self.modules.get(from)?;
                let used = named.uses.iter().find(|used| used.alias == first && used.path.len() + hops < 16);
                if let Some(used) = used.filter(|used| used.path != path && hops < 8) {
                    let whole: Vec<_> = used.path.iter().chain(&path[1..]).cloned().collect();
                    return self.resolve(from, &whole, hops + 1);
                }
                if !named.children.iter().any(|child| child == first) {
                    return None;
                }
                module.push(first.to_owned());
            }
        }
        rest = &rest[1..];
        while let Some(("super", after)) = rest.split_first().map(|(first, after)| (first.as_str(), after)) {
            module.pop()?;
            rest = after;
        }
        while let Some((first, after)) = rest.split_first() {
            let mut deeper = module.clone();
            deeper.push(first.clone());
            if !self.modules.contains_key(&deeper) {
                break;
            }
            (module, rest) = (deeper, after);
        }
        let (file, named) = self.modules.get(&module)?;
        let Some(name) = rest.first() else { return Some((file.clone(), String::new())) };
        if named.defined.contains(name) || hops > 8 {
            return Some((file.clone(), name.clone()));
        }
        let handed_on = named.uses.iter().find(|used| used.alias == *name && (module != *from || used.path != path));
        if let Some(used) = handed_on {
            let whole: Vec<_> = used.path.iter().chain(&rest[1..]).cloned().collect();
            return self.resolve(&module, &whole, hops + 1);
        }
        for all in named.uses.iter().filter(|used| used.alias == "*" && used.re_export) {
            let whole: Vec<_> = all.path.iter().chain(rest).cloned().collect();
            let found = self.resolve(&module, &whole, hops + 1);
            if found.is_some() {
                return found;
            }
        }
        Some((file.clone(), name.clone()))
    }

    /// The arrows that make a circle, a line each.
    pub(crate) fn explain(&self, circle: &BTreeSet<String>) -> String {
        let inside = self.arrows.iter().filter(|arrow| circle.contains(&arrow.from) && circle.contains(&arrow.to));
        let lines: Vec<_> =
            inside.map(|arrow| format!("  {} takes {} from {}", arrow.from, arrow.name, arrow.to)).collect();
        format!("between {}:\n{}", circle.iter().cloned().collect::<Vec<_>>().join(", "), lines.join("\n"))
    }
}
