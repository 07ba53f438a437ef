//! A directory for the store of one demo, removed with it.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Removed with all its contents when dropped.
pub(super) struct TempDir(PathBuf);

impl TempDir {
    /// A new directory, which only its owner can read, in the system's temporary directory.
    pub(super) fn new() -> anyhow::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        let path =
            std::env::temp_dir().join(format!("chainspan-demo-{}-{:08x}", std::process::id(), fastrand::u32(..)));
        // Fails if the name is taken.
        let made = std::fs::DirBuilder::new().mode(0o700).create(&path);
        made.with_context(|| {
            format!("cannot make {} for the demo's store; set TMPDIR to another directory", path.display())
        })?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // What cannot be removed is left to whoever cleans the temporary directory.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
