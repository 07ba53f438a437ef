//! One ticket per parcel in hand: who waits for it, until when, how many pieces of it are still out, and what became of
//! the others. A parcel is settled once, as a whole; the ledger moves here and nowhere else.
//!
//! ```text
//! Waiting ── all delivered ──► Over          Waiting ── on the disk ──► Kept ── all delivered ──► (finished)
//!    │  └─── handed back ────► Over                                      └─── dropped, divided, dead ──► (on the disk)
//! ```

use slab::Slab;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::keeping::{Keeping, Part, Todo};
use super::ledger::Books;
use super::{Signal, Undelivered};
use crate::store::{DeathReason, RecordId};

/// Whoever waits for a parcel.
pub(crate) type Reply = oneshot::Sender<Result<(), Undelivered>>;

/// Names a ticket.
pub(crate) type TicketId = usize;

/// How far a parcel has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// In memory only; somebody waits, or (debug destinations) nobody.
    Waiting,
    /// Settled: pieces that are still out do not matter.
    Over,
    /// On the disk, where it waits whatever becomes of the pieces in memory.
    Kept(RecordId),
}

#[derive(Debug)]
pub(super) struct Ticket {
    /// `None`: nobody waits (debug destinations), or it has been answered.
    pub(super) reply: Option<Reply>,
    pub(super) phase: Phase,
    pub(super) signal: Signal,
    /// Spans, or 1 for a request of metrics or logs: what the books say of it at the moment.
    pub(super) weight: u64,
    pub(super) since: Instant,
    pub(super) deadline: Option<Instant>,
    pub(super) pieces: u32,
    /// Spans (pieces, for other signals) that the destination has and the books do not know of yet.
    pub(super) acknowledged: u64,
    pub(super) rejected: u64,
    pub(super) once: bool,
    /// What only matters when something has gone wrong.
    pub(super) keeping: Option<Box<Keeping>>,
}

/// Every ticket of a destination, its books, and the answers that go out once the books are published.
#[derive(Debug, Default)]
pub(crate) struct Tickets {
    pub(super) open: Slab<Ticket>,
    pub(crate) books: Books,
    pub(super) outbox: Vec<(Reply, Result<(), Undelivered>)>,
    /// What is to be asked of the store.
    pub(crate) todo: Vec<Todo>,
    /// Dead letters that have come to the disk, not counted yet.
    pub(crate) died: Vec<DeathReason>,
}

/// Why a ticket is no longer worth sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lapse {
    /// The client went away.
    Withdrawn,
    /// Its time is over.
    Expired,
    /// It has been settled already.
    Settled,
}

impl Tickets {
    /// Takes a parcel of `pieces` pieces in hand.
    pub(crate) fn accept(
        &mut self,
        reply: Option<Reply>,
        (signal, spans, once): (Signal, u32, bool),
        deadline: Option<Instant>,
        pieces: u32,
    ) -> TicketId {
        let weight = if signal == Signal::Traces { u64::from(spans) } else { 1 };
        self.books.accept(signal, weight);
        self.open.insert(Ticket {
            reply,
            phase: Phase::Waiting,
            signal,
            weight,
            since: Instant::now(),
            deadline,
            pieces,
            acknowledged: 0,
            rejected: 0,
            once,
            keeping: None,
        })
    }

    /// A piece was cut in two.
    pub(crate) fn cut(&mut self, id: TicketId) {
        self.open[id].pieces += 1;
    }

    /// Whether it must not be sent again when it may have arrived.
    pub(crate) fn once(&self, id: TicketId) -> bool {
        self.open[id].once
    }

    /// Which service it is for.
    pub(crate) fn signal(&self, id: TicketId) -> Signal {
        self.open[id].signal
    }

    /// When the parcel was taken in hand.
    pub(crate) fn since(&self, id: TicketId) -> Instant {
        self.open[id].since
    }

    /// When its time is over, while that matters.
    pub(crate) fn deadline(&self, id: TicketId) -> Option<Instant> {
        let ticket = &self.open[id];
        if ticket.phase == Phase::Over { None } else { ticket.deadline }
    }

    /// Whether it need not be sent any more. What is on the disk never lapses; see [`outlived`](Self::outlived).
    pub(crate) fn lapse(&self, id: TicketId, now: Instant) -> Option<Lapse> {
        let ticket = &self.open[id];
        if ticket.phase != Phase::Waiting {
            (ticket.phase == Phase::Over).then_some(Lapse::Settled)
        } else if ticket.reply.as_ref().is_some_and(|reply| reply.is_closed()) {
            Some(Lapse::Withdrawn)
        } else if ticket.deadline.is_some_and(|deadline| deadline <= now) {
            Some(Lapse::Expired)
        } else {
            None
        }
    }

    /// Whether it is on the disk and has been there for too long.
    pub(crate) fn outlived(&self, id: TicketId, now: Instant) -> bool {
        let ticket = &self.open[id];
        matches!(ticket.phase, Phase::Kept(_)) && ticket.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// Whether anything is in memory only.
    pub(crate) fn anything_waits(&self) -> bool {
        self.open.iter().any(|(_, ticket)| ticket.phase == Phase::Waiting)
    }

    /// The destination has a piece of `items`, of which it turned `rejected` away.
    pub(crate) fn acknowledge(&mut self, id: TicketId, items: u32, rejected: u64) {
        let ticket = &mut self.open[id];
        ticket.acknowledged += if ticket.signal == Signal::Traces { u64::from(items) } else { 1 };
        if ticket.signal == Signal::Traces {
            ticket.rejected += rejected;
        }
        self.release(id);
    }

    /// Settles a parcel with an error; pieces still out are not waited for. A debug destination has nobody to hand it
    /// back to: what was not acknowledged is discarded. What is on the disk stays there. `true`: it was still open.
    pub(crate) fn hand_back(&mut self, id: TicketId, why: Undelivered) -> bool {
        let ticket = &mut self.open[id];
        if ticket.phase != Phase::Waiting {
            return false;
        }
        ticket.phase = Phase::Over;
        match ticket.reply.take() {
            Some(reply) => {
                self.books.hand_back(ticket.signal, ticket.weight);
                self.outbox.push((reply, Err(why)));
            }
            None => {
                let delivered = if ticket.signal == Signal::Traces { ticket.acknowledged } else { 0 };
                self.books.discard(ticket.signal, ticket.weight, delivered);
                ticket.acknowledged = 0;
            }
        }
        true
    }

    /// A piece is gone. With the last one the ticket ends.
    pub(crate) fn release(&mut self, id: TicketId) {
        let ticket = &mut self.open[id];
        ticket.pieces -= 1;
        if ticket.pieces == 0 {
            self.end(id);
        }
    }

    /// Nothing of it is out any more.
    pub(super) fn end(&mut self, id: TicketId) {
        let ticket = &self.open[id];
        let keeping = ticket.keeping.as_deref();
        let (writing, dead) = keeping.map_or((false, false), |keeping| (keeping.writing(), !keeping.dead.is_empty()));
        match ticket.phase {
            Phase::Waiting if dead && !writing => self.todo.push(Todo::Bury(id)),
            Phase::Waiting if dead => {}
            Phase::Waiting => {
                self.deliver(id);
                if !writing {
                    self.remove(id);
                }
            }
            // What is being written is to be taken off the disk again.
            Phase::Over if writing => {}
            Phase::Over => self.remove(id),
            Phase::Kept(record) => self.end_kept(id, record),
        }
    }

    /// Every piece was acknowledged.
    fn deliver(&mut self, id: TicketId) {
        let ticket = &mut self.open[id];
        if ticket.reply.as_ref().is_some_and(|reply| reply.is_closed()) {
            self.hand_back(id, Undelivered::Closed);
            return;
        }
        ticket.phase = Phase::Over;
        ticket.acknowledged = 0;
        let parts = ticket.parts((0, false), (0, false));
        self.books.settle(ticket.signal, ticket.weight, parts);
        if let Some(reply) = ticket.reply.take() {
            self.outbox.push((reply, Ok(())));
        }
    }

    /// What the destination acknowledged of a parcel that was handed back is counted as late.
    pub(super) fn remove(&mut self, id: TicketId) {
        let ticket = self.open.remove(id);
        if ticket.phase == Phase::Over && ticket.signal == Signal::Traces {
            self.books.delivered_late += ticket.acknowledged;
        }
    }

    /// Sends the answers that have gathered; publish the books before.
    pub(crate) fn answer(&mut self) {
        for (reply, answer) in self.outbox.drain(..) {
            // A client that has gone is not interested.
            let _ = reply.send(answer);
        }
    }
}

impl Ticket {
    /// Where its weight goes when `left` of it waits on the disk and `dead` are dead letters: how many spans, and whether
    /// there is anything (a request of metrics or logs is not divided in the books).
    pub(super) fn parts(&self, left: Part, dead: Part) -> super::ledger::Parts {
        let mut parts = super::ledger::Parts::default();
        if self.signal == Signal::Traces {
            parts.spilled = left.0.min(self.weight);
            parts.dead = dead.0.min(self.weight - parts.spilled);
            let rest = self.weight - parts.spilled - parts.dead;
            parts.rejected = self.rejected.min(rest);
            parts.delivered = rest - parts.rejected;
        } else {
            (parts.spilled, parts.dead) = (u64::from(left.1), u64::from(dead.1));
            parts.delivered = if left.1 || dead.1 { 0 } else { self.weight };
        }
        parts
    }
}
