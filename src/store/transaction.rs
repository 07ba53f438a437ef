//! What one transaction does to the rows, and what it will mean for the books.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Statement, params};

use crate::store::books::{Brief, Change, Sums};
use crate::store::fault::Fault;
use crate::store::fields;
use crate::store::frame::{self, Head, State};
use crate::store::record::{Count, Filter, NewRecord, RecordId};
use crate::store::scan;
use crate::store::select::select;

/// A transaction that is being built. Dropping it rolls it back.
pub(super) struct Transaction<'c> {
    connection: &'c Connection,
    insert: Statement<'c>,
    /// What the books are to be told when it is on the disk.
    changes: Vec<Change>,
    /// By how much it makes the store larger.
    growth: i64,
    /// The highest id that was given away, before this transaction and in it.
    last_id: i64,
    /// The row of `last_id` is deleted: the number has to be remembered elsewhere.
    last_is_gone: bool,
    over: bool,
}

/// What came of a transaction.
pub(super) struct Committed {
    pub(super) changes: Vec<Change>,
    pub(super) last_id: i64,
}

impl<'c> Transaction<'c> {
    pub(super) fn begin(connection: &'c Connection, last_id: i64) -> Result<Self, Fault> {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        match connection.prepare("INSERT INTO records (id, head, body) VALUES (?1, ?2, ?3)") {
            Ok(insert) => Ok(Transaction {
                connection,
                insert,
                changes: Vec::new(),
                growth: 0,
                last_id,
                last_is_gone: false,
                over: false,
            }),
            Err(error) => {
                // The first error is the one that says something.
                let _ = connection.execute_batch("ROLLBACK");
                Err(error.into())
            }
        }
    }

    pub(super) fn insert(&mut self, records: &[NewRecord]) -> Result<Vec<RecordId>, Fault> {
        records.iter().map(|record| self.insert_one(record)).collect()
    }

    fn insert_one(&mut self, record: &NewRecord) -> Result<RecordId, Fault> {
        let id = RecordId(self.last_id + 1);
        let head = Head {
            id,
            destination: record.destination.as_ref().to_owned(),
            signal: record.signal,
            state: if record.death.is_some() { State::Dead } else { State::Waiting },
            spans: record.spans,
            received: record.received,
            death: record.death.clone(),
            body_len: fields::size(record.body.len()),
            body_crc: crc32c::crc32c(&record.body),
        };
        self.insert.execute(params![id.0, head.encode(), record.body.as_ref()])?;
        self.last_id = id.0;
        self.last_is_gone = false;
        self.note(Change::In(Brief::of(&head)));
        Ok(id)
    }

    /// Takes rows away that wait. A number that is not there is passed over.
    pub(super) fn delete_waiting(&mut self, ids: &[RecordId]) -> Result<(), Fault> {
        let mut find = self.connection.prepare("SELECT head FROM records WHERE id = ?1")?;
        let mut delete = self.connection.prepare("DELETE FROM records WHERE id = ?1")?;
        for &id in ids {
            let Some(bytes) = find.query_row([id.0], |row| row.get::<_, Vec<u8>>(0)).optional()? else { continue };
            let head = sound(id, &bytes)?;
            if head.state == State::Waiting {
                delete.execute([id.0])?;
                self.gone(&head);
            }
        }
        Ok(())
    }

    /// Lets dead letters wait again.
    pub(super) fn revive(&mut self, filter: &Filter) -> Result<Sums, Fault> {
        let mut heads = Vec::new();
        select(self.connection, filter, |head, bytes| {
            heads.push((head.id, Brief::of(&head), frame::with_state(bytes, State::Waiting)));
            Ok(())
        })?;
        let mut sums = Sums::default();
        for (id, brief, bytes) in heads {
            // Written over the old head in its place: the body is not touched.
            let mut blob = self.connection.blob_open("main", "records", "head", id.0, false)?;
            blob.write_all_at(&bytes, 0)?;
            blob.close()?;
            sums.add(&brief);
            self.note(Change::In(brief.in_state(State::Waiting)));
            self.note(Change::Out(brief));
        }
        Ok(sums)
    }

    /// Takes dead letters away for good, and remembers how many they were.
    pub(super) fn purge(&mut self, filter: &Filter) -> Result<Sums, Fault> {
        let mut heads = Vec::new();
        select(self.connection, filter, |head, _| {
            heads.push(head);
            Ok(())
        })?;
        let mut sums = Sums::default();
        let mut delete = self.connection.prepare("DELETE FROM records WHERE id = ?1")?;
        for head in &heads {
            delete.execute([head.id.0])?;
            sums.add(&Brief::of(head));
            self.gone(head);
        }
        discard(self.connection, &sums)?;
        for (destination, count) in sums.iter() {
            self.note(Change::Discarded(destination.clone(), *count));
        }
        Ok(sums)
    }

    /// Makes dead letters of rows whose body is not what was written; the sum of those that were none before.
    pub(super) fn condemn(&mut self, damaged: &BTreeMap<RecordId, String>) -> Result<Count, Fault> {
        let mut count = Count::default();
        for (&id, message) in damaged {
            let mut find = self.connection.prepare("SELECT head FROM records WHERE id = ?1")?;
            let Some(bytes) = find.query_row([id.0], |row| row.get::<_, Vec<u8>>(0)).optional()? else { continue };
            let mut head = sound(id, &bytes)?;
            let brief = Brief::of(&head);
            let was_waiting = head.state == State::Waiting;
            head.condemn(message);
            self.connection.execute("UPDATE records SET head = ?2 WHERE id = ?1", params![id.0, head.encode()])?;
            if was_waiting {
                count.add(crate::store::books::count(&brief));
            }
            self.note(Change::In(brief.in_state(State::Dead)));
            self.note(Change::Out(brief));
        }
        Ok(count)
    }

    /// Bytes that will count against the limit, of a store in which `used` do.
    pub(super) fn used_after(&self, used: u64) -> u64 {
        used.saturating_add_signed(self.growth)
    }

    /// Writes something that means nothing.
    pub(super) fn probe(&mut self) -> Result<(), Fault> {
        let sql = "INSERT INTO meta (name, value) VALUES ('probe', 1) ON CONFLICT DO UPDATE SET value = value + 1";
        self.connection.execute(sql, [])?;
        Ok(())
    }

    /// Makes it so. Afterwards it is on the disk.
    pub(super) fn commit(mut self) -> Result<Committed, Fault> {
        if self.last_is_gone {
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

    fn gone(&mut self, head: &Head) {
        self.last_is_gone |= head.id.0 == self.last_id;
        self.note(Change::Out(Brief::of(head)));
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if !self.over && !self.connection.is_autocommit() {
            // Where this fails the connection is of no use, and the next transaction will say so.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }
}

/// Adds to what operators gave up.
fn discard(connection: &Connection, sums: &Sums) -> Result<(), Fault> {
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

fn sound(id: RecordId, bytes: &[u8]) -> Result<Head, Fault> {
    let head = Head::sound(bytes).filter(|head| head.id == id);
    head.ok_or_else(|| Fault::Damaged(format!("the head of record {} is not what was written", id.0)))
}
