//! Ways for the fuzz targets in `fuzz/` into what reads foreign bytes here: frames, and damaged files.

use std::path::Path;

use rusqlite::Connection;

use crate::store::file;
use crate::store::file_error::FileError;
use crate::store::frame::Head;
use crate::store::salvage::{self, SalvageReport};
use crate::store::scan;

/// The head of a record, if `bytes` are a sound one, encoded again.
pub fn reencode_head(bytes: &[u8]) -> Option<Vec<u8>> {
    Head::sound(bytes).map(|head| head.encode())
}

/// Takes over what can be read of the damaged file `spill.db` in `directory` and of the log beside it; how many records are sound,
/// and how many damaged.
///
/// # Errors
/// The files cannot be read, or what was taken over is no store in order: a bug.
pub fn salvage(directory: &Path) -> Result<(u64, u64), String> {
    take_over(directory).map_err(|error| error.to_string())
}

fn take_over(directory: &Path) -> Result<(u64, u64), FileError> {
    let path = file::path(directory);
    salvage::log_is_damaged(&path)?;
    let into = Connection::open_in_memory()?;
    file::create(&into)?;
    let SalvageReport { sound, damaged } = salvage::take_over(&path, &into)?;
    scan::check(&into)?;
    let contents = scan::scan(&into)?;
    let kept: u64 = contents.usage.kept().iter().map(|(_, kept)| kept.waiting.records + kept.dead.records).sum();
    if kept != sound + damaged {
        return Err(FileError::Damaged(format!("{kept} records were taken over, reported were {sound} and {damaged}")));
    }
    Ok((sound, damaged))
}
