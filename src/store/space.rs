//! Whether there is space for new records: below `max_bytes`, and on the disk.
//!
//! A disk that the store itself filled to the last byte could never be emptied again: to delete, SQLite has to write to its log,
//! and to shorten the log it has to write to the file. So on a disk that is nearly full, a record is only accepted if it fits twice,
//! into the log and into the file, with a reserve for deletes.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::store::error::NotKept;
use crate::store::file::{self, PAGE_SIZE};
use crate::store::file_error::FileError;
use crate::store::record::NewRecord;
use crate::store::settings::StoreSettings;
use crate::store::shared::Shared;
use crate::store::usage::ROW_OVERHEAD;

/// The free space is measured no more often than this while there is plenty.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(200);
/// With less than this free, it is measured before every transaction.
const LOW_DISK_BYTES: u64 = 256 << 20;
/// With less than this to spare, the log is moved into the file before every transaction, and deletes are limited.
const CRITICAL_DISK_BYTES: u64 = 16 << 20;
/// Stays free for transactions that delete: puts are refused before they touch it.
const DELETE_RESERVE_BYTES: u64 = 1 << 20;

/// Rows that are deleted in one transaction out of that reserve: each may cost a page of the log.
const CRITICAL_DELETE_BATCH: usize = 32;

/// The free space as it was measured last, and what was promised since. All of it in bytes.
#[derive(Debug)]
pub(super) struct SpaceGuard {
    directory: PathBuf,
    measured_at: Option<Instant>,
    free: u64,
    /// By how much the file will grow when the log is moved into it; only measured below `LOW_DISK_BYTES`.
    growth: u64,
    /// What the file can take without growing; only measured below `LOW_DISK_BYTES`.
    unused: u64,
    /// Admitted since `measured_at`.
    claimed: u64,
}

impl SpaceGuard {
    pub(super) fn new(settings: &StoreSettings) -> Self {
        SpaceGuard {
            directory: settings.directory.clone(),
            measured_at: None,
            free: 0,
            growth: 0,
            unused: 0,
            claimed: 0,
        }
    }

    /// Measures the free space, if that was some time ago.
    pub(super) fn sample(&mut self, shared: &Shared) {
        if self.measured_at.is_none_or(|at| at.elapsed() >= SAMPLE_INTERVAL) {
            self.measure_free(shared);
        }
    }

    /// Before a transaction: on a disk that is nearly full, measures again, and empties the log where that is not enough.
    pub(super) fn prepare(&mut self, shared: &Shared, connection: &Connection) -> Result<(), FileError> {
        self.sample(shared);
        (self.growth, self.unused) = (0, 0);
        if self.free >= LOW_DISK_BYTES {
            return Ok(());
        }
        self.measure_free(shared);
        (self.growth, self.unused) = growth_and_unused(&self.directory, connection)?;
        if self.free < self.growth + CRITICAL_DISK_BYTES {
            file::empty_log(connection)?;
            self.measure_free(shared);
            (self.growth, self.unused) = growth_and_unused(&self.directory, connection)?;
        }
        Ok(())
    }

    /// Whether `records` fit into a store in which `used` bytes are taken.
    pub(super) fn admits(&mut self, shared: &Shared, records: &[NewRecord], used: u64) -> Result<(), NotKept> {
        let needed: u64 = records.iter().map(|record| record.body.len() as u64 + ROW_OVERHEAD).sum();
        let StoreSettings { max_bytes, min_free_bytes, .. } = shared.settings;
        if used + needed > max_bytes {
            shared.health().refused_bytes = Some(needed);
            return Err(NotKept::Full);
        }
        let claimed = self.claimed + needed + u64::from(PAGE_SIZE);
        let reserve = if self.free < LOW_DISK_BYTES {
            self.growth + claimed.saturating_sub(self.unused) + DELETE_RESERVE_BYTES
        } else {
            0
        };
        let needed_free = min_free_bytes.max(reserve).saturating_add(claimed);
        if self.free < needed_free {
            shared.health().needed_free_bytes = Some(needed_free);
            return Err(NotKept::DiskFull);
        }
        shared.health().needed_free_bytes = None;
        self.claimed = claimed;
        Ok(())
    }

    /// How many rows may be deleted in one transaction.
    pub(super) fn max_deletes(&self) -> usize {
        if self.free < CRITICAL_DISK_BYTES { CRITICAL_DELETE_BATCH } else { usize::MAX }
    }

    /// The last records that were put found too little of the disk free.
    pub(super) fn is_short(shared: &Shared) -> bool {
        shared.health().needed_free_bytes.is_some()
    }

    fn measure_free(&mut self, shared: &Shared) {
        self.measured_at = Some(Instant::now());
        self.claimed = 0;
        self.free = free_bytes(&self.directory);
        shared.health().free_bytes = self.free;
    }
}

/// Bytes that an ordinary user may still write to the disk under `directory`. Where the system does not say, there is no limit.
pub(super) fn free_bytes(directory: &Path) -> u64 {
    rustix::fs::statvfs(directory).map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Bytes by which the file will grow when the log is moved into it, and bytes that it can take before it grows.
fn growth_and_unused(directory: &Path, connection: &Connection) -> Result<(u64, u64), FileError> {
    let bytes = |pragma: &str| -> Result<u64, FileError> {
        let pages: u32 = connection.pragma_query_value(None, pragma, |row| row.get(0))?;
        Ok(u64::from(pages) * u64::from(PAGE_SIZE))
    };
    let length = std::fs::metadata(file::path(directory))?.len();
    Ok((bytes("page_count")?.saturating_sub(length), bytes("freelist_count")?))
}
