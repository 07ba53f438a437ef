//! What the threads of a store share.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use rusqlite::Connection;

use crate::lock::lock;
use crate::store::error::NotKept;
use crate::store::file;
use crate::store::file_error::FileError;
use crate::store::settings::{StoreSettings, StoreStatus};
use crate::store::usage::Usage;

/// What the threads of a store share. Its locks are held briefly, except those of the connections, which are held while one
/// reads; the writer takes those only to replace the file or to close it.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: StoreSettings,
    usage: Mutex<Usage>,
    health: Mutex<WriterHealth>,
    /// Counts the files that were opened, so that a report of damage says which one it means.
    generation: AtomicU64,
    closed: AtomicBool,
    /// The connection of the thread that reads the backlog.
    pub(super) backlog: ReadConnection,
    /// The connection of the threads that ask for dead letters.
    pub(super) letters: ReadConnection,
}

/// A connection that only reads, opened when it is first used.
#[derive(Debug, Default)]
pub(super) struct ReadConnection(Mutex<Option<Connection>>);

/// How writing goes.
#[derive(Debug, Default)]
pub(super) struct WriterHealth {
    /// Why the last attempt to write failed, if it did.
    pub(super) error: Option<NotKept>,
    /// Bytes that the last records refused for `max_bytes` would have taken.
    pub(super) refused_bytes: Option<u64>,
    /// Bytes that would have had to be free on the disk for the last records refused for that.
    pub(super) needed_free_bytes: Option<u64>,
    pub(super) free_bytes: u64,
    pub(super) set_aside: Vec<PathBuf>,
}

/// Why a read failed.
#[derive(Debug)]
pub(super) enum NotRead {
    Closed,
    /// The file is damaged: its generation, and how.
    Damaged(u64, String),
    Disk(String),
}

impl Shared {
    pub(super) fn new(settings: StoreSettings, usage: Usage, health: WriterHealth) -> Self {
        Shared {
            settings,
            usage: Mutex::new(usage),
            health: Mutex::new(health),
            generation: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            backlog: ReadConnection::default(),
            letters: ReadConnection::default(),
        }
    }

    pub(super) fn usage(&self) -> MutexGuard<'_, Usage> {
        lock(&self.usage)
    }

    pub(super) fn health(&self) -> MutexGuard<'_, WriterHealth> {
        lock(&self.health)
    }

    pub(super) fn status(&self) -> StoreStatus {
        let used = self.usage().used();
        let StoreSettings { directory: _, max_bytes, min_free_bytes } = self.settings;
        let health = self.health();
        let refusing = if self.is_closed() {
            Some(NotKept::Closed)
        } else if health.error.is_some() {
            health.error.clone()
        } else if health.free_bytes < min_free_bytes.max(health.needed_free_bytes.unwrap_or(0)) {
            Some(NotKept::DiskFull)
        } else {
            // Ends by itself once there is room for what was refused.
            health.refused_bytes.filter(|refused| used + refused > max_bytes).map(|_| NotKept::Full)
        };
        StoreStatus {
            used_bytes: used,
            max_bytes,
            free_bytes: health.free_bytes,
            refusing,
            set_aside: health.set_aside.clone(),
        }
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Keeps readers out, closes their connections, and calls `change`, which may replace the file.
    pub(super) fn exclusive<T>(&self, change: impl FnOnce() -> T) -> T {
        let (mut backlog, mut letters) = (lock(&self.backlog.0), lock(&self.letters.0));
        (*backlog, *letters) = (None, None);
        let changed = change();
        self.generation.fetch_add(1, Ordering::Release);
        changed
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// From now on no reader opens the file.
    pub(super) fn set_closed(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Reads with `reader`'s connection.
    pub(super) fn read<T>(
        &self,
        reader: &ReadConnection,
        read: impl FnOnce(&Connection) -> Result<T, FileError>,
    ) -> Result<T, NotRead> {
        let mut slot = lock(&reader.0);
        if self.is_closed() {
            return Err(NotRead::Closed);
        }
        let outcome = match &*slot {
            Some(connection) => read(connection),
            None => file::connect_reader(&file::path(&self.settings.directory))
                .and_then(|connection| read(slot.insert(connection))),
        };
        outcome.map_err(|error| match error {
            // The generation cannot change while the slot is held.
            FileError::Damaged(text) => NotRead::Damaged(self.generation(), text),
            error => NotRead::Disk(error.to_string()),
        })
    }
}
