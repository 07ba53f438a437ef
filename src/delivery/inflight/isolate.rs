//! Finds the offender in a batch that its destination refuses: the batch is cut in two, again and again, between parcels, then
//! between traces, then between spans. Each cut halves what is in question, so one offender among n spans costs `2 log2 n`
//! more requests, and k offenders no more than k times that.

use super::entries::Entries;
use super::piece::{Batch, QueuedPiece};
use crate::otlp::{self, Signal};

/// What is left after a cut.
#[derive(Debug)]
pub(crate) enum Division {
    /// Send these one after the other; nothing may join them.
    Halves(Batch, Batch),
    /// It cannot be cut further: this is what the destination refuses.
    Alone(Batch),
}

/// Cuts between parcels only: each goes back to its client as a whole.
pub(crate) fn by_parcel(batch: Batch) -> Division {
    let first = batch.pieces.first().map(|piece| piece.entry);
    if batch.pieces.iter().all(|piece| Some(piece.entry) == first) {
        return Division::Alone(batch);
    }
    in_the_middle(batch)
}

/// Cuts between parcels, and a single parcel between traces or spans.
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
        pieces: vec![QueuedPiece { body: half.body, items: half.items, held: held.clone(), ..piece }],
        sealed: true,
        ..batch
    };
    Division::Halves(of(left), of(right))
}

/// Between traces if possible, else within one.
fn halve(signal: Signal, piece: &QueuedPiece) -> Option<(otlp::Piece, otlp::Piece)> {
    let together = (signal == Signal::Traces).then(|| otlp::halve(&piece.body, true).ok().flatten()).flatten();
    together.or_else(|| otlp::halve(&piece.body, false).ok().flatten())
}

fn in_the_middle(mut batch: Batch) -> Division {
    let pieces = batch.pieces.split_off(batch.pieces.len() / 2);
    batch.sealed = true;
    let second = Batch { pieces, ..batch };
    Division::Halves(batch, second)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
    use prost::Message;

    use super::*;

    /// A parcel of so many spans, each of its own trace, as the only one in a batch.
    fn parcel(entries: &mut Entries, spans: u8) -> Batch {
        let span = |id| Span { trace_id: vec![id; 16], span_id: vec![id; 8], ..Span::default() };
        let scope_spans = vec![ScopeSpans { spans: (1..=spans).map(span).collect(), ..ScopeSpans::default() }];
        let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
        let body = Bytes::from(ExportTraceServiceRequest { resource_spans }.encode_to_vec());
        let pieces = [otlp::Piece { body: body.clone(), items: u32::from(spans) }];
        let entry = entries.accept(None, (Signal::Traces, u32::from(spans), false), None, &pieces);
        let piece = QueuedPiece { body, items: u32::from(spans), entry, sequence: 1, held: None };
        Batch { signal: Signal::Traces, pieces: vec![piece], sealed: false, replayed: false }
    }

    /// One offender among 64 spans is found with `2 log2 n` requests, and the bytes in memory are counted all the way.
    #[test]
    fn a_parcel_is_cut_until_one_span_stands_alone() {
        let mut entries = Entries::default();
        let mut cuts = 0;
        let mut batch = parcel(&mut entries, 64);
        batch = loop {
            match by_span(batch, &mut entries) {
                Division::Halves(first, second) => {
                    assert!(first.sealed && second.sealed && first.pieces[0].held.is_some());
                    assert_eq!(entries.accounting.queue_bytes(), (first.bytes() + second.bytes()) as u64);
                    second.pieces.iter().for_each(|piece| entries.acknowledge(piece, 0));
                    (batch, cuts) = (first, cuts + 1);
                }
                Division::Alone(batch) => break batch,
            }
        };
        assert_eq!((cuts, batch.items()), (6, 1));
        entries.release(&batch.pieces[0]);
        assert_eq!(entries.accounting.queue_bytes(), 0);
    }

    /// Without a store a parcel is not cut: its client is answered as a whole.
    #[test]
    fn parcels_are_told_apart_and_not_cut() {
        let mut entries = Entries::default();
        let [mut batch, second, third] = [2, 2, 2].map(|spans| parcel(&mut entries, spans));
        batch.pieces.extend(second.pieces.into_iter().chain(third.pieces));
        let Division::Halves(first, second) = by_parcel(batch) else { panic!("three parcels") };
        assert_eq!((first.pieces.len(), second.pieces.len()), (1, 2));
        assert!(matches!(by_parcel(first), Division::Alone(_)));
    }
}
