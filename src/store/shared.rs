//! What the threads of a store share.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use rusqlite::Connection;

use crate::lock::lock;
use crate::store::books::Books;
use crate::store::fault::Fault;
use crate::store::{NotKept, Settings, StoreStatus, file};

/// What the threads of a store share. Its locks are held for moments, except those of the connections, which are held while
/// one reads; the writer takes these only to replace the file or to close it.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: Settings,
    books: Mutex<Books>,
    health: Mutex<Health>,
    /// Counts the files that were opened: who found something wrong says in which.
    generation: AtomicU64,
    closed: AtomicBool,
    /// The connection of the reading thread.
    pub(super) backlog: Reader,
    /// The connection of those who ask for dead letters.
    pub(super) letters: Reader,
}

/// A connection that only reads, opened when it is needed.
#[derive(Debug, Default)]
pub(super) struct Reader(Mutex<Option<Connection>>);

/// How the store is, as the writer knows it.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// What the last attempt to write came to, if it failed.
    pub(super) fault: Option<NotKept>,
    /// What the last record that found no room would have needed.
    pub(super) wanted: Option<u64>,
    /// How much of the disk would have had to be free for the last record for which it was not.
    pub(super) floor: Option<u64>,
    pub(super) free_bytes: u64,
    pub(super) set_aside: Vec<PathBuf>,
}

/// Why nothing could be read.
#[derive(Debug)]
pub(super) enum NotRead {
    Closed,
    /// The file is damaged: of which generation it is, and how.
    Damaged(u64, String),
    Disk(String),
}

impl Shared {
    pub(super) fn new(settings: Settings, books: Books, health: Health) -> Self {
        Shared {
            settings,
            books: Mutex::new(books),
            health: Mutex::new(health),
            generation: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            backlog: Reader::default(),
            letters: Reader::default(),
        }
    }

    pub(super) fn books(&self) -> MutexGuard<'_, Books> {
        lock(&self.books)
    }

    pub(super) fn health(&self) -> MutexGuard<'_, Health> {
        lock(&self.health)
    }

    pub(super) fn status(&self) -> StoreStatus {
        let used = self.books().used();
        let Settings { directory: _, max_bytes, min_free_bytes } = self.settings;
        let health = self.health();
        let refusing = if self.is_closed() {
            Some(NotKept::Closed)
        } else if health.fault.is_some() {
            health.fault.clone()
        } else if health.free_bytes < min_free_bytes.max(health.floor.unwrap_or(0)) {
            Some(NotKept::DiskFull)
        } else {
            // By itself over when room was made for what was refused.
            health.wanted.filter(|wanted| used + wanted > max_bytes).map(|_| NotKept::Full)
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

    /// Lets nobody read, closes what is open for it, and calls `change`, after which it is another file.
    pub(super) fn alone<T>(&self, change: impl FnOnce() -> T) -> T {
        let (mut backlog, mut letters) = (lock(&self.backlog.0), lock(&self.letters.0));
        (*backlog, *letters) = (None, None);
        let changed = change();
        self.generation.fetch_add(1, Ordering::Release);
        changed
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// From now on nobody opens the file.
    pub(super) fn set_closed(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Reads with `reader`'s connection.
    pub(super) fn read<T>(
        &self,
        reader: &Reader,
        read: impl FnOnce(&Connection) -> Result<T, Fault>,
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
        outcome.map_err(|fault| match fault {
            // The generation cannot change while the slot is held.
            Fault::Damaged(text) => NotRead::Damaged(self.generation(), text),
            fault => NotRead::Disk(fault.to_string()),
        })
    }
}
