//! Decompression that cannot be made to take more memory than it is allowed.
//!
//! The output grows in steps. Each step is taken out of the memory budget before it is allocated, and none goes beyond
//! the largest request; what a compressed message says of its own size only sizes the first step. A zstd window is
//! limited to [`ZSTD_WINDOW_LOG`], and counted as the output fills it. A single request may therefore hold, at its worst,
//! its compressed size + `max_request_bytes` + 8 MiB, all of it counted.
//!
//! Inflating takes processor time: a fifth of a second for 64 MiB. Between two steps the task yields, so that other requests
//! go on, and the work ends when its client goes away. The usual request inflates in one or two steps and stays on its
//! thread. Only for more than [`BLOCKING_ABOVE_BYTES`] compressed bytes does the work move to the
//! blocking pool: there a single step may read much and give little (a run of empty gzip members).

use std::io::{self, Read};

use bytes::buf::Reader;
use bytes::{Buf, Bytes};
use flate2::bufread::MultiGzDecoder;

use super::encoding::Encoding;
use super::status::RequestError;
use crate::pipeline::{Budget, Reservation};

/// Output between two yields, and the least growth of the output buffer: about half a millisecond of work.
const STEP_BYTES: usize = 256 * 1024;
/// Compressed size above which the work moves to the blocking pool.
const BLOCKING_ABOVE_BYTES: usize = 1024 * 1024;
/// Largest zstd window, as a power of two: 8 MiB, which RFC 8878 asks every decoder to support, and which every level
/// up to 19 stays within.
const ZSTD_WINDOW_LOG: u32 = 23;
/// Size of the first buffer, at most, in multiples of the compressed size: telemetry compresses 5 to 15 times.
const MAX_FIRST_RATIO: usize = 16;

/// Inflates `compressed` to at most `limit` bytes. What it takes comes out of `budget` and stays taken for as long as the
/// result lives; `compressed` gives back its own share when it is dropped at the end.
pub(super) async fn inflate(
    encoding: Encoding,
    compressed: Bytes,
    limit: usize,
    budget: &Budget,
) -> Result<Bytes, RequestError> {
    let blocking = compressed.len() > BLOCKING_ABOVE_BYTES;
    let Some(mut inflation) = Inflation::new(encoding, compressed.clone(), limit, budget)? else {
        return Ok(compressed);
    };
    drop(compressed);
    if blocking {
        return tokio::task::spawn_blocking(move || {
            while !inflation.step()? {}
            Ok(inflation.finish())
        })
        .await
        .unwrap_or(Err(RequestError::InflateAborted));
    }
    while !inflation.step()? {
        tokio::task::yield_now().await;
    }
    Ok(inflation.finish())
}

enum Decoder {
    Gzip(Box<MultiGzDecoder<Reader<Bytes>>>),
    Zstd(zstd::stream::read::Decoder<'static, Reader<Bytes>>),
}

impl Decoder {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Decoder::Gzip(decoder) => decoder.read(into),
            Decoder::Zstd(decoder) => decoder.read(into),
        }
    }
}

/// An output that fills step by step. Invariants: `filled <= out.len() <= limit`; the reservation covers `out.len()`, the
/// decoder's own tables, and as much of its window as the output can have touched.
struct Inflation {
    encoding: Encoding,
    decoder: Decoder,
    out: Vec<u8>,
    filled: usize,
    limit: usize,
    reservation: Reservation,
    budget_limit: usize,
}

impl Inflation {
    /// `None` when there is nothing to inflate.
    fn new(encoding: Encoding, compressed: Bytes, limit: usize, budget: &Budget) -> Result<Option<Self>, RequestError> {
        let full = || RequestError::BudgetFull { limit: budget.limit() };
        let corrupt = |cause| RequestError::Corrupt { encoding, cause };
        let (tables, claimed) = match encoding {
            Encoding::Identity => return Ok(None),
            Encoding::Gzip => (64 * 1024, gzip_claim(&compressed)),
            Encoding::Zstd => (256 * 1024, zstd_claim(&compressed)),
        };
        let reservation = budget.try_reserve(tables).ok_or_else(full)?;
        let first =
            claimed.unwrap_or(STEP_BYTES).min(compressed.len().saturating_mul(MAX_FIRST_RATIO)).clamp(1, limit.max(1));
        let decoder = match encoding {
            Encoding::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(compressed.reader()).map_err(corrupt)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(corrupt)?;
                Decoder::Zstd(decoder)
            }
            _ => Decoder::Gzip(Box::new(MultiGzDecoder::new(compressed.reader()))),
        };
        let mut inflation =
            Self { encoding, decoder, out: Vec::new(), filled: 0, limit, reservation, budget_limit: budget.limit() };
        inflation.grow_to(first)?;
        Ok(Some(inflation))
    }

    /// Adds up to [`STEP_BYTES`] bytes; true when all is done.
    fn step(&mut self) -> Result<bool, RequestError> {
        if self.filled == self.out.len() {
            // Before the buffer grows: is there anything more at all? The claimed size is exact most of the time.
            let mut probe = [0u8; 1];
            if self.read(|decoder, _| decoder.read(&mut probe))? == 0 {
                return Ok(true);
            }
            if self.filled == self.limit {
                return Err(RequestError::InflatesTooLarge { limit: self.limit });
            }
            self.grow_to(
                self.out.len().saturating_mul(2).max(self.out.len().saturating_add(STEP_BYTES)).min(self.limit),
            )?;
            self.out[self.filled] = probe[0];
            self.filled += 1;
        }
        let (from, to) = (self.filled, self.out.len().min(self.filled + STEP_BYTES));
        let read = self.read(|decoder, out| decoder.read(&mut out[from..to]))?;
        self.filled += read;
        Ok(read == 0 && from < to)
    }

    fn read(&mut self, read: impl FnOnce(&mut Decoder, &mut [u8]) -> io::Result<usize>) -> Result<usize, RequestError> {
        let encoding = self.encoding;
        read(&mut self.decoder, &mut self.out).map_err(|cause| RequestError::Corrupt { encoding, cause })
    }

    fn grow_to(&mut self, size: usize) -> Result<(), RequestError> {
        let (before, more) = (self.out.len(), size - self.out.len());
        let window = match self.encoding {
            Encoding::Zstd => size.min(1 << ZSTD_WINDOW_LOG) - before.min(1 << ZSTD_WINDOW_LOG),
            _ => 0,
        };
        if !self.reservation.try_grow(more + window) {
            return Err(RequestError::BudgetFull { limit: self.budget_limit });
        }
        self.out.reserve_exact(more);
        self.out.resize(size, 0);
        Ok(())
    }

    /// The output, holding no more of the budget than its own size.
    fn finish(self) -> Bytes {
        let Self { decoder, mut out, filled, mut reservation, .. } = self;
        drop(decoder);
        out.truncate(filled);
        if out.capacity() - filled > filled / 8 {
            out.shrink_to_fit();
        }
        reservation.shrink_to(out.capacity());
        reservation.attach(Bytes::from(out))
    }
}

/// What the last four bytes of a gzip member claim: the size, modulo 2^32. Not to be trusted.
fn gzip_claim(compressed: &[u8]) -> Option<usize> {
    compressed.last_chunk::<4>().map(|claim| u32::from_le_bytes(*claim) as usize)
}

/// What a zstd frame header claims of its content. Not to be trusted.
fn zstd_claim(compressed: &[u8]) -> Option<usize> {
    let claim = zstd::zstd_safe::get_frame_content_size(compressed).ok().flatten()?;
    usize::try_from(claim).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn deflate(encoding: Encoding, bytes: &[u8]) -> Vec<u8> {
        if encoding == Encoding::Zstd {
            return zstd::encode_all(bytes, 1).unwrap();
        }
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn run(encoding: Encoding, compressed: Vec<u8>, limit: usize, budget: &Budget) -> Result<Bytes, RequestError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(inflate(encoding, compressed.into(), limit, budget))
    }

    /// Bytes that compress well, badly, or not at all.
    fn content() -> impl Strategy<Value = Vec<u8>> {
        (0..60_000usize, 1..=255u8, any::<u64>()).prop_map(|(size, span, seed)| {
            let mut random = fastrand::Rng::with_seed(seed);
            (0..size).map(|_| random.u8(..span)).collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// What was compressed comes out, if it is within the limit; else the limit is named. What it takes of the budget
        /// is about its own size, and comes back.
        #[test]
        fn what_was_compressed_comes_out(content in content(), gzip: bool, limit in 1..80_000usize) {
            let encoding = if gzip { Encoding::Gzip } else { Encoding::Zstd };
            let budget = Budget::new(1 << 20);
            match run(encoding, deflate(encoding, &content), limit, &budget) {
                Ok(inflated) => {
                    prop_assert!(content.len() <= limit);
                    prop_assert_eq!(&inflated[..], &content[..]);
                    let used = budget.used();
                    prop_assert!((content.len()..=content.len() + content.len() / 8).contains(&used), "{used}");
                }
                Err(error) => {
                    prop_assert!(content.len() > limit, "{}", error);
                    prop_assert!(matches!(error, RequestError::InflatesTooLarge { .. }), "{}", error);
                }
            }
            prop_assert_eq!(budget.used(), 0);
        }

        /// Damaged and invented bytes: never a panic, never more than the limit, and the budget is whole again.
        #[test]
        fn damage_does_no_harm(
            content in content(),
            gzip: bool,
            at in any::<prop::sample::Index>(),
            damage in proptest::collection::vec(any::<u8>(), 1..40),
        ) {
            let encoding = if gzip { Encoding::Gzip } else { Encoding::Zstd };
            let budget = Budget::new(1 << 20);
            let mut compressed = deflate(encoding, &content);
            let at = at.index(compressed.len());
            compressed.splice(at.., damage);
            if let Ok(inflated) = run(encoding, compressed, 30_000, &budget) {
                prop_assert!(inflated.len() <= 30_000);
            }
            prop_assert_eq!(budget.used(), 0);
        }
    }

    /// A budget that is full while the output grows ends the work, whatever the limit would allow.
    #[test]
    fn the_budget_is_asked_for_every_step() {
        for encoding in [Encoding::Gzip, Encoding::Zstd] {
            let budget = Budget::new(600 * 1024);
            let error = run(encoding, deflate(encoding, &[0; 2 << 20]), 4 << 20, &budget).unwrap_err();
            assert!(matches!(error, RequestError::BudgetFull { .. }), "{error}");
            assert_eq!(budget.used(), 0);
        }
    }
}
