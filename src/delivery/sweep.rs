//! What need not be delivered any more: parcels withdrawn by their client, parcels whose time is over, everything at the
//! end of a drain.

use std::time::Duration;

use tokio::time::Instant;

use super::Undelivered;
use super::actor::{Actor, drop_lapsed};
use super::queue::{Piece, Queue};
use super::retry::Failure;
use super::tickets::{Lapse, Tickets};

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
                if lapsed == batch.pieces.len() {
                    given_up.push((index, expired));
                }
            }
        }
        for (index, expired) in given_up {
            self.stop(index, expired, now);
        }
        let pieces = self.slots.iter().flat_map(|slot| slot.work.iter().flat_map(|batch| &batch.pieces));
        let waiting = self.queue.iter().chain(pieces);
        self.earliest_deadline = waiting.filter_map(|piece| self.tickets.deadline(piece.ticket)).min();
    }

    /// Ends an attempt that nobody waits for; its connection is cut, since it holds the bytes.
    fn stop(&mut self, index: usize, expired: bool, now: Instant) {
        let slot = &mut self.slots[index];
        let waited = slot.sending.take().map_or(Duration::ZERO, |sending| now - sending.since);
        for piece in slot.work.pop().into_iter().flat_map(|batch| batch.pieces) {
            self.tickets.books.queue_bytes -= piece.body.len() as u64;
            self.tickets.release(piece.ticket);
        }
        if expired || waited >= LONG {
            let message = format!("no answer after {} ms, when the last client had given up", waited.as_millis());
            self.failed(index, &Failure::transport(message), now);
        }
    }

    /// The end of a drain: everything that is left goes back.
    pub(crate) fn give_up(&mut self) {
        let queue = std::mem::take(&mut self.queue);
        let left = |queue: &Queue| queue.iter().cloned().collect::<Vec<_>>();
        let mut pieces = left(&queue);
        for slot in &mut self.slots {
            slot.sending = None;
            pieces.extend(slot.work.drain(..).flat_map(|batch| batch.pieces));
        }
        for piece in pieces {
            self.tickets.hand_back(piece.ticket, Undelivered::Closed);
            self.tickets.books.queue_bytes -= piece.body.len() as u64;
            self.tickets.release(piece.ticket);
        }
    }
}

/// Whether the parcel of `piece` has lapsed; then it is handed back, unless it was before.
pub(crate) fn hand_back_lapsed(tickets: &mut Tickets, piece: &Piece, now: Instant, destination: &str) -> bool {
    let Some(lapse) = tickets.lapse(piece.ticket, now) else { return false };
    let why = match lapse {
        Lapse::Settled => return true,
        Lapse::Withdrawn => Undelivered::Closed,
        Lapse::Expired => {
            let last = tickets.books.last_error.as_deref().unwrap_or("it has not answered yet");
            Undelivered::Timeout { destination: destination.to_owned(), last_error: last.to_owned() }
        }
    };
    tickets.hand_back(piece.ticket, why);
    true
}
