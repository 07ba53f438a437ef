//! The one task of a destination. It owns the queue, the connections' work and the books; everybody else sends it
//! commands. It never waits for one thing alone, and never copies a body.
//!
//! There is no timer for coalescing: whenever a connection is free it takes everything that waits, up to the limit. So an
//! idle system sends at once, and while requests are in flight the next one grows.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, Sleep, sleep_until};

use super::backoff::Backoff;
use super::caller::{Caller, Finished};
use super::ledger::Books;
use super::meters::Meters;
use super::queue::{Piece, Queue};
use super::slot::{Sending, Slot};
use super::tickets::{Reply, Tickets};
use super::{Signal, Undelivered};
use crate::config::Role;
use crate::otlp;

/// Commands taken in one go.
const MOUTHFUL: usize = 256;
/// How far away "no timer" is.
const FAR: Duration = Duration::from_secs(86_400);

/// What the actor is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// A parcel, in one piece or several.
    Take {
        signal: Signal,
        spans: u32,
        /// Not to be sent again when it may have arrived.
        once: bool,
        pieces: Vec<otlp::Piece>,
        deadline: Option<Instant>,
        reply: Option<Reply>,
    },
    /// Somebody dropped a receipt.
    Withdrawn,
    /// Do not sit out pauses that nobody asked for.
    Hurry,
    /// Finish what is in hand by `deadline`, then take nothing more.
    Drain { deadline: Instant, done: oneshot::Sender<bool> },
}

/// The state of a destination.
pub(crate) struct Actor {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) max_request_bytes: usize,
    pub(crate) debug_queue_bytes: u64,
    pub(crate) caller: Arc<Caller>,
    pub(crate) backoff: Backoff,
    pub(crate) meters: Meters,
    pub(crate) published: Arc<Mutex<Books>>,
    pub(crate) slots: Vec<Slot>,
    pub(crate) queue: Queue,
    pub(crate) tickets: Tickets,
    pub(crate) sequence: u64,
    /// RetryInfo holds for all connections.
    pub(crate) not_before: Option<Instant>,
    pub(crate) earliest_deadline: Option<Instant>,
    pub(crate) withdrawn: bool,
    pub(crate) last_sweep: Option<Instant>,
    pub(crate) draining: Vec<(Instant, oneshot::Sender<bool>)>,
    pub(crate) closed: bool,
}

impl Actor {
    /// Works until nobody is left who could send a command.
    pub(crate) async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Command>) {
        let mut commands = Vec::with_capacity(MOUTHFUL);
        let mut finished: Vec<(usize, Finished)> = Vec::new();
        let mut armed = Instant::now() + FAR;
        let mut alarm: Pin<&mut Sleep> = pin!(sleep_until(armed));
        loop {
            let open = poll_fn(|cx| {
                for (index, slot) in self.slots.iter_mut().enumerate() {
                    if let Poll::Ready(end) = slot.poll(cx) {
                        finished.push((index, end));
                    }
                }
                match inbox.poll_recv_many(cx, &mut commands, MOUTHFUL) {
                    Poll::Ready(0) => return Poll::Ready(false),
                    Poll::Ready(_) => return Poll::Ready(true),
                    Poll::Pending => {}
                }
                if alarm.as_mut().poll(cx).is_ready() || !finished.is_empty() {
                    return Poll::Ready(true);
                }
                Poll::Pending
            })
            .await;
            if !open {
                return;
            }
            let now = Instant::now();
            for (index, end) in finished.drain(..) {
                self.settle(index, end, now);
            }
            for command in commands.drain(..) {
                self.obey(command);
            }
            if self.sweep_due(now).is_some_and(|due| due <= now) {
                self.sweep(now);
            }
            self.dispatch(now);
            self.finish_drain(now);
            self.publish();
            self.tickets.answer();
            let next = self.next_alarm(now);
            if next < armed || armed <= now {
                armed = next;
                alarm.as_mut().reset(armed);
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Take { signal, spans, once, pieces, deadline, reply } => {
                let bytes: u64 = pieces.iter().map(|piece| piece.body.len() as u64).sum();
                let count = u32::try_from(pieces.len()).unwrap_or(u32::MAX);
                let ticket = self.tickets.accept(reply, (signal, spans, once), deadline, count);
                let full = self.role == Role::Debug && self.tickets.books.queue_bytes + bytes > self.debug_queue_bytes;
                if self.closed || full {
                    self.tickets.hand_back(ticket, Undelivered::Closed);
                    pieces.iter().for_each(|_| self.tickets.release(ticket));
                    return;
                }
                self.tickets.books.queue_bytes += bytes;
                if let Some(deadline) = deadline {
                    self.earliest_deadline = Some(self.earliest_deadline.map_or(deadline, |first| first.min(deadline)));
                }
                for piece in pieces {
                    self.sequence += 1;
                    let (body, items, sequence) = (piece.body, piece.items, self.sequence);
                    self.queue.push(signal, Piece { body, items, ticket, sequence });
                }
            }
            Command::Withdrawn => self.withdrawn = true,
            Command::Hurry => self.hurry(),
            Command::Drain { deadline, done } => {
                self.hurry();
                self.draining.push((deadline, done));
            }
        }
    }

    fn hurry(&mut self) {
        for slot in &mut self.slots {
            slot.rest = slot.rest.filter(|rest| rest.asked);
        }
    }

    /// Gives every free connection something to do.
    fn dispatch(&mut self, now: Instant) {
        if self.closed || self.not_before.is_some_and(|allowed| now < allowed) {
            return;
        }
        self.not_before = None;
        for slot in &mut self.slots {
            if !slot.is_free(now) {
                continue;
            }
            loop {
                match slot.work.last_mut() {
                    Some(batch) => {
                        let tickets = &mut self.tickets;
                        batch.pieces.retain(|piece| drop_lapsed(tickets, piece, now, &self.name));
                        if !batch.sealed {
                            self.queue.top_up(batch, self.max_request_bytes);
                        }
                        if batch.pieces.is_empty() {
                            slot.work.pop();
                            continue;
                        }
                        let bodies = batch.pieces.iter().map(|piece| piece.body.clone()).collect();
                        let attempt = self.caller.clone().attempt(slot.link.take(), batch.signal, bodies);
                        slot.sending = Some(Sending { future: Box::pin(attempt), since: now });
                        break;
                    }
                    None => match self.queue.take(self.max_request_bytes) {
                        Some(batch) => slot.work.push(batch),
                        None => break,
                    },
                }
            }
        }
    }

    fn next_alarm(&self, now: Instant) -> Instant {
        let rests = self.slots.iter().filter_map(|slot| slot.rest.map(|rest| rest.until));
        let drains = self.draining.iter().map(|(deadline, _)| *deadline);
        // What is over already waits for something else, not for the clock.
        let pauses = rests.chain(self.not_before).filter(|until| *until > now);
        pauses.chain(drains).chain(self.sweep_due(now)).min().unwrap_or(now + FAR)
    }

    fn finish_drain(&mut self, now: Instant) {
        let Some(deadline) = self.draining.iter().map(|(deadline, _)| *deadline).min() else { return };
        let empty = self.queue.is_empty() && self.slots.iter().all(|slot| slot.work.is_empty());
        if !empty && now < deadline {
            return;
        }
        self.closed = true;
        if !empty {
            self.give_up();
        }
        self.publish();
        for (_, done) in self.draining.drain(..) {
            // Whoever asked may have stopped waiting.
            let _ = done.send(empty);
        }
    }

    /// One consistent view for everybody outside.
    fn publish(&mut self) {
        let fronts = self
            .queue
            .fronts()
            .chain(self.slots.iter().flat_map(|slot| slot.work.iter().flat_map(|batch| &batch.pieces)));
        let oldest = fronts.map(|piece| self.tickets.since(piece.ticket)).min();
        let books = &mut self.tickets.books;
        books.oldest = oldest;
        self.meters.publish(books);
        books.clone_into(&mut self.published.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Whether `piece` is still to be sent; one whose parcel has lapsed is given up, and its parcel handed back.
pub(crate) fn drop_lapsed(tickets: &mut Tickets, piece: &Piece, now: Instant, destination: &str) -> bool {
    if !super::sweep::hand_back_lapsed(tickets, piece, now, destination) {
        return true;
    }
    tickets.books.queue_bytes -= piece.body.len() as u64;
    tickets.release(piece.ticket);
    false
}
