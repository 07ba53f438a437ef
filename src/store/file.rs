//! The SQLite file: its connections, its tables and its version.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::store::file_error::FileError;

/// The name of the file.
pub(super) const FILE: &str = "spill.db";
/// Bytes of a page. `salvage` relies on it: a file of another page size is not ours. With requests of 225 KB, pages of 4 KiB
/// are as fast to write, take twice as long to salvage, and make the file 2 % smaller.
pub(super) const PAGE_SIZE: u32 = 16 << 10;
/// The version of the format that is written here.
pub(super) const VERSION: i64 = 1;

/// The tables of [`VERSION`].
///
/// Rows of `records` and `discarded` are frames (`frame`); `discarded` has one per destination. `meta.version` repeats
/// `user_version`, so that one wrong byte in the header is not taken for a newer version. `meta.last_id` is the highest id whose
/// row was deleted.
const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS records (id INTEGER PRIMARY KEY, head BLOB NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS discarded (id INTEGER PRIMARY KEY, head BLOB NOT NULL, body BLOB NOT NULL);
";

/// The write-ahead log is moved into the file when it is this long.
const MAX_LOG_BYTES: u64 = 16 << 20;
/// Nobody else writes, so the writer only ever waits for readers, when it empties the log; that can wait for another time.
const WRITER_BUSY_TIMEOUT: Duration = Duration::from_millis(20);

/// Memory for pages. The writer's holds a transaction of puts, so that each page goes to the log once. A larger transaction, such
/// as replaying everything, spills there on the way.
const WRITER_CACHE_KIB: i64 = 24 << 10;
const READER_CACHE_KIB: i64 = 2 << 10;
/// Pages that go back to the file system in one transaction.
const SHRINK_BATCH: u32 = 256;

/// Which version a file is of.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FileVersion {
    /// None yet: it is empty.
    Fresh,
    /// [`VERSION`].
    Current,
    /// A newer version than this program knows.
    Newer(i64),
}

pub(super) fn path(directory: &Path) -> PathBuf {
    directory.join(FILE)
}

/// The name of a file that belongs to `file`, such as its write-ahead log (`-wal`).
pub(super) fn companion(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A connection that may write.
pub(super) fn connect(file: &Path) -> Result<Connection, FileError> {
    let connection = open(file)?;
    // The first two only affect an empty file.
    connection.pragma_update(None, "page_size", PAGE_SIZE)?;
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(FileError::Io(format!(
            "the file system cannot hold a write-ahead log (journal mode {mode}); use a local disk"
        )));
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    // See `shorten_log`.
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    connection.busy_timeout(WRITER_BUSY_TIMEOUT)?;
    // Zeroes deleted rows where that costs no extra write, so that a salvage finds less that was sent already.
    connection.pragma_update_and_check(None, "secure_delete", "FAST", |_| Ok(()))?;
    Ok(connection)
}

/// Moves the log into the file if it is long, and empties it. (SQLite would write over it from the start instead; then a frame
/// that was cut off when the process was killed would be followed by older ones, and be taken for a damaged one.)
pub(super) fn shorten_log(file: &Path, connection: &Connection) -> Result<(), FileError> {
    let length = std::fs::metadata(companion(file, "-wal")).map_or(0, |log| log.len());
    if length >= MAX_LOG_BYTES { empty_log(connection) } else { Ok(()) }
}

/// Moves the log into the file and empties it. While somebody reads from the log it stays as it is, which is not an error.
pub(super) fn empty_log(connection: &Connection) -> Result<(), FileError> {
    Ok(connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
}

/// Gives some free pages back to the file system, or empties the log when there are none. Whether there is more to do.
pub(super) fn shrink(connection: &Connection) -> Result<bool, FileError> {
    let free: u32 = connection.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    if free > 0 {
        let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({SHRINK_BATCH})"))?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
        return Ok(true);
    }
    empty_log(connection)?;
    Ok(false)
}

/// A connection that only reads.
pub(super) fn connect_reader(file: &Path) -> Result<Connection, FileError> {
    let connection = open(file)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// What all connections have in common.
fn open(file: &Path) -> Result<Connection, FileError> {
    // Never creates the file: `directory::private_file` does, so that it is private from its first moment.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

/// The version of `connection`'s file.
pub(super) fn version(connection: &Connection) -> Result<FileVersion, FileError> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let mut tables = Vec::new();
    connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")?
        .query_map([], |row| {
            tables.push(row.get::<_, String>(0)?);
            Ok(())
        })?
        .collect::<Result<(), _>>()?;
    let has = |name: &str| tables.iter().any(|table| table == name);
    let repeated = match has("meta") {
        true => meta(connection, "version")?,
        false => None,
    };
    let page_size: u32 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
    match (version, repeated) {
        (0, None) if tables.is_empty() => Ok(FileVersion::Fresh),
        (VERSION, Some(VERSION)) if has("records") && has("discarded") && page_size == PAGE_SIZE => {
            Ok(FileVersion::Current)
        }
        (version, None) if version > VERSION => Ok(FileVersion::Newer(version)),
        (version, Some(repeated)) if version > VERSION && repeated == version => Ok(FileVersion::Newer(version)),
        (version, repeated) => {
            Err(FileError::Damaged(format!("its version is {version} and {repeated:?}, its tables are {tables:?}")))
        }
    }
}

/// Creates the tables of [`VERSION`] in an empty file.
pub(super) fn create(connection: &Connection) -> Result<(), FileError> {
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE; {SCHEMA} INSERT OR REPLACE INTO meta VALUES ('version', {VERSION}); \
         PRAGMA user_version = {VERSION}; COMMIT;"
    ))?;
    Ok(())
}

pub(super) fn meta(connection: &Connection, name: &str) -> Result<Option<i64>, FileError> {
    let mut statement = connection.prepare("SELECT value FROM meta WHERE name = ?1")?;
    let mut rows = statement.query([name])?;
    Ok(match rows.next()? {
        Some(row) => Some(row.get(0)?),
        None => None,
    })
}
