//! What callers are told when the store did not do what they asked for.

/// Why a store cannot be opened, or a question about it cannot be answered. The text says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(pub(super) String);

/// Why records were not stored. None of those that were put together is stored then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotKept {
    /// `max_size_mib` is used up.
    #[error("the store is full")]
    Full,
    /// Less than `min_free_mib` of the disk is free, or the disk reported that it is full.
    #[error("the disk is full")]
    DiskFull,
    /// The disk does not work.
    #[error("the store cannot be written: {0}")]
    Failed(String),
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}

impl From<NotKept> for StoreError {
    fn from(why: NotKept) -> Self {
        Self(why.to_string())
    }
}
