//! Any bytes as the head of a record: it is read or it is not, and what is read is written again as the same bytes.
#![no_main]

use chainspan::fuzzing::reencode_head;
use libfuzzer_sys::fuzz_target;

/// See `src/store/frame.rs`: magic, length of the head, checksum of the head.
const MAGIC: &[u8] = b"\xf5cspnR1\n";
const LENGTH: std::ops::Range<usize> = 8..12;
const CHECKSUM: std::ops::Range<usize> = 16..20;
/// Reserved; 0 in whatever is written.
const RESERVED: usize = 47;

fuzz_target!(|bytes: &[u8]| {
    let _ = reencode_head(bytes);
    // No random bytes have the right checksum: sealed, what is behind it is read as well.
    let mut sealed = [MAGIC, bytes].concat();
    if sealed.len() <= RESERVED {
        return;
    }
    sealed[RESERVED] = 0;
    let length = u32::try_from(sealed.len()).expect("libFuzzer's inputs are short");
    sealed[LENGTH].copy_from_slice(&length.to_le_bytes());
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&sealed[..CHECKSUM.start]), &sealed[CHECKSUM.end..]);
    sealed[CHECKSUM].copy_from_slice(&checksum.to_le_bytes());
    if let Some(again) = reencode_head(&sealed) {
        // Shorter where something nobody reads follows the last field.
        assert!(again.len() < sealed.len() || again == sealed, "the same fields are the same bytes");
        assert_eq!(reencode_head(&again), Some(again));
    }
});
