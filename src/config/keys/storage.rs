//! `extensions.file_storage`.

use std::path::PathBuf;

use crate::config::form::section;
use crate::config::forms::{Directory, mib};

/// One tebibyte in MiB: more than any outage fills.
const MOST_MIB: u64 = 1 << 20;

section! {
    /// Keeps what destinations do not take in time and what they refuse for good (dead letters); it survives the
    /// process. Without it in `service.extensions` an OK still means delivered, and clients wait while a destination
    /// is away.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct FileStorage {
        /// Where the store is. A missing directory is created with mode 0700; it belongs to one chainspan alone. A
        /// relative path begins where the program is started.
        pub directory: PathBuf = "directory", Directory, "/var/lib/chainspan".into();
        /// The most that is stored. When the store is full, clients are told to retry in a moment.
        pub max_bytes: u64 = "max_size_mib", mib(1..=MOST_MIB), 1024 << 20;
        /// How much of the disk stays free. With less than that, the store counts as full.
        pub min_free_bytes: u64 = "min_free_mib", mib(0..=MOST_MIB), 256 << 20;
    }
    refuse {
        "timeout", "compaction", "fsync", "create_directory", "directory_permissions", "recreate" =>
            "not needed, every write is synced and the directory is made with mode 0700; remove it";
    }
}
