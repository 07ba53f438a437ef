//! A directory for the store of one demo, gone with it.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Removed when dropped, with everything in it.
pub(super) struct Workplace(PathBuf);

impl Workplace {
    /// A new directory among the system's temporary ones.
    pub(super) fn new() -> anyhow::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        let path =
            std::env::temp_dir().join(format!("chainspan-demo-{}-{:08x}", std::process::id(), fastrand::u32(..)));
        // Fails where somebody else has put something.
        let made = std::fs::DirBuilder::new().mode(0o700).create(&path);
        made.with_context(|| format!("cannot make {} for the demo's store", path.display()))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        // What is left of it is in the system's temporary directory.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
