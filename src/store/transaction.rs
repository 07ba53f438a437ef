//! One transaction: what it does to the rows, and how that changes the sums.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Statement, params};

use crate::store::fields;
use crate::store::file_error::FileError;
use crate::store::frame::{self, Head, RowState};
use crate::store::record::{Count, Filter, NewRecord, RecordId};
use crate::store::scan::{self, sound_head};
use crate::store::select::select;
use crate::store::usage::{Change, DestinationSums, RowSummary};

/// A transaction that is being built. Dropping it rolls it back.
pub(super) struct Transaction<'c> {
    connection: &'c Connection,
    insert: Statement<'c>,
    /// Changes of the sums, to be applied once it is on the disk.
    changes: Vec<Change>,
    /// Bytes by which it makes the store larger.
    growth: i64,
    /// The highest id that was given away, before this transaction and in it.
    last_id: i64,
    /// The row of `last_id` was deleted: the number has to be stored elsewhere.
    last_is_deleted: bool,
    over: bool,
}

/// The outcome of a transaction.
pub(super) struct Committed {
    pub(super) changes: Vec<Change>,
    pub(super) last_id: i64,
}

impl<'c> Transaction<'c> {
    pub(super) fn begin(connection: &'c Connection, last_id: i64) -> Result<Self, FileError> {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        match connection.prepare("INSERT INTO records (id, head, body) VALUES (?1, ?2, ?3)") {
            Ok(insert) => Ok(Transaction {
                connection,
                insert,
                changes: Vec::new(),
                growth: 0,
                last_id,
                last_is_deleted: false,
                over: false,
            }),
            Err(error) => {
                // The first error says why.
                let _ = connection.execute_batch("ROLLBACK");
                Err(error.into())
            }
        }
    }

    pub(super) fn insert(&mut self, records: &[NewRecord]) -> Result<Vec<RecordId>, FileError> {
        records.iter().map(|record| self.insert_one(record)).collect()
    }

    fn insert_one(&mut self, record: &NewRecord) -> Result<RecordId, FileError> {
        let id = RecordId(self.last_id + 1);
        let head = Head {
            id,
            destination: record.destination.as_ref().to_owned(),
            signal: record.signal,
            state: if record.death.is_some() { RowState::Dead } else { RowState::Waiting },
            spans: record.spans,
            received: record.received,
            death: record.death.clone(),
            body_len: fields::size(record.body.len()),
            body_crc: crc32c::crc32c(&record.body),
        };
        self.insert.execute(params![id.0, head.encode(), record.body.as_ref()])?;
        self.last_id = id.0;
        self.last_is_deleted = false;
        self.note(Change::In(RowSummary::of(&head)));
        Ok(id)
    }

    /// Deletes waiting rows. Ids that are not there are skipped.
    pub(super) fn delete_waiting(&mut self, ids: &[RecordId]) -> Result<(), FileError> {
        let mut find = self.connection.prepare("SELECT head FROM records WHERE id = ?1")?;
        let mut delete = self.connection.prepare("DELETE FROM records WHERE id = ?1")?;
        for &id in ids {
            let Some(bytes) = find.query_row([id.0], |row| row.get::<_, Vec<u8>>(0)).optional()? else { continue };
            let head = sound_head(id, &bytes)?;
            if head.state == RowState::Waiting {
                delete.execute([id.0])?;
                self.note_deletion(&head);
            }
        }
        Ok(())
    }

    /// Makes dead letters wait again.
    pub(super) fn revive(&mut self, filter: &Filter) -> Result<DestinationSums, FileError> {
        let mut heads = Vec::new();
        select(self.connection, filter, |head, bytes| {
            heads.push((head.id, RowSummary::of(&head), frame::with_state(bytes, RowState::Waiting)));
            Ok(())
        })?;
        let mut sums = DestinationSums::default();
        for (id, summary, bytes) in heads {
            // Written over the old head: the body is not touched.
            let mut blob = self.connection.blob_open("main", "records", "head", id.0, false)?;
            blob.write_all_at(&bytes, 0)?;
            blob.close()?;
            sums.add(&summary);
            self.note(Change::In(summary.in_state(RowState::Waiting)));
            self.note(Change::Out(summary));
        }
        Ok(sums)
    }

    /// Deletes dead letters for good, and adds them to the sum of discarded ones.
    pub(super) fn purge(&mut self, filter: &Filter) -> Result<DestinationSums, FileError> {
        let mut heads = Vec::new();
        select(self.connection, filter, |head, _| {
            heads.push(head);
            Ok(())
        })?;
        let mut sums = DestinationSums::default();
        let mut delete = self.connection.prepare("DELETE FROM records WHERE id = ?1")?;
        for head in &heads {
            delete.execute([head.id.0])?;
            sums.add(&RowSummary::of(head));
            self.note_deletion(head);
        }
        discard(self.connection, &sums)?;
        for (destination, count) in sums.iter() {
            self.note(Change::Discarded(destination.clone(), *count));
        }
        Ok(sums)
    }

    /// Makes dead letters of rows whose body is not what was written. Returns the sum of those that were waiting.
    pub(super) fn mark_corrupt(&mut self, damaged: &BTreeMap<RecordId, String>) -> Result<Count, FileError> {
        let mut count = Count::default();
        for (&id, message) in damaged {
            let mut find = self.connection.prepare("SELECT head FROM records WHERE id = ?1")?;
            let Some(bytes) = find.query_row([id.0], |row| row.get::<_, Vec<u8>>(0)).optional()? else { continue };
            let mut head = sound_head(id, &bytes)?;
            let summary = RowSummary::of(&head);
            let was_waiting = head.state == RowState::Waiting;
            head.mark_corrupt(message);
            self.connection.execute("UPDATE records SET head = ?2 WHERE id = ?1", params![id.0, head.encode()])?;
            if was_waiting {
                count.add(summary.count());
            }
            self.note(Change::In(summary.in_state(RowState::Dead)));
            self.note(Change::Out(summary));
        }
        Ok(count)
    }

    /// Bytes that will count against `max_bytes`, if `used` did before.
    pub(super) fn used_after(&self, used: u64) -> u64 {
        used.saturating_add_signed(self.growth)
    }

    /// Writes something that nobody reads.
    pub(super) fn probe(&mut self) -> Result<(), FileError> {
        let sql = "INSERT INTO meta (name, value) VALUES ('probe', 1) ON CONFLICT DO UPDATE SET value = value + 1";
        self.connection.execute(sql, [])?;
        Ok(())
    }

    /// Commits. Afterwards it is on the disk.
    pub(super) fn commit(mut self) -> Result<Committed, FileError> {
        if self.last_is_deleted {
            let sql = "INSERT OR REPLACE INTO meta (name, value) VALUES ('last_id', ?1)";
            self.connection.execute(sql, [self.last_id])?;
        }
        self.connection.execute_batch("COMMIT")?;
        self.over = true;
        Ok(Committed { changes: std::mem::take(&mut self.changes), last_id: self.last_id })
    }

    fn note(&mut self, change: Change) {
        self.growth = self.growth.saturating_add(change.growth());
        self.changes.push(change);
    }

    fn note_deletion(&mut self, head: &Head) {
        self.last_is_deleted |= head.id.0 == self.last_id;
        self.note(Change::Out(RowSummary::of(head)));
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if !self.over && !self.connection.is_autocommit() {
            // If this fails the connection is unusable, and the next transaction will say so.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }
}

/// Adds to the sums of what operators purged.
fn discard(connection: &Connection, sums: &DestinationSums) -> Result<(), FileError> {
    let known = scan::discarded(connection)?;
    let mut last = known.values().map(|(id, _)| id.0).max().unwrap_or(0);
    for (destination, count) in sums.iter() {
        let (id, mut total) = known.get(destination).copied().unwrap_or_else(|| {
            last += 1;
            (RecordId(last), Count::default())
        });
        total.add(*count);
        let (head, body) = Head::of_discarded(id, destination, total);
        let sql = "INSERT OR REPLACE INTO discarded (id, head, body) VALUES (?1, ?2, ?3)";
        connection.execute(sql, params![id.0, head.encode(), body])?;
    }
    Ok(())
}
