//! A disk that is soon full.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// A file system of 8 MiB of its own.
#[derive(Debug)]
pub struct Tmpfs(TempDir);

impl Tmpfs {
    /// `None`, and a loud line, where it may not be mounted.
    pub fn mount() -> Option<Self> {
        let directory = TempDir::with_prefix("chainspan-tmpfs-").expect("a directory");
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(directory.path()).output();
        match mount {
            Ok(output) if output.status.success() => Some(Self(directory)),
            other => {
                eprintln!("NOT CHECKED: a full disk; no tmpfs can be mounted here, which takes root: {other:?}");
                None
            }
        }
    }

    /// Where a store may be.
    pub fn directory(&self) -> PathBuf {
        self.0.path().join("store")
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}
