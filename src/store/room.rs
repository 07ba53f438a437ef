//! Whether there is room for something: in the budget, and on the disk.
//!
//! A disk that the store itself fills to the last byte could never be emptied again: to delete, SQLite has to write to its
//! log, and to shorten the log it has to write to the file. So where the disk is tight nothing is taken for which there is
//! not room twice, in the log and in the file, and a little more.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::store::books::ROW_OVERHEAD;
use crate::store::fault::Fault;
use crate::store::file::{self, PAGE_SIZE};
use crate::store::record::NewRecord;
use crate::store::shared::Shared;
use crate::store::{NotKept, Settings};

/// The disk is not asked more often than that, unless it is tight.
const SAMPLE: Duration = Duration::from_millis(200);
/// With less than this free the disk is asked before every transaction.
const TIGHT: u64 = 256 << 20;
/// With less than this to spare the log is put into the file before every transaction.
const SCARCE: u64 = 16 << 20;
/// What must be left for transactions that delete.
const SPARE: u64 = 1 << 20;

/// So many rows can be deleted with that: each may cost a page of the log.
const FEW: usize = 32;

#[derive(Debug)]
pub(super) struct Room {
    directory: PathBuf,
    sampled: Option<Instant>,
    free: u64,
    /// By how much the file will grow when the log is put into it; only known where the disk is tight.
    growth: u64,
    /// What the file can take without growing; only known where the disk is tight.
    unused: u64,
    /// What was admitted since the disk was asked.
    claimed: u64,
}

impl Room {
    pub(super) fn new(settings: &Settings) -> Self {
        Room { directory: settings.directory.clone(), sampled: None, free: 0, growth: 0, unused: 0, claimed: 0 }
    }

    /// Looks how much of the disk is free, if that was some time ago.
    pub(super) fn sample(&mut self, shared: &Shared) {
        if self.sampled.is_none_or(|at| at.elapsed() >= SAMPLE) {
            self.look(shared);
        }
    }

    /// Before a transaction: makes what room there is to be made on a disk that is tight.
    pub(super) fn prepare(&mut self, shared: &Shared, connection: &Connection) -> Result<(), Fault> {
        self.sample(shared);
        (self.growth, self.unused) = (0, 0);
        if self.free >= TIGHT {
            return Ok(());
        }
        self.look(shared);
        (self.growth, self.unused) = measure(&self.directory, connection)?;
        if self.free < self.growth + SCARCE {
            file::empty_log(connection)?;
            self.look(shared);
            (self.growth, self.unused) = measure(&self.directory, connection)?;
        }
        Ok(())
    }

    /// Whether `records` fit into a store of which `used` bytes are taken.
    pub(super) fn admits(&mut self, shared: &Shared, records: &[NewRecord], used: u64) -> Result<(), NotKept> {
        let needed: u64 = records.iter().map(|record| record.body.len() as u64 + ROW_OVERHEAD).sum();
        let Settings { max_bytes, min_free_bytes, .. } = shared.settings;
        if used + needed > max_bytes {
            shared.health().wanted = Some(needed);
            return Err(NotKept::Full);
        }
        let claimed = self.claimed + needed + u64::from(PAGE_SIZE);
        let tight = if self.free < TIGHT { self.growth + claimed.saturating_sub(self.unused) + SPARE } else { 0 };
        let floor = min_free_bytes.max(tight).saturating_add(claimed);
        if self.free < floor {
            shared.health().floor = Some(floor);
            return Err(NotKept::DiskFull);
        }
        shared.health().floor = None;
        self.claimed = claimed;
        Ok(())
    }

    /// How many rows may be deleted in one transaction.
    pub(super) fn deletions(&self) -> usize {
        if self.free < SCARCE { FEW } else { usize::MAX }
    }

    /// The disk had no room for the last that asked.
    pub(super) fn is_short(shared: &Shared) -> bool {
        shared.health().floor.is_some()
    }

    fn look(&mut self, shared: &Shared) {
        self.sampled = Some(Instant::now());
        self.claimed = 0;
        self.free = free_bytes(&self.directory);
        shared.health().free_bytes = self.free;
    }
}

/// How much of the disk under `directory` an ordinary user may still write. Where that cannot be asked there is no floor.
pub(super) fn free_bytes(directory: &Path) -> u64 {
    rustix::fs::statvfs(directory).map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// By how much the file will grow, and what it can take before that.
fn measure(directory: &Path, connection: &Connection) -> Result<(u64, u64), Fault> {
    let bytes = |pragma: &str| -> Result<u64, Fault> {
        let pages: u32 = connection.pragma_query_value(None, pragma, |row| row.get(0))?;
        Ok(u64::from(pages) * u64::from(PAGE_SIZE))
    };
    let length = std::fs::metadata(file::path(directory))?.len();
    Ok((bytes("page_count")?.saturating_sub(length), bytes("freelist_count")?))
}
