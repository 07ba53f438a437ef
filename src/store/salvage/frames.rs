//! Finds frames in pages, and follows them through their overflow pages.
//!
//! A row is a cell in a leaf page of its table: its length and id, a record header, then the columns. What does not fit into the
//! page goes into a chain of overflow pages, each of which starts with the number of the next. How much is in the leaf page follows
//! from the length of the cell, and that from the two lengths in the frame: so nothing else in the page needs to be right.
//!
//! Format: <https://www.sqlite.org/fileformat2.html#b_tree_pages> ("payload ... spilled onto overflow pages").

use crate::store::file::PAGE_SIZE;
use crate::store::frame::{self, Decoded, Head, MAGIC};
use crate::store::salvage::pages::{Belief, Location, PageBytes, Pages};

const PAGE: usize = PAGE_SIZE as usize;

/// Where a frame begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    pub(super) location: Location,
    pub(super) at: usize,
}

/// What is at a spot.
#[derive(Debug)]
pub(super) enum Frame {
    /// A record as it was written: its head, decoded and as it is stored, and its body.
    Sound(Head, Vec<u8>, Vec<u8>),
    /// A record of which something is wrong: its head, and what there is of its body.
    Damaged(Head, Vec<u8>),
    /// Nothing that can be read.
    Nothing,
}

/// Where frames may begin in `page`.
pub(super) fn spots(location: Location, page: &PageBytes) -> Vec<Spot> {
    let mut spots = Vec::new();
    let mut from = 0;
    while let Some(next) = page[from..].iter().position(|&byte| byte == MAGIC[0]) {
        let at = from + next;
        if page[at..].starts_with(&MAGIC) {
            spots.push(Spot { location, at });
        }
        from = at + 1;
    }
    spots
}

/// Reads the frame that begins at byte `at` of `page`.
pub(super) fn assemble(pages: &Pages, page: &PageBytes, at: usize) -> Frame {
    let Some((head_len, body_len)) = frame::lengths(&page[at..]) else { return Frame::Nothing };
    if (head_len + body_len) as u64 > pages.bytes() {
        return Frame::Nothing;
    }
    let mut worse = Frame::Nothing;
    for belief in [Belief::Trusted, Belief::Newest] {
        let Some(mut frame) = gather(pages, page, at, head_len, body_len, belief) else { continue };
        let body = frame.split_off(head_len.min(frame.len()));
        match Head::decode(&frame) {
            Decoded::Sound(head) if head.matches(&body) => return Frame::Sound(head, frame, body),
            Decoded::Sound(head) | Decoded::Doubtful(head) => worse = Frame::Damaged(head, body),
            Decoded::Garbage => {}
        }
    }
    worse
}

/// The bytes of a frame of these lengths; fewer if the chain of pages ends too early, `None` if no frame can be here.
fn gather(
    pages: &Pages,
    page: &PageBytes,
    at: usize,
    head_len: usize,
    body_len: usize,
    belief: Belief,
) -> Option<Vec<u8>> {
    // The record header: its own length, the id (which is not stored twice), and the types of the two blobs.
    let header = 2 + varint_len(12 + 2 * head_len) + varint_len(12 + 2 * body_len);
    let start = at.checked_sub(header)?;
    let payload = header + head_len + body_len;
    let local = local_len(payload);
    let end = start + local;
    let mut bytes = Vec::with_capacity(head_len + body_len);
    bytes.extend_from_slice(page.get(at..end)?);
    let mut missing = payload - local;
    if missing == 0 {
        return Some(bytes);
    }
    let mut next = number(page.get(end..end + 4)?);
    let mut overflow = Box::new([0; PAGE]);
    while missing > 0 {
        let Some(location) = pages.find(next, belief) else { break };
        pages.read(location, &mut overflow);
        let here = missing.min(PAGE - 4);
        bytes.extend_from_slice(&overflow[4..4 + here]);
        missing -= here;
        next = number(&overflow[..4]);
    }
    Some(bytes)
}

/// How many bytes of a payload are in the leaf page; the rest is in overflow pages.
fn local_len(payload: usize) -> usize {
    let most = PAGE - 35;
    if payload <= most {
        return payload;
    }
    let least = (PAGE - 12) * 32 / 255 - 23;
    let fits = least + (payload - least) % (PAGE - 4);
    if fits <= most { fits } else { least }
}

/// Bytes of a number as SQLite writes it, seven bits in each. No length here needs the ninth, which has eight.
fn varint_len(number: usize) -> usize {
    let bits = usize::BITS - number.leading_zeros();
    bits.div_ceil(7).max(1) as usize
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes.try_into().expect("four bytes are handed over"))
}
