//! What need not be delivered any more: parcels withdrawn by their client, parcels whose time is over.

use std::time::Duration;

use tokio::time::Instant;

use super::Undelivered;
use super::actor::Actor;
use super::breaker::Event;
use super::keeping::Dead;
use super::letter::describe;
use super::queue::Piece;
use super::retry::Failure;
use super::tickets::{Lapse, Tickets};
use crate::clock::unix_nano;
use crate::store::{Death, DeathReason};

/// Between two sweeps: bounds what a flood of withdrawals costs.
const PACE: Duration = Duration::from_millis(10);
/// An attempt that was given up after this long speaks against the destination, not against its clients.
const LONG: Duration = Duration::from_secs(1);

impl Actor {
    /// When the next sweep is worth its while.
    pub(crate) fn sweep_due(&self, now: Instant) -> Option<Instant> {
        let wanted = if self.withdrawn { Some(now) } else { self.earliest_deadline }?;
        Some(self.last_sweep.map_or(wanted, |last| wanted.max(last + PACE)))
    }

    /// Hands back what has lapsed, frees its memory, and stops attempts that nobody waits for.
    pub(crate) fn sweep(&mut self, now: Instant) {
        (self.withdrawn, self.last_sweep) = (false, Some(now));
        let (tickets, name) = (&mut self.tickets, &self.name);
        self.queue.retain(|piece| drop_lapsed(tickets, piece, now, name));
        if let Some(keeper) = &mut self.keeper {
            keeper.ready.retain(|piece| drop_lapsed(tickets, piece, now, name));
        }
        let mut given_up = Vec::new();
        for (index, slot) in self.slots.iter_mut().enumerate() {
            let in_flight = slot.sending.is_some().then(|| slot.work.len() - 1);
            for (place, batch) in slot.work.iter_mut().enumerate() {
                if in_flight != Some(place) {
                    batch.pieces.retain(|piece| drop_lapsed(tickets, piece, now, name));
                    continue;
                }
                let expired = batch.pieces.iter().any(|piece| tickets.lapse(piece.ticket, now) == Some(Lapse::Expired));
                // No short circuit: each of them is to be handed back.
                let lapsed = batch.pieces.iter().filter(|piece| hand_back_lapsed(tickets, piece, now, name)).count();
                // The one that tries the destination goes on: it is about more than its own parcels.
                if lapsed == batch.pieces.len() && !self.breaker.is_probe(index) && !self.lanes.is_probe(index) {
                    given_up.push((index, expired));
                }
            }
        }
        for (index, expired) in given_up {
            self.stop(index, expired, now);
        }
        let pieces = self.slots.iter().flat_map(|slot| slot.work.iter().flat_map(|batch| &batch.pieces));
        let stored = self.keeper.iter().flat_map(|keeper| keeper.ready.iter());
        let waiting = self.queue.iter().chain(stored).chain(pieces);
        let deadlines = waiting.filter_map(|piece| self.tickets.deadline(piece.ticket));
        // What is over and still out is on its way, and on the disk.
        self.earliest_deadline = deadlines.filter(|deadline| *deadline > now).min();
    }

    /// Ends an attempt that nobody waits for; its connection is cut, since it holds the bytes.
    fn stop(&mut self, index: usize, expired: bool, now: Instant) {
        self.breaker.ended(index);
        self.lanes.ended(index);
        let slot = &mut self.slots[index];
        let waited = slot.sending.take().map_or(Duration::ZERO, |sending| now - sending.since);
        for piece in slot.work.pop().into_iter().flat_map(|batch| batch.pieces) {
            self.tickets.books.queue_bytes -= piece.body.len() as u64;
            self.tickets.release(piece.ticket);
        }
        if expired || waited >= LONG {
            let message = format!("no answer after {} ms, when the last client had given up", waited.as_millis());
            self.failed(index, &Failure::transport(message), Event::Failed, now);
        }
    }
}

/// Whether `piece` is still to be sent. One whose parcel has lapsed is given up, and its parcel handed back; one that has
/// been on the disk for too long is a dead letter.
pub(crate) fn drop_lapsed(tickets: &mut Tickets, piece: &Piece, now: Instant, destination: &str) -> bool {
    let outlived = tickets.outlived(piece.ticket, now);
    if !outlived && !hand_back_lapsed(tickets, piece, now, destination) {
        return true;
    }
    tickets.books.queue_bytes -= piece.body.len() as u64;
    if outlived {
        expire(tickets, piece, destination);
    } else {
        tickets.release(piece.ticket);
    }
    false
}

fn expire(tickets: &mut Tickets, piece: &Piece, destination: &str) {
    let now = unix_nano();
    let last_error = tickets.books.last_error_of(tickets.signal(piece.ticket)).unwrap_or("it was not sent").to_owned();
    let (attempts, first) = tickets.attempts(piece.ticket, now);
    let about = describe(tickets.signal(piece.ticket), &piece.body);
    let death = Death {
        reason: DeathReason::Expired,
        code: String::new(),
        message: format!("max_elapsed_time is over; {last_error}"),
        attempts,
        first,
        last: now,
        chains: about.chains,
        operations: about.operations,
    };
    let why = Undelivered::Timeout { destination: destination.to_owned(), last_error };
    tickets.refuse(piece.ticket, Dead { body: piece.body.clone(), items: piece.items, death, why });
}

/// Whether the parcel of `piece` has lapsed; then it is handed back, unless it was before.
pub(crate) fn hand_back_lapsed(tickets: &mut Tickets, piece: &Piece, now: Instant, destination: &str) -> bool {
    let Some(lapse) = tickets.lapse(piece.ticket, now) else { return false };
    let why = match lapse {
        Lapse::Settled => return true,
        Lapse::Withdrawn => Undelivered::Closed,
        Lapse::Expired => {
            let signal = tickets.signal(piece.ticket);
            let last = tickets.books.last_error_of(signal).unwrap_or("it has not answered yet");
            Undelivered::Timeout { destination: destination.to_owned(), last_error: last.to_owned() }
        }
    };
    tickets.hand_back(piece.ticket, why);
    true
}
