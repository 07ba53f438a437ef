//! What becomes of a batch that its destination refuses: it is cut in two, again and again, until what is refused stands
//! alone: between parcels, then between traces, then between spans. Each cut halves what is in question, so a batch of n
//! spans with one offender costs 2 log2 n more requests, and k offenders no more than k times that.

use super::entries::Entries;
use super::piece::{Batch, Piece};
use crate::otlp::{self, Signal};

/// The next step.
#[derive(Debug)]
pub(crate) enum Division {
    /// Send these one after the other; nothing may join them.
    Halves(Batch, Batch),
    /// It stands alone: this is what the destination refuses.
    Alone(Batch),
}

/// Cuts by parcel only: a parcel goes back to its client as a whole.
pub(crate) fn by_parcel(batch: Batch) -> Division {
    let first = batch.pieces.first().map(|piece| piece.entry);
    if batch.pieces.iter().all(|piece| Some(piece.entry) == first) {
        return Division::Alone(batch);
    }
    in_the_middle(batch)
}

/// Cuts by parcel, and a parcel by trace and span.
pub(crate) fn by_span(mut batch: Batch, entries: &mut Entries) -> Division {
    if batch.pieces.len() > 1 {
        return in_the_middle(batch);
    }
    let Some(piece) = batch.pieces.pop() else { return Division::Alone(batch) };
    let Some((left, right)) = halve(batch.signal, &piece) else {
        batch.pieces.push(piece);
        return Division::Alone(batch);
    };
    entries.cut(&piece, [&left, &right]);
    // The halves are copies; as long as one of them is there, so is what they were cut from, and its share of the budget.
    let held = Some(piece.held.clone().unwrap_or_else(|| piece.body.clone()));
    let of = |half: otlp::Piece| Batch {
        pieces: vec![Piece { body: half.body, items: half.items, held: held.clone(), ..piece }],
        sealed: true,
        ..batch
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
    let second = Batch { pieces, ..batch };
    Division::Halves(batch, second)
}
