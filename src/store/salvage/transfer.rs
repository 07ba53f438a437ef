//! Copies every record that can be found in a damaged file into a new one.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use rusqlite::{Connection, params};

use crate::store::fields;
use crate::store::file::PAGE_SIZE;
use crate::store::file_error::FileError;
use crate::store::frame::{Head, RowState};
use crate::store::record::RecordId;
use crate::store::salvage::frames::{self, Frame, Spot};
use crate::store::salvage::pages::{PageBytes, Pages};

/// Bytes that are copied in one transaction.
const SALVAGE_BATCH_BYTES: usize = 16 << 20;

/// What a salvage found.
#[derive(Debug, Default)]
pub(in crate::store) struct SalvageReport {
    /// Records that are what was written.
    pub(in crate::store) sound: u64,
    /// Records of which something is wrong, which are dead letters now.
    pub(in crate::store) damaged: u64,
}

/// Copies from the file at `from`, which nobody has open, into a new one.
pub(in crate::store) fn take_over(from: &Path, into: &Connection) -> Result<SalvageReport, FileError> {
    // No caller waits in between, so SQLite may empty its log when it likes.
    into.pragma_update_and_check(None, "wal_autocheckpoint", 1000, |_| Ok(()))?;
    let pages = Pages::open(from)?;
    let mut salvage =
        Salvage { pages, into, taken: HashSet::new(), destinations: BTreeSet::new(), last_id: 0, pending: 0 };
    let mut report = SalvageReport::default();
    into.execute_batch("BEGIN IMMEDIATE")?;
    let outcome = salvage.run(&mut report).and_then(|()| Ok(into.execute_batch("COMMIT")?));
    if outcome.is_err() && !into.is_autocommit() {
        // The first error says why.
        let _ = into.execute_batch("ROLLBACK");
    }
    outcome.map(|()| report)
}

struct Salvage<'c> {
    pages: Pages,
    into: &'c Connection,
    /// The rows of the new file: whether it is a sum, and its id.
    taken: HashSet<(bool, RecordId)>,
    destinations: BTreeSet<String>,
    last_id: i64,
    /// Bytes in the open transaction.
    pending: usize,
}

impl Salvage<'_> {
    fn run(&mut self, report: &mut SalvageReport) -> Result<(), FileError> {
        let mut page: Box<PageBytes> = Box::new([0; PAGE_SIZE as usize]);
        let mut doubtful = Vec::new();
        for location in self.pages.locations() {
            self.pages.read(location, &mut page);
            for spot in frames::spots(location, &page) {
                match frames::assemble(&self.pages, &page, spot.at) {
                    Frame::Sound(head, bytes, body) => {
                        if self.take(&head, &bytes, &body)? && head.state != RowState::Discarded {
                            report.sound += 1;
                        }
                    }
                    Frame::Damaged(head, _) => doubtful.push((spot, head.id)),
                    Frame::Nothing => {}
                }
            }
        }
        // Only now: there may have been an older, sound image of the same record.
        for (spot, id) in doubtful {
            if !self.taken.contains(&(false, id)) && self.take_damaged(spot, &mut page)? {
                report.damaged += 1;
            }
        }
        self.into.execute("INSERT OR REPLACE INTO meta (name, value) VALUES ('last_id', ?1)", [self.last_id])?;
        Ok(())
    }

    /// Copies a record, unless one of its id was copied before. Whether it did.
    fn take(&mut self, head: &Head, bytes: &[u8], body: &[u8]) -> Result<bool, FileError> {
        let sums = head.state == RowState::Discarded;
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
        if self.pending >= SALVAGE_BATCH_BYTES {
            self.into.execute_batch("COMMIT; BEGIN IMMEDIATE")?;
            self.pending = 0;
        }
        Ok(true)
    }

    /// Copies what is at `spot` as a dead letter. Whether there was something to copy.
    fn take_damaged(&mut self, spot: Spot, page: &mut PageBytes) -> Result<bool, FileError> {
        self.pages.read(spot.location, page);
        let Frame::Damaged(mut head, body) = frames::assemble(&self.pages, page, spot.at) else { return Ok(false) };
        if head.state == RowState::Discarded {
            tracing::error!(
                destination = head.destination,
                "the number of purged letters can no longer be read: it starts again at 0"
            );
            return Ok(false);
        }
        head.mark_corrupt("it was found in a damaged file, and is not what was written");
        head.destination = self.nearest_destination(head.destination);
        // The checksum stays that of what was written: whoever reads the body sees that it is something else.
        head.body_len = fields::size(body.len());
        if !(1..=self.last_id).contains(&head.id.0) {
            head.id = RecordId(self.last_id + 1);
        }
        let bytes = head.encode();
        self.take(&head, &bytes, &body)
    }

    /// The destination that a damaged name meant: one of another record, if they differ in a single byte of the name or of its
    /// length.
    fn nearest_destination(&self, name: String) -> String {
        let differ = |other: &str| other.bytes().zip(name.bytes()).filter(|(one, two)| one != two).count();
        let close = |other: &&String| {
            if other.len() == name.len() { differ(other) <= 1 } else { other.starts_with(&name) }
        };
        self.destinations.iter().find(close).cloned().unwrap_or(name)
    }
}
