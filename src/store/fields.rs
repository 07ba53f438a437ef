//! Numbers and texts as a head stores them: little endian, with a length in front of every text and list.
//!
//! What is read may be damaged: no length is believed before the bytes are there.

/// A length as it is stored. Bodies are no longer than the largest request that is received, far below 4 GiB.
pub(super) fn size(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&size(text.len()).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

pub(super) fn put_texts(out: &mut Vec<u8>, texts: &[String]) {
    out.extend_from_slice(&size(texts.len()).to_le_bytes());
    for text in texts {
        put_text(out, text);
    }
}

pub(super) fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(count)?;
    *rest = left;
    Some(taken)
}

pub(super) fn u32_of(rest: &mut &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(take(rest, 4)?.try_into().ok()?))
}

pub(super) fn u64_of(rest: &mut &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(take(rest, 8)?.try_into().ok()?))
}

pub(super) fn text(rest: &mut &[u8]) -> Option<String> {
    let length = u32_of(rest)? as usize;
    String::from_utf8(take(rest, length)?.to_vec()).ok()
}

pub(super) fn texts(rest: &mut &[u8]) -> Option<Vec<String>> {
    let count = u32_of(rest)?;
    // Not reserved in advance: the number may be damaged.
    (0..count).map(|_| text(rest)).collect()
}
