//! From memory to the disk. What a destination has not taken within `spill_after`, or at once while it is left alone, is
//! written, whole but for what has arrived already; it may still be delivered meanwhile. When the disk has it, its client
//! hears OK, and what is not on its way is dropped from memory.
//!
//! There is one alarm for the oldest parcel, and while everything is taken in time it finds nothing to do.

use std::collections::HashMap;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use super::actor::Actor;
use super::keeper::Answer;
use super::keeping::{Dead, Remains, Todo};
use super::queue::Piece;
use super::tickets::{TicketId, Tickets};
use super::{Signal, Undelivered};
use crate::clock::unix_nano;
use crate::otlp::PerSignal;
use crate::store::{NewRecord, RecordId};

/// When a client should come again whose request can be neither delivered nor kept.
const COME_AGAIN: std::ops::RangeInclusive<u64> = 1_000..=5_000;

/// What is to be written of a parcel: its pieces in order.
struct Unkept {
    ticket: TicketId,
    sequence: u64,
    pieces: Vec<(Bytes, u32)>,
}

impl Actor {
    /// When a parcel that was just taken is to be written.
    pub(crate) fn expect_spill(&mut self, signal: Signal, now: Instant) {
        if self.keeper.is_none() {
            return;
        }
        if self.is_left_alone(signal) {
            self.spill_due = Some(now);
        } else if self.spill_due.is_none() {
            self.spill_due = Some(now + self.spill_after);
        }
    }

    /// Has everything written that has waited long enough; with `rest`, everything.
    pub(crate) fn spill(&mut self, now: Instant, rest: bool) {
        self.spill_due = None;
        if self.keeper.is_none() {
            return;
        }
        let left_alone = PerSignal::from_fn(|signal| self.is_left_alone(signal));
        let (tickets, due) = (&self.tickets, &mut self.spill_due);
        let mut unkept: Vec<Unkept> = Vec::new();
        let mut places: HashMap<TicketId, usize> = HashMap::new();
        let mut hopeless = Vec::new();
        let working = self.slots.iter().flat_map(|slot| &slot.work).filter(|batch| !batch.kept);
        for piece in self.queue.iter().chain(working.flat_map(|batch| &batch.pieces)) {
            let left_alone = left_alone[tickets.signal(piece.ticket)];
            let grace = if left_alone || rest { Duration::ZERO } else { self.spill_after };
            let Some(since) = tickets.unkept(piece.ticket) else {
                if left_alone && tickets.is_unkeepable(piece.ticket) {
                    hopeless.push(piece.ticket);
                }
                continue;
            };
            if since + grace > now {
                *due = Some(due.map_or(since + grace, |first| first.min(since + grace)));
                continue;
            }
            let (body, sequence) = ((piece.body.clone(), piece.items), piece.sequence);
            let place = *places.entry(piece.ticket).or_insert(unkept.len());
            match unkept.get_mut(place) {
                Some(known) => known.pieces.push(body),
                None => unkept.push(Unkept { ticket: piece.ticket, sequence, pieces: vec![body] }),
            }
        }
        // In the order in which they came: it is the order of the backlog.
        unkept.sort_by_key(|unkept| unkept.sequence);
        for Unkept { ticket, pieces, .. } in unkept {
            let record = self.record(ticket, join(pieces));
            let dead = self.tickets.begin(ticket, true);
            let records = std::iter::once(record).chain(self.letters(ticket, dead)).collect();
            if let Some(keeper) = &mut self.keeper {
                keeper.put(ticket, records);
            }
        }
        for ticket in hopeless {
            let retry_after = Duration::from_millis(fastrand::u64(COME_AGAIN));
            self.tickets.hand_back(ticket, Undelivered::Full { destination: self.name.clone(), retry_after });
            self.withdrawn = true;
            self.clean &= self.draining.is_empty();
        }
    }

    /// The store has answered.
    pub(crate) fn heard(&mut self, answer: Answer, now: Instant) {
        let Some(keeper) = &mut self.keeper else { return };
        match answer {
            Answer::Written { ticket, number, result } => {
                keeper.answered(number);
                match &result {
                    Ok(records) => {
                        self.shed = true;
                        let first = records.first().filter(|_| self.tickets.waits_for_disk(ticket));
                        let signal = self.tickets.signal(ticket);
                        first.into_iter().for_each(|record| keeper.backlog(signal).kept(*record));
                    }
                    Err(error) => {
                        self.meters.not_kept(error);
                        self.spill_due = Some(now);
                    }
                }
                self.tickets.written(ticket, result);
            }
            Answer::Replaced { ticket, record, result: Ok(_) } => {
                let backlog = keeper.backlog(self.tickets.signal(ticket));
                backlog.finished(record, now);
                backlog.added();
                self.tickets.replaced(ticket);
            }
            Answer::Replaced { ticket, result: Err(error), .. } => {
                self.meters.not_kept(&error);
                keeper.stuck.push(ticket);
                keeper.failed(now);
            }
            Answer::Read(signal, aim, read) => keeper.arrived(signal, aim, read),
        }
    }

    /// Drops from memory what the disk has and is not on its way.
    pub(crate) fn shed(&mut self) {
        self.shed = false;
        let (tickets, mut freed) = (&mut self.tickets, 0);
        self.queue.retain(|piece| keep_or_drop(tickets, piece, &mut freed, false));
        for slot in &mut self.slots {
            let still = slot.work.len() - usize::from(slot.sending.is_some());
            for batch in slot.work[..still].iter_mut().filter(|batch| !batch.kept) {
                batch.pieces.retain(|piece| keep_or_drop(tickets, piece, &mut freed, false));
            }
            if slot.sending.is_none() {
                slot.work.retain(|batch| !batch.pieces.is_empty());
            }
        }
        self.tickets.books.queue_bytes -= freed;
    }

    /// Takes `pieces` out of the hands of a connection: what the disk has is dropped, the rest waits in the queue, in its
    /// old place. With `defer` others go first: when it is read again, and in the queue.
    pub(crate) fn put_back(&mut self, signal: Signal, mut pieces: Vec<Piece>, defer: bool) {
        let mut freed = 0;
        pieces.retain(|piece| keep_or_drop(&mut self.tickets, piece, &mut freed, defer));
        self.tickets.books.queue_bytes -= freed;
        if defer {
            pieces.into_iter().for_each(|piece| self.queue.push(signal, piece));
        } else if !pieces.is_empty() {
            self.queue.put_back(signal, pieces);
        }
    }

    /// Asks the store for what has gathered.
    pub(crate) fn ask(&mut self, now: Instant) {
        if self.keeper.as_mut().is_some_and(|keeper| keeper.rested(now)) {
            let stuck = self.keeper.as_mut().map(|keeper| std::mem::take(&mut keeper.stuck)).unwrap_or_default();
            self.tickets.todo.extend(stuck.into_iter().map(Todo::Replace));
        }
        let mut finished: Vec<(Signal, RecordId)> = Vec::new();
        for todo in std::mem::take(&mut self.tickets.todo) {
            match todo {
                Todo::Finish(signal, record) => finished.push((signal, record)),
                Todo::Back(signal, record, defer) => {
                    if let Some(keeper) = &mut self.keeper {
                        keeper.backlog(signal).back(record, defer);
                    }
                }
                Todo::Bury(ticket) => {
                    let dead = self.tickets.begin(ticket, false);
                    let records = self.letters(ticket, dead);
                    if let Some(keeper) = &mut self.keeper {
                        keeper.put(ticket, records);
                    }
                }
                Todo::Replace(ticket) => {
                    let Some((record, Remains { left, dead })) = self.tickets.remains(ticket) else { continue };
                    let left = (!left.is_empty()).then(|| self.record(ticket, join(left)));
                    let parts = left.into_iter().chain(self.letters(ticket, dead)).collect();
                    if let Some(keeper) = &mut self.keeper {
                        keeper.replace(ticket, record, parts);
                    }
                }
            }
        }
        if let (Some(keeper), false) = (&mut self.keeper, finished.is_empty()) {
            keeper.finish(finished, now);
        }
    }

    fn record(&self, ticket: TicketId, (body, items): (Bytes, u32)) -> NewRecord {
        let signal = self.tickets.signal(ticket);
        NewRecord {
            destination: self.keeper.as_ref().map(|keeper| keeper.destination.clone()).unwrap_or_default(),
            signal,
            body,
            spans: if signal == Signal::Traces { items } else { 0 },
            received: self.tickets.received(ticket, unix_nano()),
            death: None,
        }
    }

    /// The dead letters of a parcel. Metrics and logs are counted by the request, so theirs are one.
    fn letters(&self, ticket: TicketId, dead: Vec<Dead>) -> Vec<NewRecord> {
        if self.tickets.signal(ticket) == Signal::Traces {
            let letter = |Dead { body, items, death, .. }| NewRecord {
                death: Some(death),
                ..self.record(ticket, (body, items))
            };
            return dead.into_iter().map(letter).collect();
        }
        let Some(death) = dead.first().map(|dead| dead.death.clone()) else { return Vec::new() };
        let body = join(dead.into_iter().map(|dead| (dead.body, dead.items)).collect());
        vec![NewRecord { death: Some(death), ..self.record(ticket, body) }]
    }
}

/// Whether `piece` stays in memory; if not, its bytes are added to `freed`.
fn keep_or_drop(tickets: &mut Tickets, piece: &Piece, freed: &mut u64, defer: bool) -> bool {
    if !tickets.is_kept(piece.ticket) {
        return true;
    }
    *freed += piece.body.len() as u64;
    tickets.drop_kept(piece.ticket, piece.body.clone(), piece.items, defer);
    false
}

/// Requests of one signal, one after the other, are a request.
fn join(mut pieces: Vec<(Bytes, u32)>) -> (Bytes, u32) {
    if pieces.len() == 1 {
        return pieces.swap_remove(0);
    }
    let mut joined = BytesMut::with_capacity(pieces.iter().map(|(body, _)| body.len()).sum());
    pieces.iter().for_each(|(body, _)| joined.extend_from_slice(body));
    (joined.freeze(), pieces.iter().map(|(_, items)| items).sum())
}
