//! Reads `extensions.file_storage`: where requests and dead letters are kept, and how much of the disk they may take.

use std::path::PathBuf;

use super::defaults::{self, MIB};
use super::field::Field;
use super::reader::Section;
use super::types::FileStorage;

/// One tebibyte in MiB: more than any outage fills.
const MOST_MIB: u64 = 1 << 20;

/// `extensions.file_storage`.
pub(super) fn file_storage(section: Section<'_>) -> FileStorage {
    let default = defaults::file_storage();
    for key in ["timeout", "compaction", "fsync", "create_directory", "directory_permissions", "recreate"] {
        section.refuse(key, "not needed, every write is synced and the directory is made with mode 0700; remove it");
    }
    let mib = |bytes: u64| bytes / MIB as u64;
    let directory = section.or("directory", default.directory, directory);
    let max = section.or("max_size_mib", mib(default.max_bytes), |field| field.integer(1..=MOST_MIB));
    let min_free = section.or("min_free_mib", mib(default.min_free_bytes), |field| field.integer(0..=MOST_MIB));
    section.finish();
    FileStorage { directory, max_bytes: max * MIB as u64, min_free_bytes: min_free * MIB as u64 }
}

/// A path, absolute or from where the program is started.
fn directory(field: &Field<'_>) -> Option<PathBuf> {
    let text = field.text()?;
    if text.trim().is_empty() {
        field.problem("an empty path; name a directory, for example /var/lib/chainspan");
        return None;
    }
    Some(PathBuf::from(text))
}
