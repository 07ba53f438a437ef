//! The directory of a store: private to its user, and locked by one process.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use crate::store::error::StoreError;

const LOCK_FILE: &str = "spill.lock";
/// The names of all files of a store begin with this.
const PREFIX: &str = "spill.";

/// Proof that this process has the directory. The kernel releases the lock if the process ends in whatever way.
#[derive(Debug)]
pub(super) struct DirectoryLock(File);

impl Drop for DirectoryLock {
    /// Closing the file is not enough: a process that another thread is just starting has a copy of every open file until it
    /// runs its own program, and with it the lock.
    fn drop(&mut self) {
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

/// Locks the directory for this process, creating it where there is none.
pub(super) fn lock(directory: &Path) -> Result<DirectoryLock, StoreError> {
    let failed = |error: io::Error| {
        StoreError(format!(
            "the store directory {} cannot be used: {error}; set extensions.file_storage.directory to a \
             directory that you can write to",
            directory.display()
        ))
    };
    if !directory.exists() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
        if let Some(parent) = directory.parent() {
            // Best effort: some file systems cannot sync a directory.
            let _ = sync_directory(if parent.as_os_str().is_empty() { Path::new(".") } else { parent });
        }
    }
    restrict_access(directory).map_err(failed)?;
    let file = private_file(&directory.join(LOCK_FILE)).map_err(failed)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            return Err(StoreError(format!(
                "the store directory {} is in use by another chainspan: stop that one, or give this one a \
                 file_storage.directory of its own",
                directory.display()
            )));
        }
        Err(error) => return Err(failed(error.into())),
    }
    let lock = DirectoryLock(file);
    sync_directory(directory).map_err(failed)?;
    Ok(lock)
}

/// Opens a file, or creates one, that only its owner can read.
pub(super) fn private_file(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    if mode(&file.metadata()?) & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

/// Makes the names in `directory` survive a power cut.
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Takes the rights of other users away from a directory that holds nothing but the store. One that holds something else is
/// left as it is: it may be `/tmp`. The files of the store are private either way.
fn restrict_access(directory: &Path) -> io::Result<()> {
    let found = fs::metadata(directory)?;
    if !found.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    if mode(&found) & 0o077 == 0 {
        return Ok(());
    }
    let mut only_ours = true;
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        only_ours &= name.as_encoded_bytes().starts_with(PREFIX.as_bytes()) || name == "lost+found";
    }
    let restricted = only_ours && fs::set_permissions(directory, Permissions::from_mode(0o700)).is_ok();
    if !restricted {
        tracing::warn!(
            directory = %directory.display(),
            "other users can look into the store directory, only its files are private: give the store a directory of its \
             own with mode 0700"
        );
    }
    Ok(())
}

fn mode(metadata: &fs::Metadata) -> u32 {
    metadata.permissions().mode()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Scenario: a process that was started from another thread still has a copy of the lock's file when the store is closed.
    /// Guarantee: the directory can be taken again at once, and while it is taken nobody else can.
    #[test]
    fn a_copy_of_the_file_does_not_keep_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        let taken = lock(directory.path()).unwrap();
        assert!(lock(directory.path()).unwrap_err().to_string().contains("in use"));
        let _copy = taken.0.try_clone().unwrap();
        drop(taken);
        lock(directory.path()).unwrap();
    }
}
