//! Any bytes as the body of a request: as they are, and framed as a gzip or zstd message. It is refused or read, within its
//! limits, and however it is cut into DATA frames the outcome is the same.
#![no_main]

use bytes::Bytes;
use chainspan::fuzzing::read_body;
use libfuzzer_sys::fuzz_target;

const MAX_BYTES: usize = 64 * 1024;
const BUDGET_BYTES: usize = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    let Some((cut, bytes)) = bytes.split_first() else { return };
    let length = u32::try_from(bytes.len()).expect("libFuzzer's inputs are short");
    let framed = [&[1][..], &length.to_be_bytes(), bytes].concat();
    for encoding in ["identity", "gzip", "zstd"] {
        for body in [bytes, &framed] {
            let body = Bytes::copy_from_slice(body);
            let whole = read_body(vec![body.clone()], encoding, MAX_BYTES, BUDGET_BYTES);
            let cut = usize::from(*cut).min(body.len());
            let pieces = vec![body.slice(..cut), body.slice(cut..)];
            assert_eq!(read_body(pieces, encoding, MAX_BYTES, BUDGET_BYTES), whole);
        }
    }
});
