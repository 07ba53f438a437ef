//! Small libraries that are preloaded into the process under test and stand between it and the kernel.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds `NAME.c` of this folder into `directory`; `None`, and a loud line, where that cannot be done.
pub fn build(name: &str, directory: &Path) -> Option<PathBuf> {
    let library = directory.join(format!("{name}.so"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/torture/{name}.c"));
    let built = Command::new("cc").args(["-O1", "-shared", "-fPIC", "-o"]).arg(&library).arg(source).output();
    match built {
        Ok(output) if output.status.success() && cfg!(target_os = "linux") => Some(library),
        other => {
            eprintln!("NOT CHECKED: {name}.c cannot be built and preloaded here: {other:?}");
            None
        }
    }
}
