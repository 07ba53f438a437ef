//! Copies what can be read of a damaged file into a new one, without SQLite: page by page, in bounded memory.
//!
//! Every record is a frame that says where it ends and whether it is what was written (`frame`). So a wrong byte costs the record
//! that holds it and no other: not the page, not the tree above it, not the log behind it.
//!
//! A record of which something is wrong becomes a dead letter `corrupt_record`. A record that was deleted shortly before may be found
//! again in a page that is no longer used, and is then sent twice. Both are better than losing one.

mod frames;
mod pages;
mod transfer;
mod wal;

pub(super) use transfer::{SalvageReport, take_over};
pub(super) use wal::is_damaged as log_is_damaged;
