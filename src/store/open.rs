//! From a directory to an open file, whatever is in it: nothing, today's file, an older one, a damaged one.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::Connection;

use crate::store::fault::Fault;
use crate::store::file::{self, Found};
use crate::store::scan::{self, Contents};
use crate::store::{StoreError, lock};

/// An open file.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) contents: Contents,
    /// What had to be set aside for it.
    pub(super) set_aside: Vec<PathBuf>,
}

/// Opens the file in `directory`, which this process has taken.
pub(super) fn open(directory: &Path) -> Result<Opened, StoreError> {
    match sound(directory) {
        Ok((connection, contents)) => Ok(Opened { connection, contents, set_aside: Vec::new() }),
        Err(Trouble::Refused(error)) => Err(error),
        Err(Trouble::Damaged(text)) => replace(directory, &text),
    }
}

/// Sets the file in `directory` aside, takes over what can be read of it, and opens the new one. No connection to the old
/// file may be open: SQLite finds the log of a file by its name.
pub(super) fn replace(directory: &Path, why: &str) -> Result<Opened, StoreError> {
    let failed = |error: &dyn std::fmt::Display| {
        StoreError(format!(
            "the damaged store in {} cannot be replaced: {error}; the disk must be writable and have room for a copy",
            directory.display()
        ))
    };
    let aside = set_aside(directory).map_err(|error| failed(&error))?;
    tracing::error!(
        set_aside = %aside.display(),
        reason = why,
        "the store is damaged: the file was set aside and is kept; what can be read of it is taken over into a new one"
    );
    match sound(directory) {
        Ok((connection, contents)) => Ok(Opened { connection, contents, set_aside: vec![aside] }),
        Err(Trouble::Refused(error)) => Err(error),
        Err(Trouble::Damaged(text)) => Err(failed(&text)),
    }
}

enum Trouble {
    Damaged(String),
    Refused(StoreError),
}

fn sound(directory: &Path) -> Result<(Connection, Contents), Trouble> {
    let refused = |fault: &dyn std::fmt::Display| {
        Trouble::Refused(StoreError(format!("the store {} cannot be opened: {fault}", file::path(directory).display())))
    };
    let sort = |fault: Fault| match fault {
        Fault::Damaged(text) => Trouble::Damaged(text),
        fault => refused(&fault),
    };
    let path = file::path(directory);
    lock::private_file(&path).map_err(|error| refused(&error))?;
    // The version first: a file of the future is not touched, not even its journal mode.
    let connection = match version(&path).map_err(sort)? {
        Found::Newer(version) => {
            return Err(refused(&format!(
                "it is of version {version}, and this chainspan knows versions up to {}; start the newer chainspan again, \
                 or set file_storage.directory to a new directory",
                file::VERSION
            )));
        }
        Found::Fresh => {
            let connection = file::connect(&path).map_err(sort)?;
            file::create(&connection).map_err(sort)?;
            lock::sync_directory(directory).map_err(|error| refused(&error))?;
            connection
        }
        Found::Older(_) => return Err(refused(&"an older version")),
        Found::Current => {
            let connection = file::connect(&path).map_err(sort)?;
            scan::check(&connection).map_err(sort)?;
            connection
        }
    };
    let contents = scan::scan(&connection).map_err(sort)?;
    Ok((connection, contents))
}

fn version(path: &Path) -> Result<Found, Fault> {
    file::found(&file::connect_reader(path)?)
}

/// Gives the file and its log a new name that says when.
fn set_aside(directory: &Path) -> std::io::Result<PathBuf> {
    let file = file::path(directory);
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut aside = file::companion(&file, &format!(".damaged-{seconds}"));
    let mut number = 1;
    while aside.exists() || file::companion(&aside, "-wal").exists() {
        number += 1;
        aside = file::companion(&file, &format!(".damaged-{seconds}-{number}"));
    }
    // The log first: without it the file is still found at the next start, and is as damaged as before.
    let log = file::companion(&file, "-wal");
    if log.exists() {
        fs::rename(&log, file::companion(&aside, "-wal"))?;
    }
    fs::rename(&file, &aside)?;
    match fs::remove_file(file::companion(&file, "-shm")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    lock::sync_directory(directory)?;
    Ok(aside)
}
