//! Opens the file in a directory, whatever is there: nothing, a sound file, one of a newer version, a damaged one.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::store::error::StoreError;
use crate::store::file::{self, FileVersion};
use crate::store::file_error::FileError;
use crate::store::scan::{self, Contents};
use crate::store::{directory, replacement, salvage};

/// An open file and what is in it.
#[derive(Debug)]
pub(super) struct OpenedFile {
    pub(super) connection: Connection,
    pub(super) contents: Contents,
    /// Damaged files that were set aside for it.
    pub(super) set_aside: Vec<PathBuf>,
}

/// Why a file was not opened.
enum NotOpened {
    /// It is damaged and has to be replaced.
    Damaged(String),
    /// It cannot be used, and stays as it is.
    Refused(StoreError),
}

/// Opens the file in `directory`, which this process has locked.
pub(super) fn open(directory: &Path) -> Result<OpenedFile, StoreError> {
    let refused = |error: std::io::Error| refused(directory, &error);
    let mut set_aside = replacement::finish(directory).map_err(refused)?;
    let (connection, contents) = match open_sound(directory) {
        Ok(opened) => opened,
        Err(NotOpened::Refused(error)) => return Err(error),
        Err(NotOpened::Damaged(why)) => return replace(directory, &why),
    };
    set_aside.retain(|path| path.exists());
    Ok(OpenedFile { connection, contents, set_aside })
}

/// Replaces the file in `directory` and opens the new one. No connection to the old one may be open.
pub(super) fn replace(directory: &Path, why: &str) -> Result<OpenedFile, StoreError> {
    let set_aside = replacement::replace(directory, why)?;
    match open_sound(directory) {
        Ok((connection, contents)) => Ok(OpenedFile { connection, contents, set_aside }),
        Err(NotOpened::Refused(error)) => Err(error),
        // The disk does not return what is written to it: it cannot hold a store.
        Err(NotOpened::Damaged(why)) => {
            Err(refused(directory, &format!("the new file is damaged too: {why}; check the disk")))
        }
    }
}

fn open_sound(directory: &Path) -> Result<(Connection, Contents), NotOpened> {
    let classify = |error: FileError| match error {
        FileError::Damaged(text) => NotOpened::Damaged(text),
        error => NotOpened::Refused(refused(directory, &error)),
    };
    let path = file::path(directory);
    directory::private_file(&path).map_err(|error| classify(error.into()))?;
    if salvage::log_is_damaged(&path).map_err(|error| classify(error.into()))? {
        return Err(NotOpened::Damaged("its write-ahead log is not what was written".to_owned()));
    }
    // The version first: a file of a newer version is not touched, not even its journal mode.
    let version = read_version(&path).map_err(classify)?;
    if let FileVersion::Newer(version) = version {
        let known = file::VERSION;
        let why = format!(
            "it is of version {version}, and this chainspan knows versions up to {known}; start the newer chainspan again, \
             or set file_storage.directory to a new directory"
        );
        return Err(NotOpened::Refused(refused(directory, &why)));
    }
    let opened = prepare(&path, &version).and_then(|connection| {
        let contents = scan::scan(&connection)?;
        Ok((connection, contents))
    });
    let opened = opened.map_err(classify)?;
    directory::sync_directory(directory).map_err(|error| classify(error.into()))?;
    Ok(opened)
}

fn read_version(path: &Path) -> Result<FileVersion, FileError> {
    let connection = file::connect_reader(path)?;
    file::version(&connection)
}

fn prepare(path: &Path, version: &FileVersion) -> Result<Connection, FileError> {
    let connection = file::connect(path)?;
    match version {
        FileVersion::Fresh => file::create(&connection)?,
        FileVersion::Current | FileVersion::Newer(_) => scan::check(&connection)?,
    }
    Ok(connection)
}

fn refused(directory: &Path, why: &dyn std::fmt::Display) -> StoreError {
    StoreError(format!("the store {} cannot be opened: {why}", file::path(directory).display()))
}
