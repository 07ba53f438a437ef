//! Whether there is room for something: in the budget, and on the disk.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::store::books::ROW_OVERHEAD;
use crate::store::record::NewRecord;
use crate::store::shared::Shared;
use crate::store::{NotKept, Settings};

/// The disk is not asked more often than that.
const SAMPLE: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub(super) struct Room {
    directory: PathBuf,
    sampled: Option<Instant>,
    free: u64,
}

impl Room {
    pub(super) fn new(settings: &Settings) -> Self {
        Room { directory: settings.directory.clone(), sampled: None, free: 0 }
    }

    /// Looks how much of the disk is free, if that was some time ago.
    pub(super) fn sample(&mut self, shared: &Shared) {
        if self.sampled.is_some_and(|at| at.elapsed() < SAMPLE) {
            return;
        }
        self.sampled = Some(Instant::now());
        self.free = free_bytes(&self.directory);
        shared.health().free_bytes = self.free;
    }

    /// Whether `records` fit into a store of which `used` bytes are taken.
    pub(super) fn admits(&self, shared: &Shared, records: &[NewRecord], used: u64) -> Result<(), NotKept> {
        let needed: u64 = records.iter().map(|record| record.body.len() as u64 + ROW_OVERHEAD).sum();
        let Settings { max_bytes, min_free_bytes, .. } = shared.settings;
        if used + needed > max_bytes {
            shared.health().wanted = Some(needed);
            return Err(NotKept::Full);
        }
        if self.free < min_free_bytes.saturating_add(if min_free_bytes > 0 { needed } else { 0 }) {
            return Err(NotKept::DiskFull);
        }
        Ok(())
    }
}

/// How much of the disk under `directory` an ordinary user may still write. Where that cannot be asked there is no floor.
pub(super) fn free_bytes(directory: &std::path::Path) -> u64 {
    rustix::fs::statvfs(directory).map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize))
}
