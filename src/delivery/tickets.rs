//! One ticket per parcel in hand: who waits for it, until when, how many pieces of it are still out, and what became of
//! the others. A parcel is settled once, as a whole; the ledger moves here and nowhere else.

use slab::Slab;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::ledger::Books;
use super::{Signal, Undelivered};

/// Whoever waits for a parcel.
pub(crate) type Reply = oneshot::Sender<Result<(), Undelivered>>;

/// Names a ticket.
pub(crate) type TicketId = usize;

#[derive(Debug)]
struct Ticket {
    /// `None` for debug destinations: nobody waits.
    reply: Option<Reply>,
    settled: bool,
    signal: Signal,
    weight: u64,
    since: Instant,
    deadline: Option<Instant>,
    pieces: u32,
    acknowledged: u64,
    rejected: u64,
    once: bool,
}

/// Every ticket of a destination, its books, and the answers that go out once the books are published.
#[derive(Debug, Default)]
pub(crate) struct Tickets {
    open: Slab<Ticket>,
    pub(crate) books: Books,
    outbox: Vec<(Reply, Result<(), Undelivered>)>,
}

/// Why a ticket is no longer worth sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lapse {
    /// The client went away.
    Withdrawn,
    /// Its time is over.
    Expired,
    /// It has been handed back already.
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
        let (since, settled) = (Instant::now(), false);
        self.open.insert(Ticket {
            reply,
            settled,
            signal,
            weight,
            since,
            deadline,
            pieces,
            acknowledged: 0,
            rejected: 0,
            once,
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

    /// When the parcel was taken in hand.
    pub(crate) fn since(&self, id: TicketId) -> Instant {
        self.open[id].since
    }

    /// When its time is over, while it is still waited for.
    pub(crate) fn deadline(&self, id: TicketId) -> Option<Instant> {
        let ticket = &self.open[id];
        if ticket.settled { None } else { ticket.deadline }
    }

    /// Whether it need not be sent any more.
    pub(crate) fn lapse(&self, id: TicketId, now: Instant) -> Option<Lapse> {
        let ticket = &self.open[id];
        if ticket.settled {
            Some(Lapse::Settled)
        } else if ticket.reply.as_ref().is_some_and(|reply| reply.is_closed()) {
            Some(Lapse::Withdrawn)
        } else if ticket.deadline.is_some_and(|deadline| deadline <= now) {
            Some(Lapse::Expired)
        } else {
            None
        }
    }

    /// The destination has a piece of `items`, of which it turned `rejected` away.
    pub(crate) fn acknowledge(&mut self, id: TicketId, items: u32, rejected: u64) {
        let ticket = &mut self.open[id];
        ticket.acknowledged += if ticket.signal == Signal::Traces { u64::from(items) } else { 1 };
        if ticket.signal == Signal::Traces {
            ticket.rejected += rejected;
        }
        if ticket.pieces == 1 && !ticket.settled {
            if ticket.reply.as_ref().is_some_and(|reply| reply.is_closed()) {
                self.hand_back(id, Undelivered::Closed);
            } else {
                ticket.settled = true;
                self.books.deliver(ticket.signal, ticket.weight, ticket.rejected);
                ticket.acknowledged = 0;
                if let Some(reply) = ticket.reply.take() {
                    self.outbox.push((reply, Ok(())));
                }
            }
        }
        self.release(id);
    }

    /// Settles a parcel with an error; pieces still out are not waited for. A debug destination has nobody to hand it
    /// back to: what was not acknowledged is discarded.
    pub(crate) fn hand_back(&mut self, id: TicketId, why: Undelivered) {
        let ticket = &mut self.open[id];
        if ticket.settled {
            return;
        }
        ticket.settled = true;
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
    }

    /// A piece is gone. With the last one the ticket goes too; what the destination acknowledged of a parcel that was
    /// handed back is counted as late.
    pub(crate) fn release(&mut self, id: TicketId) {
        let ticket = &mut self.open[id];
        ticket.pieces -= 1;
        if ticket.pieces == 0 {
            self.books.delivered_late += if ticket.signal == Signal::Traces { ticket.acknowledged } else { 0 };
            self.open.remove(id);
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
