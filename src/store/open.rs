//! From a directory to an open file, whatever is in it: nothing, a sound file, one of a newer version, a damaged one.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::store::fault::Fault;
use crate::store::file::{self, Found};
use crate::store::scan::{self, Contents};
use crate::store::{StoreError, lock, replace, salvage};

/// An open file.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) contents: Contents,
    /// What had to be set aside for it.
    pub(super) set_aside: Vec<PathBuf>,
}

/// Why a file was not opened.
enum Trouble {
    /// It has to be replaced.
    Damaged(String),
    /// It stays as it is.
    Refused(StoreError),
}

/// Opens the file in `directory`, which this process has taken.
pub(super) fn open(directory: &Path) -> Result<Opened, StoreError> {
    let refused = |error: std::io::Error| refused(directory, &error);
    let mut set_aside = replace::finish(directory).map_err(refused)?;
    let (connection, contents) = match sound(directory) {
        Ok(opened) => opened,
        Err(Trouble::Refused(error)) => return Err(error),
        Err(Trouble::Damaged(why)) => return replaced(directory, &why),
    };
    set_aside.retain(|path| path.exists());
    Ok(Opened { connection, contents, set_aside })
}

/// Replaces the file in `directory`, to which no connection may be open, and opens the new one.
pub(super) fn replaced(directory: &Path, why: &str) -> Result<Opened, StoreError> {
    let set_aside = replace::replace(directory, why)?;
    match sound(directory) {
        Ok((connection, contents)) => Ok(Opened { connection, contents, set_aside }),
        Err(Trouble::Refused(error)) => Err(error),
        // The disk gives back what it likes: nothing could be kept on it.
        Err(Trouble::Damaged(why)) => {
            Err(refused(directory, &format!("the new file is damaged too: {why}; check the disk")))
        }
    }
}

fn sound(directory: &Path) -> Result<(Connection, Contents), Trouble> {
    let sort = |fault: Fault| match fault {
        Fault::Damaged(text) => Trouble::Damaged(text),
        fault => Trouble::Refused(refused(directory, &fault)),
    };
    let path = file::path(directory);
    lock::private_file(&path).map_err(|error| sort(error.into()))?;
    if salvage::log_is_damaged(&path).map_err(|error| sort(error.into()))? {
        return Err(Trouble::Damaged("its log is not what was written".to_owned()));
    }
    // The version first: a file of the future is not touched, not even its journal mode.
    let found = look(&path).map_err(sort)?;
    if let Found::Newer(version) = found {
        let known = file::VERSION;
        let why = format!(
            "it is of version {version}, and this chainspan knows versions up to {known}; start the newer chainspan again, \
             or set file_storage.directory to a new directory"
        );
        return Err(Trouble::Refused(refused(directory, &why)));
    }
    let opened = prepare(&path, &found).and_then(|connection| {
        let contents = scan::scan(&connection)?;
        Ok((connection, contents))
    });
    let opened = opened.map_err(sort)?;
    lock::sync_directory(directory).map_err(|error| sort(error.into()))?;
    Ok(opened)
}

fn look(path: &Path) -> Result<Found, Fault> {
    let connection = file::connect_reader(path)?;
    let found = file::found(&connection)?;
    Ok(found)
}

fn prepare(path: &Path, found: &Found) -> Result<Connection, Fault> {
    let connection = file::connect(path)?;
    match found {
        Found::Fresh => file::create(&connection)?,
        Found::Current | Found::Newer(_) => scan::check(&connection)?,
    }
    Ok(connection)
}

fn refused(directory: &Path, why: &dyn std::fmt::Display) -> StoreError {
    StoreError(format!("the store {} cannot be opened: {why}", file::path(directory).display()))
}
