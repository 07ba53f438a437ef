//! From the file of an older version to one of today's.
//!
//! Version 1 had one table with a column per field, no operations, and forgot what was discarded:
//!
//! ```sql
//! CREATE TABLE spill (id INTEGER PRIMARY KEY, destination TEXT, signal TEXT, spans INTEGER, received INTEGER,
//!     reason TEXT, code TEXT, message TEXT, attempts INTEGER, first INTEGER, last INTEGER, chains TEXT, crc INTEGER, body BLOB)
//! ```
//!
//! `reason` is NULL while it waits, `chains` are separated by commas, `crc` is the CRC32C of the body. Rows move in portions,
//! each in one transaction: a move that is interrupted goes on at the next start, and needs no room for a second copy.

use std::path::Path;

use rusqlite::{Connection, Row, params};

use crate::otlp::Signal;
use crate::store::fault::Fault;
use crate::store::fields;
use crate::store::file::{self, PAGE_SIZE, SCHEMA, VERSION};
use crate::store::frame::{Head, State};
use crate::store::record::{Death, Reason, RecordId};

/// So many bytes move in one transaction.
const PORTION: usize = 16 << 20;

/// Gives a file of version 1 the page size that `salvage` relies on. The file is not in use, and is not yet one with a log.
pub(super) fn prepare(connection: &Connection) -> Result<(), Fault> {
    let page_size: u32 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let vacuum: u32 = connection.pragma_query_value(None, "auto_vacuum", |row| row.get(0))?;
    if page_size == PAGE_SIZE && vacuum == 2 {
        return Ok(());
    }
    connection.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
    connection.pragma_update(None, "page_size", PAGE_SIZE)?;
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.execute_batch("VACUUM")?;
    Ok(())
}

/// Moves everything of a file of version 1 to today's tables.
pub(super) fn from_version_1(file: &Path, connection: &Connection) -> Result<(), Fault> {
    let version = format!("INSERT OR REPLACE INTO meta (name, value) VALUES ('version', {VERSION});");
    connection.execute_batch(&format!("BEGIN IMMEDIATE; {SCHEMA} {version} COMMIT;"))?;
    let mut moved = 0;
    loop {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        let rows = portion(connection).inspect_err(|_| {
            // The first error is the one that says something.
            let _ = connection.execute_batch("ROLLBACK");
        })?;
        if rows == 0 {
            break;
        }
        connection.execute_batch("COMMIT")?;
        moved += rows;
        file::shorten_log(file, connection)?;
    }
    connection.execute_batch(&format!("DROP TABLE spill; PRAGMA user_version = {VERSION}; COMMIT;"))?;
    tracing::info!(records = moved, "the store was of version 1 and is now of version {}", file::VERSION);
    Ok(())
}

/// Moves some rows and says how many.
fn portion(connection: &Connection) -> Result<usize, Fault> {
    let mut bytes = 0;
    let mut moved = Vec::new();
    {
        let mut insert = connection.prepare("INSERT INTO records (id, head, body) VALUES (?1, ?2, ?3)")?;
        let mut select = connection.prepare(
            "SELECT id, destination, signal, spans, received, reason, code, message, attempts, first, last, chains, crc, body
             FROM spill ORDER BY id",
        )?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let (head, body) = read(row)?;
            insert.execute(params![head.id.0, head.encode(), body])?;
            moved.push(head.id.0);
            bytes += body.len();
            if bytes >= PORTION || moved.len() >= 10_000 {
                break;
            }
        }
    }
    let mut delete = connection.prepare("DELETE FROM spill WHERE id = ?1")?;
    for id in &moved {
        delete.execute([id])?;
    }
    Ok(moved.len())
}

fn read(row: &Row<'_>) -> Result<(Head, Vec<u8>), Fault> {
    let text = |column: usize| row.get::<_, Option<String>>(column).map(Option::unwrap_or_default);
    let number = |column: usize| row.get::<_, Option<i64>>(column).map(|number| number.unwrap_or(0));
    let time = |column: usize| number(column).map(|time| u64::try_from(time).unwrap_or(0));
    let body: Vec<u8> = row.get(13)?;
    let signal = text(2)?;
    let signal = Signal::ALL
        .into_iter()
        .find(|known| known.name() == signal)
        .ok_or_else(|| Fault::Damaged(format!("there is no signal {signal:?}")))?;
    let death = match row.get::<_, Option<String>>(5)? {
        None => None,
        Some(reason) => Some(Death {
            reason: Reason::parse(&reason).ok_or_else(|| Fault::Damaged(format!("there is no reason {reason:?}")))?,
            code: text(6)?,
            message: text(7)?,
            attempts: u32::try_from(number(8)?).unwrap_or(u32::MAX),
            first: time(9)?,
            last: time(10)?,
            chains: text(11)?.split(',').filter(|chain| !chain.is_empty()).map(str::to_owned).collect(),
            operations: Vec::new(),
        }),
    };
    let head = Head {
        id: RecordId(row.get(0)?),
        destination: text(1)?,
        signal,
        state: if death.is_some() { State::Dead } else { State::Waiting },
        spans: u32::try_from(number(3)?).unwrap_or(u32::MAX),
        received: time(4)?,
        death,
        body_len: fields::size(body.len()),
        // The one that was written then: a body that is damaged is found as any other.
        body_crc: u32::try_from(number(12)?).unwrap_or(0),
    };
    Ok((head, body))
}
