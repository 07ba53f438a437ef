//! What an error of SQLite means for the store.

use rusqlite::{ErrorCode, ffi};

use crate::store::NotKept;

/// Why a file could not be read or written.
#[derive(Debug)]
pub(super) enum Fault {
    /// The file is not what was written: it has to be set aside.
    Damaged(String),
    /// The disk has no room. It may have some later.
    DiskFull,
    /// The disk, or the system, said no. It may say yes later.
    Disk(String),
}

impl Fault {
    pub(super) fn not_kept(&self) -> NotKept {
        match self {
            Fault::DiskFull => NotKept::DiskFull,
            Fault::Damaged(text) | Fault::Disk(text) => NotKept::Failed(text.clone()),
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::Damaged(text) => write!(out, "the file is damaged: {text}"),
            Fault::DiskFull => out.write_str("the disk is full"),
            Fault::Disk(text) => out.write_str(text),
        }
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        let text = error.to_string();
        let Some(cause) = error.sqlite_error() else {
            // A column that is missing or of another type: the schema is not ours.
            return Fault::Damaged(text);
        };
        match cause.code {
            ErrorCode::DiskFull => Fault::DiskFull,
            // The schema was read and is not ours, a page cannot be read, or the header says what we never write: that it
            // must not be written (we have opened it for writing ourselves).
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown | ErrorCode::ReadOnly => {
                if cause.extended_code == ffi::SQLITE_READONLY_DBMOVED {
                    return Fault::Disk(text);
                }
                Fault::Damaged(text)
            }
            ErrorCode::SystemIoFailure
                if matches!(cause.extended_code, ffi::SQLITE_IOERR_READ | ffi::SQLITE_IOERR_SHORT_READ) =>
            {
                Fault::Damaged(text)
            }
            _ => Fault::Disk(text),
        }
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull => Fault::DiskFull,
            _ => Fault::Disk(error.to_string()),
        }
    }
}
