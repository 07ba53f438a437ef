//! What a store is told when it is opened, and what it says about itself.

use std::path::PathBuf;

use crate::store::error::NotKept;

/// Where a store is, and how large it may get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// The directory of its files; no other process may use it.
    pub directory: PathBuf,
    /// Records are refused once they take this many bytes.
    pub max_bytes: u64,
    /// Records are refused while less than this is free on the disk.
    pub min_free_bytes: u64,
}

/// How a store is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreStatus {
    /// Bytes that count against `max_bytes`.
    pub used_bytes: u64,
    /// `StoreSettings::max_bytes`.
    pub max_bytes: u64,
    /// Bytes free on its disk.
    pub free_bytes: u64,
    /// Why records are refused at the moment.
    pub refusing: Option<NotKept>,
    /// Damaged files that were set aside, when this store was opened or since.
    pub set_aside: Vec<PathBuf>,
}
