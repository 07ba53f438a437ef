//! Any bytes: dividing them fails or conserves every item, and halving comes to an end.
#![no_main]

use bytes::Bytes;
use chainspan::otlp::{count_items, halve, split};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&[size, together], body)) = data.split_first_chunk() else { return };
    let (body, together) = (Bytes::copy_from_slice(body), together & 1 != 0);
    let Ok(pieces) = split(&body, usize::from(size), together) else { return };
    let total = count_items(&body).expect("split has read it");
    assert_eq!(pieces.iter().map(|piece| piece.items).sum::<u32>(), total);
    for piece in &pieces {
        assert_eq!(count_items(&piece.body), Ok(piece.items));
        assert!(piece.body.len() <= usize::from(size) || piece.items < 2);
    }
    let mut left = vec![body];
    let mut singles = 0;
    while let Some(next) = left.pop() {
        let halves = match halve(&next, together) {
            Ok(halves) => halves,
            // Traces are only looked for in what has to be divided: `split` may not have read the spans.
            Err(_) if together => return,
            Err(error) => panic!("split has read the messages around the items: {error}"),
        };
        match halves {
            Some((first, second)) => {
                assert!(first.items > 0 && second.items > 0);
                left.extend([first.body, second.body]);
            }
            None => singles += count_items(&next).expect("a piece"),
        }
    }
    assert_eq!(singles, total);
});
