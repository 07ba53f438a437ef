//! What is sent: pieces of parcels, and the batches that carry them.

use bytes::Bytes;

use crate::delivery::command::EntryId;
use crate::otlp::{self, Signal};

/// A parcel, or a part of one that is sent on its own.
#[derive(Clone, Debug)]
pub(crate) struct QueuedPiece {
    pub(crate) body: Bytes,
    pub(crate) items: u32,
    pub(crate) entry: EntryId,
    /// Order of arrival.
    pub(crate) sequence: u64,
    /// What `body` was cut from, if it was. Pieces are copies outside the memory budget; holding the whole as long as any of
    /// them keeps its share reserved, so they at most double it.
    pub(crate) held: Option<Bytes>,
}

/// What one request carries.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) signal: Signal,
    pub(crate) pieces: Vec<QueuedPiece>,
    /// Cut out of a refused batch: nothing may join it.
    pub(crate) sealed: bool,
    /// Read back from the disk.
    pub(crate) replayed: bool,
}

impl Batch {
    /// Bytes before compression.
    pub(crate) fn bytes(&self) -> usize {
        self.pieces.iter().map(|piece| piece.body.len()).sum()
    }

    /// Spans, or requests of metrics and logs.
    pub(crate) fn items(&self) -> u64 {
        self.pieces.iter().map(|piece| u64::from(piece.items)).sum()
    }
}

/// Cuts a parcel into pieces that fit a request: between traces if possible, else within one. What cannot be cut goes out
/// as it is, for the destination to judge.
pub(crate) fn cut_to_size(signal: Signal, body: Bytes, spans: u32, max: usize) -> Vec<otlp::Piece> {
    let whole = |body: &Bytes| vec![otlp::Piece { body: body.clone(), items: spans }];
    if body.len() <= max {
        return whole(&body);
    }
    let Ok(pieces) = otlp::split(&body, max, signal == Signal::Traces) else { return whole(&body) };
    let fit = |piece: otlp::Piece| {
        if piece.body.len() <= max {
            return vec![piece];
        }
        otlp::split(&piece.body, max, false).unwrap_or_else(|_| vec![piece])
    };
    let pieces: Vec<otlp::Piece> = pieces.into_iter().flat_map(fit).collect();
    if pieces.is_empty() { whole(&body) } else { pieces }
}
