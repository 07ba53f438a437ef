//! What must survive the process: requests that wait for a destination, and dead letters. One SQLite file, one thread
//! that writes; whoever puts something in is told when it is on the disk and not before.
//!
//! Entered by `delivery` (put, finish, read), by the admin door and `chainspan dlq` (dead letters) and by `service` (open,
//! close). Nothing in here waits for a network.

mod record;

use std::path::PathBuf;

pub use record::{Count, Death, Filter, Kept, Letter, NewRecord, Reason, RecordId, Waiting};

/// How a store is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where its files are.
    pub directory: PathBuf,
    /// The most bytes that it may hold.
    pub max_bytes: u64,
    /// So much of the disk must stay free.
    pub min_free_bytes: u64,
}

/// Why a store cannot be opened, or a question about it not be answered.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(String);

/// Why something was not kept. Nothing of what was put together is kept then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotKept {
    /// `max_size_mib` is taken.
    #[error("the store is full")]
    Full,
    /// Too little of the disk is free, or the disk said so.
    #[error("the disk is full")]
    DiskFull,
    /// The disk does not work.
    #[error("the store cannot be written: {0}")]
    Failed(String),
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}

/// How a store is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreStatus {
    /// Bytes that count against `max_bytes`.
    pub used_bytes: u64,
    /// `Settings::max_bytes`.
    pub max_bytes: u64,
    /// Bytes free on its disk.
    pub free_bytes: u64,
    /// Why nothing can be put in at the moment.
    pub refusing: Option<NotKept>,
    /// Damaged files that were set aside, when this store was opened or since.
    pub set_aside: Vec<PathBuf>,
}

/// An open store. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Store {
    settings: Settings,
}

impl Store {
    /// Opens the store in `settings.directory`, making it where there is none. Blocks. A damaged file is set aside and what
    /// can be read of it is taken over.
    ///
    /// # Errors
    /// The directory cannot be used, or another process has the store.
    pub fn open(settings: Settings) -> Result<Self, StoreError> {
        Ok(Self { settings })
    }

    /// How it was set up.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How it is now; does not wait.
    pub fn status(&self) -> StoreStatus {
        StoreStatus { max_bytes: self.settings.max_bytes, ..StoreStatus::default() }
    }

    /// What is kept, per destination, also of destinations that are not configured any more. Blocks.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn kept(&self) -> Result<Vec<(String, Kept)>, StoreError> {
        Ok(Vec::new())
    }

    /// Keeps all of `records` or none. `done` is called on the store's thread when they are on the disk (fsync), with one
    /// id each, in the same order.
    pub fn put(&self, records: Vec<NewRecord>, done: impl FnOnce(Result<Vec<RecordId>, NotKept>) + Send + 'static) {
        drop(records);
        done(Err(NotKept::Closed));
    }

    /// Forgets records that were delivered; soon, and nobody waits for it. What a crash before that leaves is sent twice.
    pub fn finish(&self, ids: Vec<RecordId>) {
        drop(ids);
    }

    /// Puts `parts` in the place of the waiting record `id`, in one transaction: what is left of it, and its dead letters.
    /// Not held against the limits.
    pub fn replace(
        &self,
        id: RecordId,
        parts: Vec<NewRecord>,
        done: impl FnOnce(Result<Vec<RecordId>, NotKept>) + Send + 'static,
    ) {
        let _ = id;
        drop(parts);
        done(Err(NotKept::Closed));
    }

    /// Reads what waits for `destination`, oldest first, of the rows after `after`: at most `max_bytes` of bodies but at
    /// least one record. Records whose checksum is wrong become dead letters (`corrupt_record`) and are counted in the
    /// second half of the answer. `done` is called on a thread of the store.
    pub fn read(
        &self,
        destination: &str,
        after: Option<RecordId>,
        max_bytes: usize,
        done: impl FnOnce(Result<(Vec<Waiting>, Count), StoreError>) + Send + 'static,
    ) {
        let _ = (destination, after, max_bytes);
        done(Ok((Vec::new(), Count::default())));
    }

    /// The dead letters that `filter` means, oldest first, without their bodies. Blocks.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn letters(&self, filter: &Filter) -> Result<Vec<Letter>, StoreError> {
        let _ = filter;
        Ok(Vec::new())
    }

    /// One dead letter with its body; `None`: there is none of that number. Blocks.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn letter(&self, id: RecordId) -> Result<Option<(Letter, bytes::Bytes)>, StoreError> {
        let _ = id;
        Ok(None)
    }

    /// Lets the dead letters that `filter` means wait to be sent again, in one transaction; their sum per destination.
    /// They keep their ids. Blocks until it is on the disk.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn revive(&self, filter: &Filter) -> Result<Vec<(String, Count)>, StoreError> {
        let _ = filter;
        Ok(Vec::new())
    }

    /// Forgets the dead letters that `filter` means and counts them as discarded, in one transaction; their sum per
    /// destination. Blocks until it is on the disk.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn purge(&self, filter: &Filter) -> Result<Vec<(String, Count)>, StoreError> {
        let _ = filter;
        Ok(Vec::new())
    }

    /// Writes what was put, answers it, and lets go of the directory. Afterwards nothing is kept any more. Blocks.
    pub fn close(&self) {}
}
