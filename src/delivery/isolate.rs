//! What becomes of a batch that its destination refuses: it is cut in two, again and again, until what is refused stands
//! alone. Each cut halves what is in question, so a batch of n parcels with one offender costs 2 log2 n more requests,
//! and there is no way round to a batch that was seen before.

use super::Signal;
use super::queue::{Batch, Piece};
use super::tickets::Tickets;
use crate::otlp;

/// The next step.
#[derive(Debug)]
pub(crate) enum Division {
    /// Send these one after the other; nothing may join them.
    Halves(Batch, Batch),
    /// It stands alone: this is what the destination refuses.
    Alone(Batch),
}

/// Cuts by parcel only. (Bisection by span begins where this ends, once there are dead letters to put one span in.)
pub(crate) fn by_parcel(batch: Batch) -> Division {
    let first = batch.pieces.first().map(|piece| piece.ticket);
    if batch.pieces.iter().all(|piece| Some(piece.ticket) == first) {
        return Division::Alone(batch);
    }
    in_the_middle(batch)
}

/// Cuts by parcel, and a parcel that is too large on its own by span.
pub(crate) fn by_size(mut batch: Batch, tickets: &mut Tickets) -> Division {
    if batch.pieces.len() > 1 {
        return in_the_middle(batch);
    }
    let Some(piece) = batch.pieces.pop() else { return Division::Alone(batch) };
    let Some((left, right)) = halve(batch.signal, &piece) else {
        batch.pieces.push(piece);
        return Division::Alone(batch);
    };
    tickets.cut(piece.ticket);
    let of = |half: otlp::Piece| Batch {
        signal: batch.signal,
        pieces: vec![Piece { body: half.body, items: half.items, ..piece.clone() }],
        sealed: true,
    };
    Division::Halves(of(left), of(right))
}

/// Between traces where that is possible, through one where it is not.
fn halve(signal: Signal, piece: &Piece) -> Option<(otlp::Piece, otlp::Piece)> {
    let together = (signal == Signal::Traces).then(|| otlp::halve(&piece.body, true).ok().flatten()).flatten();
    together.or_else(|| otlp::halve(&piece.body, false).ok().flatten())
}

fn in_the_middle(mut batch: Batch) -> Division {
    let pieces = batch.pieces.split_off(batch.pieces.len() / 2);
    batch.sealed = true;
    let second = Batch { signal: batch.signal, pieces, sealed: true };
    Division::Halves(batch, second)
}
