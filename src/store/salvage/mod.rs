//! Takes over what can be read of a damaged file, without SQLite: page by page, in bounded memory.
//!
//! Every record is a frame that says of itself where it ends and whether it is what was written (`frame`). So a wrong byte
//! costs the record that holds it and no other: not the page, not the tree above, not the log behind.
//!
//! A record of which something is wrong becomes a dead letter `corrupt_record`. A record that was deleted shortly before may
//! be found again, in a page that is not used any more: it is sent twice. Both are better than one that is lost.

mod frames;
mod log;
mod pages;

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use rusqlite::{Connection, params};

use crate::store::RecordId;
use crate::store::fault::Fault;
use crate::store::fields;
use crate::store::file::{self, PAGE_SIZE};
use crate::store::frame::{Head, State};
use frames::{Found, Page, Spot};
use pages::Pages;

/// So many bytes are taken over in one transaction.
const PORTION: usize = 16 << 20;

/// What a salvage came to.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// Records that were found as they were written.
    pub(super) sound: u64,
    /// Records of which something is wrong: dead letters now.
    pub(super) damaged: u64,
}

/// Whether the log of `file` is not what was written. To be asked before SQLite opens it, because it then forgets the rest.
pub(super) fn log_is_damaged(file: &Path) -> std::io::Result<bool> {
    Ok(log::read(&file::companion(file, "-wal"))?.damaged)
}

/// Takes over from the file at `from`, which nobody has open, into a new one.
pub(super) fn take_over(from: &Path, into: &Connection) -> Result<Report, Fault> {
    // Nobody has to be answered in between, so that SQLite may see to its log.
    into.pragma_update_and_check(None, "wal_autocheckpoint", 1000, |_| Ok(()))?;
    let pages = Pages::open(from)?;
    let mut salvage =
        Salvage { pages, into, taken: HashSet::new(), destinations: BTreeSet::new(), last_id: 0, pending: 0 };
    let mut report = Report::default();
    into.execute_batch("BEGIN IMMEDIATE")?;
    let outcome = salvage.run(&mut report).and_then(|()| Ok(into.execute_batch("COMMIT")?));
    if outcome.is_err() && !into.is_autocommit() {
        // The first error is the one that says something.
        let _ = into.execute_batch("ROLLBACK");
    }
    outcome.map(|()| report)
}

struct Salvage<'c> {
    pages: Pages,
    into: &'c Connection,
    /// What is in the new file: numbers, of records and of sums.
    taken: HashSet<(bool, RecordId)>,
    destinations: BTreeSet<String>,
    last_id: i64,
    /// Bytes in the transaction.
    pending: usize,
}

impl Salvage<'_> {
    fn run(&mut self, report: &mut Report) -> Result<(), Fault> {
        let mut page: Box<Page> = Box::new([0; PAGE_SIZE as usize]);
        let mut doubtful = Vec::new();
        for place in self.pages.places() {
            self.pages.read(place, &mut page);
            for spot in frames::spots(place, &page) {
                match frames::assemble(&self.pages, &page, spot.at) {
                    Found::Sound(head, bytes, body) => {
                        if self.take(&head, &bytes, &body)? && head.state != State::Discarded {
                            report.sound += 1;
                        }
                    }
                    Found::Damaged(head, _) => doubtful.push((spot, head.id)),
                    Found::Nothing => {}
                }
            }
        }
        // Only now: an older image of the same record may have been a good one.
        for (spot, id) in doubtful {
            if !self.taken.contains(&(false, id)) && self.condemn(spot, &mut page)? {
                report.damaged += 1;
            }
        }
        self.into.execute("INSERT OR REPLACE INTO meta (name, value) VALUES ('last_id', ?1)", [self.last_id])?;
        Ok(())
    }

    /// Whether it was new.
    fn take(&mut self, head: &Head, bytes: &[u8], body: &[u8]) -> Result<bool, Fault> {
        let sums = head.state == State::Discarded;
        if !self.taken.insert((sums, head.id)) {
            return Ok(false);
        }
        let table = if sums { "discarded" } else { "records" };
        let mut insert = self.into.prepare(&format!("INSERT INTO {table} (id, head, body) VALUES (?1, ?2, ?3)"))?;
        insert.execute(params![head.id.0, bytes, body])?;
        self.destinations.insert(head.destination.clone());
        if !sums {
            self.last_id = self.last_id.max(head.id.0);
        }
        self.pending += bytes.len() + body.len();
        if self.pending >= PORTION {
            self.into.execute_batch("COMMIT; BEGIN IMMEDIATE")?;
            self.pending = 0;
        }
        Ok(true)
    }

    /// Makes a dead letter of what is at `spot`.
    fn condemn(&mut self, spot: Spot, page: &mut Page) -> Result<bool, Fault> {
        self.pages.read(spot.place, page);
        let Found::Damaged(mut head, body) = frames::assemble(&self.pages, page, spot.at) else { return Ok(false) };
        if head.state == State::Discarded {
            tracing::error!(destination = head.destination, "how many letters were discarded cannot be read any more");
            return Ok(false);
        }
        head.condemn("what was found of it in a damaged file is not what was written");
        head.destination = self.known(head.destination);
        // Its checksum stays the one of what was written: whoever reads it finds that this is something else.
        head.body_len = fields::size(body.len());
        if !(1..=self.last_id).contains(&head.id.0) {
            head.id = RecordId(self.last_id + 1);
        }
        let bytes = head.encode();
        self.take(&head, &bytes, &body)
    }

    /// The destination that was meant: one of those that others have, if a single byte of the name or of its length makes the
    /// difference.
    fn known(&self, name: String) -> String {
        let differ = |other: &str| other.bytes().zip(name.bytes()).filter(|(one, two)| one != two).count();
        let close = |other: &&String| {
            if other.len() == name.len() { differ(other) <= 1 } else { other.starts_with(&name) }
        };
        self.destinations.iter().find(close).cloned().unwrap_or(name)
    }
}
