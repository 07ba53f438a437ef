//! What is given back to clients, or let go, when a destination ends or is asked to free those who wait.

use super::connections::ConnectionState;
use super::in_flight::InFlight;
use super::piece::QueuedPiece;
use crate::delivery::command::EntryId;
use crate::delivery::parcel::Undelivered;
use crate::otlp::PerSignal;

impl InFlight {
    /// Hands back everything that clients still wait for; what was to be sent once goes on. `true`: there was something.
    pub(crate) fn hand_back_waiting(&mut self) -> bool {
        let pieces = self.live.iter().chain(self.connections.iter().flat_map(ConnectionState::pieces));
        let waiting = pieces.filter(|piece| !self.entries.get(piece.entry).at_most_once());
        let waiting: Vec<EntryId> = waiting.map(|piece| piece.entry).collect();
        let mut handed_back = false;
        for entry in waiting {
            handed_back |= self.entries.hand_back(entry, Undelivered::Closed);
        }
        if handed_back {
            self.expiry.withdraw();
        }
        handed_back
    }

    /// What must not be sent twice is not written, and of signals that are `paused` will not be sent any more; what is on its
    /// way has until it is `late`.
    pub(crate) fn hand_back_at_most_once(&mut self, paused: &PerSignal<bool>, late: bool) {
        let connections = self.connections.iter().filter(|connection| late || connection.sending.is_none());
        let pieces = self.live.iter().chain(connections.flat_map(ConnectionState::pieces));
        let lost = |entry: &EntryId| {
            let entry = self.entries.get(*entry);
            entry.at_most_once() && paused[entry.signal()]
        };
        let lost: Vec<EntryId> = pieces.map(|piece| piece.entry).filter(lost).collect();
        if lost.is_empty() {
            return;
        }
        self.expiry.withdraw();
        for entry in lost {
            self.entries.hand_back(entry, Undelivered::Closed);
        }
    }

    /// Lets go of everything, and ends every attempt. `true`: something had to be handed back that its client was waiting
    /// for; where there is a store (`keeps`) nobody waits for what was to be sent once.
    pub(crate) fn give_up(&mut self, keeps: bool) -> bool {
        let mut pieces: Vec<QueuedPiece> = Vec::new();
        for queue in [std::mem::take(&mut self.replayed), std::mem::take(&mut self.live)] {
            pieces.extend(queue.into_lanes().flat_map(|(_, lane)| lane));
        }
        for connection in &mut self.connections {
            connection.sending = None;
            pieces.extend(connection.work.drain(..).flat_map(|batch| batch.pieces));
        }
        let mut handed_back = false;
        for piece in pieces {
            if self.entries.evict_if_durable(&piece, false) {
                continue;
            }
            handed_back |= self.entries.hand_back(piece.entry, Undelivered::Closed)
                && !(keeps && self.entries.get(piece.entry).at_most_once());
            self.entries.release(&piece);
        }
        handed_back
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::time::Instant;

    use super::*;
    use crate::otlp::{self, Signal};
    use crate::store::{RecordId, Waiting};

    fn hand_over(inflight: &mut InFlight, signal: Signal, at_most_once: bool) -> EntryId {
        let pieces = vec![otlp::Piece { body: Bytes::from_static(b"body"), items: 1 }];
        let (reply, answer) = tokio::sync::oneshot::channel();
        // Somebody waits until the end of the test.
        std::mem::forget(answer);
        let entry = inflight.entries.accept(Some(reply), (signal, 1, at_most_once), None, &pieces);
        inflight.enqueue(entry, signal, pieces, None);
        entry
    }

    #[test]
    fn those_who_wait_are_freed_and_what_is_sent_once_goes_on() {
        let mut inflight = InFlight::new("otlp/a", 1);
        let now = Instant::now();
        hand_over(&mut inflight, Signal::Metrics, true);
        assert!(!inflight.hand_back_waiting() && inflight.expiry.due(now).is_none());
        hand_over(&mut inflight, Signal::Traces, false);
        assert!(inflight.hand_back_waiting());
        assert_eq!(inflight.expiry.due(now), Some(now), "its memory is freed by the next pass");
        assert_eq!(inflight.entries.accounting.spans.accepted, 0);
        assert_eq!(inflight.entries.accounting.requests.in_flight, 1);
    }

    #[test]
    fn at_the_end_what_may_be_sent_once_is_lost_with_its_paused_signal_alone() {
        let mut inflight = InFlight::new("otlp/a", 1);
        let [metrics, logs] = [Signal::Metrics, Signal::Logs].map(|signal| hand_over(&mut inflight, signal, true));
        inflight.hand_back_at_most_once(&PerSignal::from_fn(|signal| signal == Signal::Logs), false);
        assert!(inflight.entries.get(metrics).is_waiting() && !inflight.entries.get(logs).is_waiting());
    }

    /// What the disk has stays there and nobody is told to retry; what only the memory had goes back.
    #[test]
    fn giving_up_frees_all_memory_and_says_whether_a_client_must_retry() {
        for (at_most_once, keeps, told) in [(false, true, true), (true, true, false), (true, false, true)] {
            let mut inflight = InFlight::new("otlp/a", 1);
            hand_over(&mut inflight, Signal::Metrics, at_most_once);
            let body = Bytes::from_static(b"body");
            let record = Waiting { id: RecordId(1), signal: Signal::Traces, body, spans: 1, received: 1 };
            inflight.resume(&record, None, 1 << 20);
            assert_eq!(inflight.give_up(keeps), told, "{at_most_once} {keeps}");
            assert!(inflight.is_empty() && inflight.replayed.is_empty());
            assert_eq!((inflight.entries.accounting.queue_bytes(), inflight.entries.tasks.len()), (0, 1));
        }
    }
}
