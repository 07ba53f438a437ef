//! Puts a new file in the place of a damaged one, so that a process that dies at any moment loses nothing.
//!
//! 1. What can be read is copied into `spill.db.new`. The damaged file stays where it is until that is done.
//! 2. `spill.db.new` is renamed to `spill.db.ready`: from here on the new file is the store, whatever happens.
//! 3. The damaged file and its log are renamed to `spill.db.damaged-SECONDS`, and `spill.db.ready` to `spill.db`.
//!
//! Whoever opens the store finishes step 3 if it was interrupted. An interrupted step 1 starts over.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::clock::unix_nano;
use crate::store::error::StoreError;
use crate::store::file_error::FileError;
use crate::store::{directory, file, salvage};

const NEW: &str = ".new";
const READY: &str = ".ready";

/// Replaces the file in `directory` and returns where the damaged one is now. No connection to it may be open: SQLite finds the
/// log of a file by its name.
pub(super) fn replace(directory: &Path, why: &str) -> Result<Vec<PathBuf>, StoreError> {
    tracing::error!(
        directory = %directory.display(),
        reason = why,
        "the store is damaged: what can be read of it is copied into a new file, and the damaged one is kept"
    );
    let outcome = copy(directory).and_then(|report| Ok((report, finish(directory)?)));
    let (report, aside) = outcome.map_err(|error| {
        StoreError(format!(
            "the damaged store in {} cannot be replaced: {error}; the disk must be writable and have room for a copy",
            directory.display()
        ))
    })?;
    tracing::error!(
        set_aside = ?aside,
        sound = report.sound,
        damaged = report.damaged,
        "the damaged file was set aside, and damaged records became dead letters (corrupt_record); delete the file when you \
         no longer need it"
    );
    Ok(aside)
}

/// Finishes a replacement that was interrupted. Returns what it set aside.
pub(super) fn finish(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let file = file::path(directory);
    let ready = file::companion(&file, READY);
    if !ready.exists() {
        return Ok(Vec::new());
    }
    let aside = set_aside(&file)?;
    fs::rename(&ready, &file)?;
    directory::sync_directory(directory)?;
    Ok(aside)
}

fn copy(directory: &Path) -> Result<salvage::SalvageReport, FileError> {
    let file = file::path(directory);
    let new = file::companion(&file, NEW);
    for suffix in ["", "-wal", "-shm"] {
        remove(&file::companion(&new, suffix))?;
    }
    directory::private_file(&new)?;
    let connection = file::connect(&new)?;
    file::create(&connection)?;
    let report = salvage::take_over(&file, &connection)?;
    // Its log must be empty before its name changes.
    file::empty_log(&connection)?;
    connection.close().map_err(|(_, error)| error)?;
    File::open(&new)?.sync_all()?;
    fs::rename(&new, file::companion(&file, READY))?;
    directory::sync_directory(directory)?;
    Ok(report)
}

/// Renames the file and its log.
fn set_aside(file: &Path) -> io::Result<Vec<PathBuf>> {
    let log = file::companion(file, "-wal");
    let seconds = unix_nano() / 1_000_000_000;
    let mut aside = file::companion(file, &format!(".damaged-{seconds}"));
    let mut number = 1;
    while aside.exists() || file::companion(&aside, "-wal").exists() {
        number += 1;
        aside = file::companion(file, &format!(".damaged-{seconds}-{number}"));
    }
    let mut moved = Vec::new();
    for (from, to) in [(log, file::companion(&aside, "-wal")), (file.to_owned(), aside)] {
        if from.exists() {
            fs::rename(&from, &to)?;
            moved.push(to);
        }
    }
    // The index of the old log would be taken for that of the new one.
    remove(&file::companion(file, "-shm"))?;
    Ok(moved)
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
