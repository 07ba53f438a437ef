//! Why the file could not be read or written, and what an error of SQLite means for the store.

use rusqlite::{ErrorCode, ffi};

use crate::store::error::NotKept;

/// Why a file could not be read or written.
#[derive(Debug)]
pub(super) enum FileError {
    /// It is not what was written: it has to be set aside.
    Damaged(String),
    /// The disk is full. That may change.
    DiskFull,
    /// The disk or the system reported an error. It may work again later.
    Io(String),
}

impl FileError {
    pub(super) fn not_kept(&self) -> NotKept {
        match self {
            FileError::DiskFull => NotKept::DiskFull,
            FileError::Damaged(text) | FileError::Io(text) => NotKept::Failed(text.clone()),
        }
    }
}

impl std::fmt::Display for FileError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FileError::Damaged(text) => write!(out, "the file is damaged: {text}"),
            FileError::DiskFull => out.write_str("the disk is full"),
            FileError::Io(text) => out.write_str(text),
        }
    }
}

impl From<rusqlite::Error> for FileError {
    fn from(error: rusqlite::Error) -> Self {
        let text = error.to_string();
        let Some(cause) = error.sqlite_error() else {
            // A column is missing or of another type: the schema is not ours.
            return FileError::Damaged(text);
        };
        match cause.code {
            ErrorCode::DiskFull => FileError::DiskFull,
            // The schema is not ours, a page is not what it should be, or the header forbids writing, which ours never does.
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown | ErrorCode::ReadOnly => {
                if cause.extended_code == ffi::SQLITE_READONLY_DBMOVED {
                    return FileError::Io(text);
                }
                FileError::Damaged(text)
            }
            ErrorCode::SystemIoFailure
                if matches!(cause.extended_code, ffi::SQLITE_IOERR_READ | ffi::SQLITE_IOERR_SHORT_READ) =>
            {
                FileError::Damaged(text)
            }
            _ => FileError::Io(text),
        }
    }
}

impl From<std::io::Error> for FileError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull => FileError::DiskFull,
            _ => FileError::Io(error.to_string()),
        }
    }
}
