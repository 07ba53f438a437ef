//! The write-ahead log, read without SQLite: which pages are in it, and whether it is whole.
//!
//! SQLite stops at the first frame whose checksum is wrong, because it cannot tell a damaged frame from one that was being written
//! when the power failed, and silently drops everything behind it. Here, a wrong frame in front of a committed one is damage.
//!
//! Format: <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::store::file::{self, PAGE_SIZE};

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
const PAGE: usize = PAGE_SIZE as usize;

/// A page as it was written to the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Image {
    /// The number of the page.
    pub(super) page: u32,
    /// Where its bytes begin in the log.
    pub(super) at: u64,
    /// Its checksum is right, and its transaction was written to the end.
    pub(super) trusted: bool,
}

/// What is in a log.
#[derive(Debug, Default)]
pub(super) struct LogContents {
    /// In the order in which they were written.
    pub(super) images: Vec<Image>,
    /// Something in it is not what was written.
    pub(super) damaged: bool,
}

/// Whether the log of `file` is damaged. To be asked before SQLite opens the file, because that drops the damaged part.
pub(in crate::store) fn is_damaged(file: &Path) -> io::Result<bool> {
    Ok(read(&file::companion(file, "-wal"))?.damaged)
}

/// Reads the log at `path`; a missing one is empty. Keeps no pages in memory.
pub(super) fn read(path: &Path) -> io::Result<LogContents> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(LogContents::default()),
        file => file?,
    };
    let mut header = [0; HEADER];
    if file.read_exact_at(&mut header, 0).is_err() {
        return Ok(LogContents::default());
    }
    let order = if word(&header, 0) & 1 == 1 { u32::from_be_bytes } else { u32::from_le_bytes };
    let start = checksum([0; 2], &header[..24], order);
    let header_holds = word(&header, 0) >> 1 == 0x377f_0682 >> 1
        && word(&header, 8) == PAGE_SIZE
        && start == [word(&header, 24), word(&header, 28)];
    let mut salts = [word(&header, 16), word(&header, 20)];

    let mut log = LogContents::default();
    let mut before = start;
    let mut commits = 0;
    let mut broken = !header_holds;
    let mut frame = vec![0; FRAME_HEADER + PAGE];
    for number in 0.. {
        let at = HEADER as u64 + number * (FRAME_HEADER + PAGE) as u64;
        match file.read_exact_at(&mut frame, at) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            // A sector cannot be read.
            Err(_) => {
                broken = true;
                continue;
            }
        }
        let found = [word(&frame, 8), word(&frame, 12)];
        if number == 0 && !header_holds {
            salts = found;
        }
        // One of the two is enough: the other may be damaged. A frame that was left by an older log has neither.
        if found[0] != salts[0] && found[1] != salts[1] {
            break;
        }
        let sum = checksum(checksum(before, &frame[..8], order), &frame[FRAME_HEADER..], order);
        // The stored sum, even if it is wrong, so that the next frame can be judged by itself.
        before = [word(&frame, 16), word(&frame, 20)];
        let trusted = sum == before && found == salts;
        broken |= !trusted;
        log.images.push(Image { page: word(&frame, 0), at: at + FRAME_HEADER as u64, trusted });
        if word(&frame, 4) != 0 {
            commits = log.images.len();
        }
    }
    // What was not committed may be torn: nobody was told that it is stored.
    log.damaged = broken && commits > 0 && (!header_holds || log.images[..commits].iter().any(|image| !image.trusted));
    log.images[commits..].iter_mut().for_each(|image| image.trusted = false);
    Ok(log)
}

/// The checksum of SQLite's log: two sums over pairs of words.
fn checksum(start: [u32; 2], bytes: &[u8], order: fn([u8; 4]) -> u32) -> [u32; 2] {
    let [mut first, mut second] = start;
    for pair in bytes.chunks_exact(8) {
        let (low, high) = pair.split_at(4);
        first = first.wrapping_add(order(low.try_into().unwrap_or_default())).wrapping_add(second);
        second = second.wrapping_add(order(high.try_into().unwrap_or_default())).wrapping_add(first);
    }
    [first, second]
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("a slice of four bytes"))
}
