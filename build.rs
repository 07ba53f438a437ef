//! Tells the program which commit and target it is built from, for `--version`.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-env=CHAINSPAN_TARGET={}", std::env::var("TARGET").unwrap_or_else(|_| "unknown".to_owned()));
    // Only the crate's own repository: a package that was unpacked inside another one is not of that one's commit.
    let commit = if Path::new(".git").exists() { git(&["rev-parse", "--short", "HEAD"]) } else { None };
    println!("cargo::rustc-env=CHAINSPAN_COMMIT={}", commit.as_deref().unwrap_or("unknown"));
    if commit.is_some() {
        // The log of HEAD grows with every commit and checkout; HEAD alone would miss the former. A path that does not
        // exist would run this again on every build.
        for name in ["HEAD", "logs/HEAD"] {
            if let Some(path) = git(&["rev-parse", "--git-path", name]).filter(|path| Path::new(path).exists()) {
                println!("cargo::rerun-if-changed={path}");
            }
        }
    }
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
