//! Everything that a destination has in memory: what waits, live or read back from the disk, and what is in the hands of its
//! connections. Plain data; it moves pieces, and knows neither the network nor the store.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::connections::ConnectionState;
use super::entries::Entries;
use super::entry::Lapse;
use super::expiry::{Expiry, hand_back_lapsed, still_wanted};
use super::piece::{Batch, QueuedPiece, cut_to_size};
use super::queue::Queue;
use crate::delivery::command::EntryId;
use crate::delivery::parcel::Undelivered;
use crate::otlp::{self, PerSignal, Signal};
use crate::store::Waiting;

/// What a destination has in memory.
#[derive(Debug)]
pub(crate) struct InFlight {
    /// Component name of the destination.
    pub(crate) destination: String,
    pub(crate) entries: Entries,
    /// Handed over, and not sent yet.
    pub(crate) live: Queue,
    /// Read back from the disk, and not sent yet.
    pub(crate) replayed: Queue,
    pub(crate) connections: Vec<ConnectionState>,
    pub(crate) expiry: Expiry,
    sequence: u64,
    /// The replayed are next, where both wait.
    replay_turn: bool,
}

/// Which of what waits may be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Admitted {
    pub(crate) signals: PerSignal<bool>,
    /// Whether what was read back from the disk may go out, too.
    pub(crate) replayed: bool,
    /// The most bytes of one request.
    pub(crate) max_bytes: usize,
}

impl InFlight {
    /// Nothing, over so many `connections`.
    pub(crate) fn new(destination: &str, connections: usize) -> Self {
        Self {
            destination: destination.to_owned(),
            entries: Entries::default(),
            live: Queue::default(),
            replayed: Queue::default(),
            connections: (0..connections).map(|_| ConnectionState::default()).collect(),
            expiry: Expiry::default(),
            sequence: 0,
            replay_turn: false,
        }
    }

    /// The pieces of a parcel wait to be sent.
    pub(crate) fn enqueue(&mut self, entry: EntryId, signal: Signal, pieces: Vec<otlp::Piece>, held: Option<&Bytes>) {
        for piece in pieces {
            let piece = self.piece(entry, piece, held);
            self.live.push(signal, piece);
        }
    }

    /// A record waits in memory again, in pieces of `max_bytes` at the most.
    pub(crate) fn resume(&mut self, record: &Waiting, deadline: Option<Instant>, max_bytes: usize) {
        let pieces = cut_to_size(record.signal, record.body.clone(), record.spans, max_bytes);
        let entry = self.entries.resume(record, deadline, &pieces);
        self.expiry.expect(deadline);
        let held = Some(&record.body).filter(|_| pieces.len() > 1);
        for piece in pieces {
            let piece = self.piece(entry, piece, held);
            self.replayed.push(record.signal, piece);
        }
    }

    fn piece(&mut self, entry: EntryId, piece: otlp::Piece, held: Option<&Bytes>) -> QueuedPiece {
        self.sequence += 1;
        QueuedPiece { body: piece.body, items: piece.items, entry, sequence: self.sequence, held: held.cloned() }
    }

    /// What connection `index` sends next: a batch that lies uppermost among its work, and its bodies. `None`: nothing that is
    /// `admitted` waits.
    pub(crate) fn prepare(&mut self, index: usize, admitted: Admitted, now: Instant) -> Option<(Signal, Vec<Bytes>)> {
        self.put_aside(index, |batch| !admitted.signals[batch.signal]);
        loop {
            let Some(batch) = self.connections[index].work.last_mut() else {
                let batch = self.next_batch(admitted)?;
                self.connections[index].work.push(batch);
                continue;
            };
            let (entries, destination) = (&mut self.entries, &self.destination);
            batch.pieces.retain(|piece| still_wanted(entries, piece, now, destination));
            if !batch.sealed && !batch.replayed {
                self.live.top_up(batch, admitted.max_bytes);
            }
            if batch.pieces.is_empty() {
                self.connections[index].work.pop();
                continue;
            }
            return Some((batch.signal, batch.pieces.iter().map(|piece| piece.body.clone()).collect()));
        }
    }

    /// The next batch to send. Where live traffic waits beside what was read back they take turns, and the latter has no more
    /// than half of the connections.
    fn next_batch(&mut self, Admitted { signals, replayed, max_bytes }: Admitted) -> Option<Batch> {
        let replayed = replayed && self.replayed.has_any(signals);
        let live = self.live.has_any(signals);
        if replayed && (!live || (self.replay_turn && self.has_room_for_replayed())) {
            self.replay_turn = false;
            let batch = self.replayed.take(max_bytes, signals)?;
            return Some(Batch { replayed: true, ..batch });
        }
        self.replay_turn = replayed;
        self.live.take(max_bytes, signals)
    }

    fn has_room_for_replayed(&self) -> bool {
        let replays = |state: &&ConnectionState| state.work.last().is_some_and(|batch| batch.replayed);
        self.connections.iter().filter(replays).count() < self.connections.len().div_ceil(2)
    }

    /// Takes `pieces` out of the hands of a connection: what the disk has is dropped, the rest waits again, in its old place.
    /// With `defer` others go first: when it is read again, and among what waits in memory.
    pub(crate) fn put_back(&mut self, signal: Signal, mut pieces: Vec<QueuedPiece>, defer: bool) {
        pieces.retain(|piece| !self.entries.evict_if_durable(piece, defer));
        if defer {
            pieces.into_iter().for_each(|piece| self.live.push(signal, piece));
        } else if !pieces.is_empty() {
            self.live.put_back(signal, pieces);
        }
    }

    /// Connection `index` has no work of the kind that is `unwanted`, but for what is on its way.
    fn put_aside(&mut self, index: usize, unwanted: impl Fn(&Batch) -> bool) {
        let connection = &mut self.connections[index];
        let unsent = connection.unsent();
        if !connection.work[..unsent].iter().any(&unwanted) {
            return;
        }
        let on_its_way = connection.work.split_off(unsent);
        let (back, stay): (Vec<Batch>, _) = connection.work.drain(..).partition(unwanted);
        connection.work.extend(stay);
        connection.work.extend(on_its_way);
        for batch in back {
            self.put_back(batch.signal, batch.pieces, false);
        }
    }

    /// No connection has work of the `unwanted` signals, but for what is on its way, and nothing of them is read ahead.
    pub(crate) fn pause(&mut self, unwanted: impl Fn(Signal) -> bool) {
        for index in 0..self.connections.len() {
            self.put_aside(index, |batch| unwanted(batch.signal));
        }
        for signal in Signal::ALL.into_iter().filter(|signal| unwanted(*signal)) {
            let pieces = self.replayed.take_lane(signal);
            self.put_back(signal, pieces.into(), false);
        }
    }

    /// A batch is to be sent again by connection `index`; what the disk has is dropped from memory meanwhile.
    pub(crate) fn send_again(&mut self, index: usize, mut batch: Batch) {
        batch.pieces.retain(|piece| !self.entries.evict_if_durable(piece, false));
        if !batch.pieces.is_empty() {
            self.connections[index].work.push(batch);
        }
    }

    /// Drops from memory what the disk has and is not on its way.
    pub(crate) fn evict_durable(&mut self) {
        let entries = &mut self.entries;
        self.live.retain(|piece| !entries.evict_if_durable(piece, false));
        for connection in &mut self.connections {
            let unsent = connection.unsent();
            for batch in connection.work[..unsent].iter_mut().filter(|batch| !batch.replayed) {
                batch.pieces.retain(|piece| !entries.evict_if_durable(piece, false));
            }
            if connection.sending.is_none() {
                connection.work.retain(|batch| !batch.pieces.is_empty());
            }
        }
    }

    /// Hands back what has lapsed and frees its memory. The connections whose attempt nobody waits for any more, and whether
    /// its time was over; the attempts that are a `probe` go on: they are about more than their own parcels.
    pub(crate) fn expire(&mut self, now: Instant, probe: impl Fn(usize) -> bool) -> Vec<(usize, bool)> {
        self.expiry.begin(now);
        let (entries, destination) = (&mut self.entries, &self.destination);
        self.live.retain(|piece| still_wanted(entries, piece, now, destination));
        self.replayed.retain(|piece| still_wanted(entries, piece, now, destination));
        let mut given_up = Vec::new();
        for (index, connection) in self.connections.iter_mut().enumerate() {
            let unsent = connection.unsent();
            for batch in &mut connection.work[..unsent] {
                batch.pieces.retain(|piece| still_wanted(entries, piece, now, destination));
            }
            let Some(batch) = connection.in_flight() else { continue };
            let expired = |piece: &QueuedPiece| entries.get(piece.entry).lapse(now) == Some(Lapse::Expired);
            let expired = batch.pieces.iter().any(expired);
            // No short circuit: each of them is to be handed back.
            let lapsed = batch.pieces.iter().filter(|piece| hand_back_lapsed(entries, piece, now, destination)).count();
            if lapsed == batch.pieces.len() && !probe(index) {
                given_up.push((index, expired));
            }
        }
        let deadlines = self
            .live
            .iter()
            .chain(self.replayed.iter())
            .chain(self.connections.iter().flat_map(ConnectionState::pieces));
        let deadlines = deadlines.filter_map(|piece| self.entries.get(piece.entry).deadline());
        self.expiry.end(deadlines, now);
        given_up
    }

    /// Ends the attempt of connection `index`, which is cut, since it holds the bytes: how long it took.
    pub(crate) fn cancel(&mut self, index: usize, now: Instant) -> Duration {
        let connection = &mut self.connections[index];
        let took = connection.sending.take().map_or(Duration::ZERO, |sending| now - sending.since);
        for piece in connection.work.pop().into_iter().flat_map(|batch| batch.pieces) {
            self.entries.release(&piece);
        }
        took
    }

    /// Discards what waits of the signals that are `unwanted`.
    pub(crate) fn discard(&mut self, unwanted: impl Fn(Signal) -> bool) {
        for signal in Signal::ALL.into_iter().filter(|signal| unwanted(*signal)) {
            for piece in self.live.take_lane(signal) {
                self.entries.hand_back(piece.entry, Undelivered::Closed);
                self.entries.release(&piece);
            }
        }
    }

    /// What waits and was not read back from the disk, or is in the hands of a connection.
    pub(crate) fn live_pieces(&self) -> impl Iterator<Item = &QueuedPiece> {
        let working = self.connections.iter().flat_map(|connection| &connection.work).filter(|batch| !batch.replayed);
        self.live.iter().chain(working.flat_map(|batch| &batch.pieces))
    }

    /// How many requests of each signal are on their way.
    pub(crate) fn requests(&self) -> PerSignal<usize> {
        let mut requests = PerSignal::default();
        let in_flight = self.connections.iter().filter_map(ConnectionState::in_flight);
        in_flight.for_each(|batch| requests[batch.signal] += 1);
        requests
    }

    /// Whether nothing waits and nothing is on its way.
    pub(crate) fn is_empty(&self) -> bool {
        self.live.is_empty() && !self.connections.iter().any(ConnectionState::has_work)
    }

    /// Since when the oldest has waited in memory.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        // The oldest of each batch comes first in it, or not much later.
        let working = self.connections.iter().flat_map(|connection| &connection.work);
        let working = working.filter_map(|batch| batch.pieces.first());
        self.live.fronts().chain(working).map(|piece| self.entries.get(piece.entry).since()).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::RecordId;

    const BODY: &[u8] = b"body";

    fn admitted(max_bytes: usize) -> Admitted {
        Admitted { signals: PerSignal::from_fn(|_| true), replayed: true, max_bytes }
    }

    fn hand_over(inflight: &mut InFlight, signal: Signal) -> EntryId {
        let pieces = vec![otlp::Piece { body: Bytes::from_static(BODY), items: 1 }];
        let entry = inflight.entries.accept(None, (signal, 1, false), None, &pieces);
        inflight.enqueue(entry, signal, pieces, None);
        entry
    }

    fn replay(inflight: &mut InFlight, id: i64) {
        let body = Bytes::from_static(BODY);
        inflight.resume(
            &Waiting { id: RecordId(id), signal: Signal::Traces, body, spans: 1, received: 1 },
            None,
            1 << 20,
        );
    }

    fn pretend_to_send(inflight: &mut InFlight, index: usize, since: Instant) {
        let future = Box::pin(std::future::pending());
        inflight.connections[index].sending = Some(crate::delivery::inflight::Sending { future, since });
    }

    /// Live traffic and what is replayed take turns, and the latter has no more than half of the connections.
    #[test]
    fn replay_takes_turns_with_live_traffic() {
        let now = Instant::now();
        let mut inflight = InFlight::new("otlp/a", 4);
        for id in 1..=4 {
            hand_over(&mut inflight, Signal::Traces);
            replay(&mut inflight, id);
        }
        let mut replayed = Vec::new();
        for index in 0..4 {
            inflight.prepare(index, admitted(BODY.len()), now).expect("both wait");
            replayed.push(inflight.connections[index].work[0].replayed);
        }
        assert_eq!(replayed, [false, true, false, true]);
        inflight.connections[0].work.clear();
        inflight.prepare(0, admitted(BODY.len()), now).expect("both wait");
        inflight.connections[2].work.clear();
        inflight.prepare(2, admitted(BODY.len()), now).expect("both wait");
        assert!(!inflight.connections[2].work[0].replayed, "two of four connections replay already");
    }

    /// What is on its way stays with its connection when its signal pauses; what waits there goes back to its place.
    #[test]
    fn a_pause_takes_unsent_work_back_in_order() {
        let now = Instant::now();
        let mut inflight = InFlight::new("otlp/a", 2);
        let entries: Vec<EntryId> = (0..3).map(|_| hand_over(&mut inflight, Signal::Logs)).collect();
        for index in 0..2 {
            inflight.prepare(index, admitted(BODY.len()), now).expect("logs wait");
        }
        pretend_to_send(&mut inflight, 0, now);
        replay(&mut inflight, 1);
        inflight.pause(|_| true);
        assert_eq!(inflight.requests()[Signal::Logs], 1);
        assert!(!inflight.connections[1].has_work());
        let waiting: Vec<EntryId> = inflight.live.iter().map(|piece| piece.entry).collect();
        assert_eq!(waiting, entries[1..]);
        assert!(inflight.replayed.is_empty(), "the disk has it");
        assert_eq!(inflight.entries.accounting.queue_bytes(), 3 * BODY.len() as u64);
    }

    /// What the disk has leaves the memory, unless it is on its way.
    #[test]
    fn only_what_is_on_its_way_stays_beside_the_disk() {
        let now = Instant::now();
        let mut inflight = InFlight::new("otlp/a", 1);
        let entries = [0, 1].map(|_| hand_over(&mut inflight, Signal::Traces));
        inflight.prepare(0, admitted(BODY.len()), now).expect("traces wait");
        pretend_to_send(&mut inflight, 0, now);
        for (id, entry) in (1..).zip(entries) {
            inflight.entries.begin_write(entry, true);
            inflight.entries.written(entry, Ok(vec![RecordId(id)]), 1);
        }
        inflight.evict_durable();
        assert!(inflight.live.is_empty() && inflight.connections[0].has_work());
        assert_eq!(inflight.entries.accounting.queue_bytes(), BODY.len() as u64);
    }

    /// An attempt that nobody waits for is given up, unless it is a probe; its memory is freed at once.
    #[test]
    fn attempts_that_nobody_waits_for_are_given_up() {
        let now = Instant::now();
        let mut inflight = InFlight::new("otlp/a", 1);
        let pieces = vec![otlp::Piece { body: Bytes::from_static(BODY), items: 1 }];
        let deadline = Some(now + Duration::from_secs(1));
        let entry = inflight.entries.accept(None, (Signal::Traces, 1, false), deadline, &pieces);
        inflight.enqueue(entry, Signal::Traces, pieces, None);
        inflight.prepare(0, admitted(BODY.len()), now).expect("it waits");
        pretend_to_send(&mut inflight, 0, now);
        assert_eq!(inflight.expire(now, |_| false), []);
        assert_eq!(inflight.expire(now + Duration::from_secs(2), |_| true), []);
        assert_eq!(
            inflight.expire(now + Duration::from_secs(3), |_| false),
            [(0, false)],
            "handed back by the pass before"
        );
        assert_eq!(inflight.cancel(0, now + Duration::from_secs(3)), Duration::from_secs(3));
        assert_eq!((inflight.is_empty(), inflight.entries.accounting.queue_bytes()), (true, 0));
    }
}
