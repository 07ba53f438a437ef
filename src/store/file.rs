//! The file: how it is set up, what is in it, which version it is of.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::store::fault::Fault;

/// The name of the file.
pub(super) const FILE: &str = "spill.db";
/// The size of its pages. `salvage` relies on it: a file of another page size is not ours. With requests of 225 KB pages of
/// 4 KiB take as many spans per second within the noise, and twice as long to salvage; the file is 2 % smaller.
pub(super) const PAGE_SIZE: u32 = 16 << 10;
/// What this program writes.
pub(super) const VERSION: i64 = 1;

/// The tables of [`VERSION`].
///
/// Rows of `records` and `discarded` are frames (`frame`); in `discarded` there is one per destination.
/// `meta.version` repeats `user_version`, so that one wrong byte in the header is not taken for a file of the future.
/// `meta.last_id` is the highest number that was given away by a row that is gone.
const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS records (id INTEGER PRIMARY KEY, head BLOB NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS discarded (id INTEGER PRIMARY KEY, head BLOB NOT NULL, body BLOB NOT NULL);
";

/// The write-ahead log is put into the file when it is so long.
const LOG_BYTES: u64 = 16 << 20;
/// Nobody else writes, so what the writer waits for are readers, when it empties the log. It need not.
const WRITER_WAITS: Duration = Duration::from_millis(20);

/// Pages in memory. The writer's are enough for a transaction of puts: then each page goes to the log once. One that is larger,
/// such as reviving everything, goes there bit by bit.
const WRITER_CACHE_KIB: i64 = 24 << 10;
const READER_CACHE_KIB: i64 = 2 << 10;

/// What a file turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing is in it yet.
    Fresh,
    /// It is of [`VERSION`].
    Current,
    /// It is of a version that this program does not know.
    Newer(i64),
}

pub(super) fn path(directory: &Path) -> PathBuf {
    directory.join(FILE)
}

/// The file of the write-ahead log that belongs to `file`, or another companion of it.
pub(super) fn companion(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A connection that may write.
pub(super) fn connect(file: &Path) -> Result<Connection, Fault> {
    let connection = open(file)?;
    // The first two only have an effect on a file that is empty.
    connection.pragma_update(None, "page_size", PAGE_SIZE)?;
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(Fault::Disk(format!("the disk does not carry a write-ahead log (journal mode {mode})")));
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    // See `shorten_log`.
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    connection.busy_timeout(WRITER_WAITS)?;
    // Zeroes what is deleted where that costs no write of its own, so that a salvage finds less that was sent already.
    connection.pragma_update_and_check(None, "secure_delete", "FAST", |_| Ok(()))?;
    Ok(connection)
}

/// Puts the log into the file if it is long. Then it is emptied, where SQLite would write over it from the start: so a frame that
/// was being written when the process was killed ends with the log, and is never taken for a damaged one.
pub(super) fn shorten_log(file: &Path, connection: &Connection) -> Result<(), Fault> {
    let length = std::fs::metadata(companion(file, "-wal")).map_or(0, |log| log.len());
    if length >= LOG_BYTES { empty_log(connection) } else { Ok(()) }
}

/// Puts the log into the file. Where somebody reads from it that is not an error, and it stays for this time.
pub(super) fn empty_log(connection: &Connection) -> Result<(), Fault> {
    Ok(connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
}

/// A connection that only reads.
pub(super) fn connect_reader(file: &Path) -> Result<Connection, Fault> {
    let connection = open(file)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// A connection as it comes.
fn open(file: &Path) -> Result<Connection, Fault> {
    // Never creating: the file is made by `lock::private_file`, so that nobody else can read it for a moment.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

/// What `connection`'s file is.
pub(super) fn found(connection: &Connection) -> Result<Found, Fault> {
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
        (0, None) if tables.is_empty() => Ok(Found::Fresh),
        (VERSION, Some(VERSION)) if has("records") && has("discarded") && page_size == PAGE_SIZE => Ok(Found::Current),
        (version, None) if version > VERSION => Ok(Found::Newer(version)),
        (version, Some(repeated)) if version > VERSION && repeated == version => Ok(Found::Newer(version)),
        (version, repeated) => {
            Err(Fault::Damaged(format!("version {version} and {repeated:?} with the tables {tables:?}")))
        }
    }
}

/// Makes the tables of [`VERSION`] in a file that has none.
pub(super) fn create(connection: &Connection) -> Result<(), Fault> {
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE; {SCHEMA} INSERT OR REPLACE INTO meta VALUES ('version', {VERSION}); \
         PRAGMA user_version = {VERSION}; COMMIT;"
    ))?;
    Ok(())
}

pub(super) fn meta(connection: &Connection, name: &str) -> Result<Option<i64>, Fault> {
    let mut statement = connection.prepare("SELECT value FROM meta WHERE name = ?1")?;
    let mut rows = statement.query([name])?;
    Ok(match rows.next()? {
        Some(row) => Some(row.get(0)?),
        None => None,
    })
}
