//! Whether there is room for something: in the budget, and on the disk.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::store::books::ROW_OVERHEAD;
use crate::store::record::NewRecord;
use crate::store::shared::Shared;
use crate::store::{NotKept, Settings, file};

/// The disk is not asked more often than that, unless little of it is free.
const SAMPLE: Duration = Duration::from_millis(200);
/// From here on every transaction asks: it costs microseconds.
const LITTLE: u64 = 256 << 20;

/// Less than the log may need.
const TIGHT: u64 = 64 << 20;
/// What nothing that is put in may take: a store on a full disk must still be able to write that something was delivered.
const RESERVE: u64 = 2 << 20;

/// A log that is not worth shortening.
const SHORT: u64 = 256 << 10;

#[derive(Debug)]
pub(super) struct Room {
    directory: PathBuf,
    sampled: Option<Instant>,
    /// Free bytes of the disk, less what was let in since it was asked.
    free: u64,
    /// Bytes of the write-ahead log: they take as much again when they are copied into the file, and as long as they are not,
    /// nothing of theirs is given back.
    log: u64,
    /// Bytes of free pages in the file: what goes there does not make it larger.
    reusable: u64,
}

impl Room {
    pub(super) fn new(settings: &Settings) -> Self {
        Room { directory: settings.directory.clone(), sampled: None, free: 0, log: 0, reusable: 0 }
    }

    /// Looks how much of the disk is free, if that was some time ago.
    pub(super) fn sample(&mut self, shared: &Shared, connection: Option<&Connection>) {
        if self.free > LITTLE && self.sampled.is_some_and(|at| at.elapsed() < SAMPLE) {
            return;
        }
        self.sampled = Some(Instant::now());
        self.look(shared, connection);
    }

    /// Looks at once.
    pub(super) fn look(&mut self, shared: &Shared, connection: Option<&Connection>) {
        self.free = free_bytes(&self.directory);
        self.log = log_bytes(&self.directory);
        // Free pages that are in the log only are not in the file yet.
        self.reusable = connection.map_or(0, free_pages).saturating_sub(self.log);
        shared.health().free_bytes = self.free;
    }

    /// Whether there would be more room if the log were shorter.
    pub(super) fn wants_a_shorter_log(&self, shared: &Shared) -> bool {
        self.log > SHORT && self.free < shared.settings.min_free_bytes.max(self.log + 2 * RESERVE)
    }

    /// Whether so little is free that a transaction must be small.
    pub(super) fn is_tight(&self) -> bool {
        self.free < TIGHT
    }

    /// Whether `records` fit into a store of which `used` bytes are taken.
    pub(super) fn admits(&mut self, shared: &Shared, records: &[NewRecord], used: u64) -> Result<(), NotKept> {
        let needed: u64 = records.iter().map(|record| record.body.len() as u64 + ROW_OVERHEAD).sum();
        let Settings { max_bytes, min_free_bytes, .. } = shared.settings;
        if used + needed > max_bytes {
            shared.health().wanted = Some(needed);
            return Err(NotKept::Full);
        }
        // In whole pages: once into the log, and with the log into the file.
        let written = needed + needed / 4 + 4 * u64::from(file::PAGE_SIZE);
        let floor = min_free_bytes.max(self.log + written + RESERVE);
        if self.free < written + RESERVE || self.free + self.reusable < floor.saturating_add(written) {
            return Err(NotKept::DiskFull);
        }
        self.free -= written;
        self.log += written;
        Ok(())
    }
}

/// How much of the disk under `directory` an ordinary user may still write. Where that cannot be asked there is no floor.
pub(super) fn free_bytes(directory: &Path) -> u64 {
    rustix::fs::statvfs(directory).map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Bytes of the pages in which nothing is. Where that cannot be asked there are none.
fn free_pages(connection: &Connection) -> u64 {
    let pages: rusqlite::Result<u32> = connection.pragma_query_value(None, "freelist_count", |row| row.get(0));
    u64::from(pages.unwrap_or(0)) * u64::from(file::PAGE_SIZE)
}

/// How long the write-ahead log is.
fn log_bytes(directory: &Path) -> u64 {
    std::fs::metadata(file::companion(&file::path(directory), "-wal")).map_or(0, |log| log.len())
}
