//! What waits to be sent: one lane per signal, oldest first. Batches are taken from the front of a lane.

use std::collections::VecDeque;

use super::piece::{Batch, QueuedPiece};
use crate::otlp::{PerSignal, Signal};

/// One lane per signal.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    lanes: PerSignal<VecDeque<QueuedPiece>>,
}

impl Queue {
    /// Appends `piece` to its lane.
    pub(crate) fn push(&mut self, signal: Signal, piece: QueuedPiece) {
        self.lanes[signal].push_back(piece);
    }

    /// Puts pieces that were taken, and not sent, back to their old places.
    pub(crate) fn put_back(&mut self, signal: Signal, pieces: Vec<QueuedPiece>) {
        let lane = &mut self.lanes[signal];
        lane.extend(pieces);
        lane.make_contiguous().sort_by_key(|piece| piece.sequence);
    }

    /// A batch of the admitted signal whose oldest piece has waited longest: its pieces in order, up to `max` bytes but at least
    /// one piece.
    pub(crate) fn take(&mut self, max: usize, admitted: PerSignal<bool>) -> Option<Batch> {
        let waiting = |signal: &Signal| self.lanes[*signal].front().map(|piece| piece.sequence);
        let candidates = Signal::ALL.into_iter().filter(|signal| admitted[*signal]);
        let signal = candidates.filter(|signal| waiting(signal).is_some()).min_by_key(waiting)?;
        let first = self.lanes[signal].pop_front()?;
        let mut batch = Batch { signal, pieces: vec![first], sealed: false, replayed: false };
        self.top_up(&mut batch, max);
        Some(batch)
    }

    /// Adds to `batch` what still fits.
    pub(crate) fn top_up(&mut self, batch: &mut Batch, max: usize) {
        let mut bytes = batch.bytes();
        let lane = &mut self.lanes[batch.signal];
        while lane.front().is_some_and(|piece| bytes + piece.body.len() <= max) {
            let Some(piece) = lane.pop_front() else { return };
            bytes += piece.body.len();
            batch.pieces.push(piece);
        }
    }

    /// Everything, in no particular order across signals.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &QueuedPiece> {
        self.lanes.values().flatten()
    }

    /// The oldest piece of each signal.
    pub(crate) fn fronts(&self) -> impl Iterator<Item = &QueuedPiece> {
        self.lanes.values().filter_map(VecDeque::front)
    }

    /// Removes what `keep` does not want.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&QueuedPiece) -> bool) {
        for lane in self.lanes.values_mut() {
            lane.retain(&mut keep);
        }
    }

    /// The bytes of all pieces. Counts them each time.
    pub(crate) fn bytes(&self) -> usize {
        self.iter().map(|piece| piece.body.len()).sum()
    }

    /// Everything, lane by lane.
    pub(crate) fn into_lanes(self) -> impl Iterator<Item = (Signal, VecDeque<QueuedPiece>)> {
        self.lanes.into_iter()
    }

    /// Everything of `signal`.
    pub(crate) fn take_lane(&mut self, signal: Signal) -> VecDeque<QueuedPiece> {
        std::mem::take(&mut self.lanes[signal])
    }

    /// Whether anything waits of a signal among the `admitted`.
    pub(crate) fn has_any(&self, admitted: PerSignal<bool>) -> bool {
        self.lanes.iter().any(|(signal, lane)| admitted[signal] && !lane.is_empty())
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.lanes.values().all(VecDeque::is_empty)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn all() -> PerSignal<bool> {
        PerSignal::from_fn(|_| true)
    }

    fn piece(sequence: u64, length: usize) -> QueuedPiece {
        QueuedPiece { body: Bytes::from(vec![0; length]), items: 1, entry: 0, sequence, held: None }
    }

    fn sequences(batch: &Batch) -> Vec<u64> {
        batch.pieces.iter().map(|piece| piece.sequence).collect()
    }

    #[test]
    fn a_batch_holds_one_signal_oldest_first_and_never_more_than_fits() {
        let mut queue = Queue::default();
        queue.push(Signal::Logs, piece(1, 40));
        queue.push(Signal::Traces, piece(2, 40));
        queue.push(Signal::Logs, piece(3, 40));
        queue.push(Signal::Logs, piece(4, 40));
        let batch = queue.take(100, all()).expect("something waits");
        assert_eq!((batch.signal, sequences(&batch)), (Signal::Logs, vec![1, 3]));
        assert_eq!(queue.take(100, all()).map(|batch| sequences(&batch)), Some(vec![2]));
        assert_eq!(queue.take(10, all()).map(|batch| sequences(&batch)), Some(vec![4]));
        assert!(queue.take(100, all()).is_none() && queue.is_empty());
    }

    /// A signal that is not admitted keeps its place, and what was taken of it gets its place back.
    #[test]
    fn what_is_not_admitted_is_passed_over_and_what_comes_back_is_where_it_was() {
        let mut queue = Queue::default();
        for (signal, sequence) in [(Signal::Logs, 1), (Signal::Logs, 2), (Signal::Traces, 3), (Signal::Logs, 4)] {
            queue.push(signal, piece(sequence, 40));
        }
        let first = queue.take(40, all()).expect("logs");
        let second = queue.take(40, all()).expect("logs");
        queue.put_back(Signal::Logs, second.pieces);
        queue.put_back(Signal::Logs, first.pieces);
        let without_logs = PerSignal::from_fn(|signal| signal != Signal::Logs);
        assert!(queue.has_any(without_logs));
        assert_eq!(queue.take(100, without_logs).map(|batch| sequences(&batch)), Some(vec![3]));
        assert!(!queue.has_any(without_logs) && queue.take(100, without_logs).is_none());
        assert_eq!(queue.take(1_000, all()).map(|batch| sequences(&batch)), Some(vec![1, 2, 4]));
    }
}
