//! A message that lies in several buffers, given to HTTP/2 as one: the bodies of a batch are sent without being joined, and
//! frames need not end where a body ends.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// Buffers that are read one after the other. Each is freed as soon as it has been read.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    chunks: VecDeque<Bytes>,
    remaining: usize,
}

impl Chunks {
    /// `prefix`, then `bodies`; empty ones are left out.
    pub(crate) fn new(prefix: Bytes, bodies: Vec<Bytes>) -> Self {
        let mut chunks = VecDeque::with_capacity(bodies.len() + 1);
        chunks.push_back(prefix);
        chunks.extend(bodies);
        chunks.retain(|chunk: &Bytes| !chunk.is_empty());
        let remaining = chunks.iter().map(Bytes::len).sum();
        Self { chunks, remaining }
    }
}

impl Buf for Chunks {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        self.chunks.front().map_or(&[], |chunk| chunk.as_ref())
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        for (slice, chunk) in slices.iter_mut().zip(&self.chunks) {
            *slice = IoSlice::new(chunk);
            filled += 1;
        }
        filled
    }

    fn advance(&mut self, mut count: usize) {
        assert!(count <= self.remaining, "cannot advance past the end");
        self.remaining -= count;
        while count > 0 {
            let Some(front) = self.chunks.front_mut() else { return };
            if count < front.len() {
                front.advance(count);
                return;
            }
            count -= front.len();
            self.chunks.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Read in steps of any size, vectored or not, they yield their concatenation.
        #[test]
        fn a_rope_reads_like_its_chunks_joined(
            bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..6),
            steps in proptest::collection::vec(1_usize..30, 1..60),
        ) {
            let joined: Vec<u8> = [&b"12345"[..]].into_iter().chain(bodies.iter().map(|body| &body[..])).flatten().copied().collect();
            let mut rope = Chunks::new(Bytes::from_static(b"12345"), bodies.into_iter().map(Bytes::from).collect());
            let mut read = Vec::new();
            for step in steps.iter().cycle() {
                prop_assert_eq!(rope.remaining(), joined.len() - read.len());
                if !rope.has_remaining() {
                    break;
                }
                let mut slices = [IoSlice::new(&[]); 3];
                let filled = rope.chunks_vectored(&mut slices);
                let seen: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect();
                prop_assert!(!seen.is_empty());
                let count = (*step).min(seen.len());
                read.extend_from_slice(&seen[..count]);
                rope.advance(count);
            }
            prop_assert_eq!(read, joined);
        }
    }

    #[test]
    fn a_chunk_that_has_been_read_is_given_up() {
        struct Owner(std::sync::Arc<()>);
        impl AsRef<[u8]> for Owner {
            fn as_ref(&self) -> &[u8] {
                let _ = &self.0;
                b"body"
            }
        }
        let alive = std::sync::Arc::new(());
        let mut rope = Chunks::new(
            Bytes::from_static(b"12345"),
            vec![Bytes::from_owner(Owner(alive.clone())), Bytes::from_static(b"x")],
        );
        rope.advance(8);
        assert_eq!(std::sync::Arc::strong_count(&alive), 2);
        rope.advance(1);
        assert_eq!(std::sync::Arc::strong_count(&alive), 1);
    }
}
