//! The one task of a destination. It owns the queue, the connections' work and the books; everybody else sends it
//! commands. It never waits for one thing alone, and never copies a body.
//!
//! There is no timer for coalescing: whenever a connection is free it takes everything that waits, up to the limit. So an
//! idle system sends at once, and while requests are in flight the next one grows.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, Sleep, sleep_until};

use super::backlog::Backlog;
use super::backoff::Backoff;
use super::breaker::Breaker;
use super::caller::{Caller, Finished};
use super::closing::Draining;
use super::isolate::{Limit, Refusals};
use super::keeper::{Answer, Keeper};
use super::lanes::Lanes;
use super::ledger::Books;
use super::meters::Meters;
use super::queue::{Piece, Queue};
use super::slot::{Sending, Slot};
use super::sweep::drop_lapsed;
use super::tickets::{Reply, Tickets};
use super::{Moved, Signal, Undelivered};
use crate::config::Role;
use crate::lock::lock;
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
        /// What the pieces were cut from, if there are several.
        held: Option<bytes::Bytes>,
        deadline: Option<Instant>,
        reply: Option<Reply>,
    },
    /// Somebody dropped a receipt.
    Withdrawn,
    /// Do not sit out pauses that nobody asked for.
    Hurry,
    /// An answer of the store.
    Store(Answer),
    /// An operator has moved dead letters.
    Moved(Moved),
    /// Write what clients still wait for, or hand it back, and go on.
    LetGo { done: oneshot::Sender<bool> },
    /// Finish what is in hand by `deadline`, then take nothing more.
    Drain { deadline: Instant, done: oneshot::Sender<bool> },
}

/// The state of a destination.
pub(crate) struct Actor {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) max_request_bytes: usize,
    pub(crate) debug_queue_bytes: u64,
    pub(crate) spill_after: Duration,
    /// How long a record may wait on the disk.
    pub(crate) patience: Option<Duration>,
    pub(crate) caller: Arc<Caller>,
    pub(crate) backoff: Backoff,
    pub(crate) breaker: Breaker,
    pub(crate) lanes: Lanes,
    pub(crate) refusals: Refusals,
    pub(crate) limit: Limit,
    pub(crate) meters: Meters,
    pub(crate) published: Arc<Mutex<Books>>,
    pub(crate) slots: Vec<Slot>,
    pub(crate) queue: Queue,
    pub(crate) tickets: Tickets,
    /// Where there is a store.
    pub(crate) keeper: Option<Keeper>,
    pub(crate) sequence: u64,
    /// RetryInfo holds for all connections.
    pub(crate) not_before: Option<Instant>,
    pub(crate) earliest_deadline: Option<Instant>,
    /// When the oldest parcel that is in memory alone is to be written.
    pub(crate) spill_due: Option<Instant>,
    /// Something in memory is on the disk by now.
    pub(crate) shed: bool,
    /// Whose turn it is: that of the backlog.
    pub(crate) stored_turn: bool,
    pub(crate) withdrawn: bool,
    pub(crate) last_sweep: Option<Instant>,
    pub(crate) draining: Vec<Draining>,
    /// Nothing was handed back for want of a place since the drain began.
    pub(crate) clean: bool,
    pub(crate) closed: bool,
}

impl Actor {
    /// Works until nobody is left who could send a command.
    pub(crate) async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Command>) {
        let mut commands = Vec::with_capacity(MOUTHFUL);
        let mut finished: Vec<(usize, Finished)> = Vec::new();
        let mut armed = Instant::now();
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
                self.obey(command, now);
            }
            if self.sweep_due(now).is_some_and(|due| due <= now) {
                self.sweep(now);
            }
            if self.keeper.is_some() {
                self.keep(now);
            }
            self.dispatch(now);
            if self.keeper.is_some() {
                self.ask(now);
                self.fetch(now);
            }
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

    fn obey(&mut self, command: Command, now: Instant) {
        match command {
            Command::Take { signal, spans, once, pieces, held, deadline, reply } => {
                let bytes: u64 = pieces.iter().map(|piece| piece.body.len() as u64).sum();
                let count = u32::try_from(pieces.len()).unwrap_or(u32::MAX);
                let ticket = self.tickets.accept(reply, (signal, spans, once), deadline, count);
                if self.closed || !self.has_room(signal, bytes) {
                    self.tickets.hand_back(ticket, Undelivered::Closed);
                    pieces.iter().for_each(|_| self.tickets.release(ticket));
                    return;
                }
                self.tickets.books.queue_bytes += bytes;
                if let Some(deadline) = deadline {
                    self.earliest_deadline = Some(self.earliest_deadline.map_or(deadline, |first| first.min(deadline)));
                }
                self.expect_spill(signal, now);
                for piece in pieces {
                    self.sequence += 1;
                    let (body, items, sequence) = (piece.body, piece.items, self.sequence);
                    self.queue.push(signal, Piece { body, items, ticket, sequence, held: held.clone() });
                }
            }
            Command::Withdrawn => self.withdrawn = true,
            Command::Hurry => self.hurry(now),
            Command::Store(answer) => self.heard(answer, now),
            Command::Moved(moved) => {
                self.tickets.books.moved(moved);
                if let (Moved::Revived(_), Some(keeper)) = (moved, &mut self.keeper) {
                    keeper.backlogs.values_mut().for_each(Backlog::rewind);
                }
            }
            Command::LetGo { done } => {
                // Whoever asked may have stopped waiting.
                let _ = done.send(self.let_go(now));
            }
            Command::Drain { deadline, done } => {
                self.clean |= self.draining.is_empty();
                self.hurry(now);
                self.draining.push(Draining::new(deadline, now, done));
            }
        }
    }

    fn hurry(&mut self, now: Instant) {
        for slot in &mut self.slots {
            slot.rest = slot.rest.filter(|rest| rest.asked);
        }
        // With a store there is no hurry: nothing is lost by leaving the destination alone.
        if self.keeper.is_none() {
            self.breaker.hurry(now, self.not_before);
            self.lanes.hurry(now);
        }
    }

    /// What the store has to do with this turn: what was read, what is to be written, what need not stay in memory.
    fn keep(&mut self, now: Instant) {
        if self.shed {
            self.shed();
        }
        if self.spill_due.is_some_and(|due| due <= now) {
            self.spill(now, false);
        }
        // Before anything is taken up: what was delivered while it was being written must be known as gone.
        self.ask(now);
        self.take_up(now);
        for reason in std::mem::take(&mut self.tickets.died) {
            self.meters.died(reason, 1);
        }
    }

    /// Gives every free connection something to do.
    fn dispatch(&mut self, now: Instant) {
        if self.breaker.tick(now) {
            self.turned(now);
        }
        self.lanes.tick(now);
        if self.closed || self.not_before.is_some_and(|allowed| now < allowed) {
            return;
        }
        self.not_before = None;
        let mut in_flight = self.slots.iter().filter(|slot| slot.sending.is_some()).count();
        for index in 0..self.slots.len() {
            if !self.breaker.admits(in_flight) {
                return;
            }
            if self.slots[index].is_free(now)
                && let Some(signal) = self.start(index, now)
            {
                self.breaker.started(index);
                self.lanes.started(signal, index);
                in_flight += 1;
            }
        }
    }

    /// Sends the next batch on connection `index`, and says of which signal; `None`: there is none.
    fn start(&mut self, index: usize, now: Instant) -> Option<Signal> {
        let admitted = self.admitted();
        self.make_way(index, |batch| !admitted[batch.signal]);
        loop {
            let slot = &mut self.slots[index];
            let Some(batch) = slot.work.last_mut() else {
                let batch = self.next_batch()?;
                self.slots[index].work.push(batch);
                continue;
            };
            let tickets = &mut self.tickets;
            batch.pieces.retain(|piece| drop_lapsed(tickets, piece, now, &self.name));
            if !batch.sealed && !batch.kept {
                self.queue.top_up(batch, self.limit.bytes());
            }
            if batch.pieces.is_empty() {
                slot.work.pop();
                continue;
            }
            let bodies = batch.pieces.iter().map(|piece| piece.body.clone()).collect();
            let signal = batch.signal;
            let attempt = self.caller.clone().attempt(slot.link.take(), signal, bodies);
            slot.sending = Some(Sending { future: Box::pin(attempt), since: now });
            return Some(signal);
        }
    }

    fn next_alarm(&self, now: Instant) -> Instant {
        let rests = self.slots.iter().filter_map(|slot| slot.rest.map(|rest| rest.until));
        let disk = self.keeper.as_ref().and_then(Keeper::rest);
        // What is over already waits for something else, not for the clock.
        let breakers = self.breaker.wakes().into_iter().chain(self.lanes.wakes());
        let pauses = rests.chain(self.not_before).chain(breakers).chain(disk).filter(|until| *until > now);
        let dues = self.sweep_due(now).into_iter().chain(self.spill_due).chain(self.drain_due(now));
        pauses.chain(dues).min().unwrap_or(now + FAR)
    }

    /// One consistent view for everybody outside.
    pub(crate) fn publish(&mut self) {
        // The oldest of each batch comes first in it, or not much later.
        let working = self.slots.iter().flat_map(|slot| slot.work.iter().filter_map(|batch| batch.pieces.first()));
        let oldest = self.queue.fronts().chain(working).map(|piece| self.tickets.since(piece.ticket)).min();
        let books = &mut self.tickets.books;
        books.oldest = oldest;
        for (signal, backlog) in self.keeper.iter().flat_map(|keeper| keeper.backlogs.iter()) {
            if backlog.is_over() || books.of(signal).spilled == 0 {
                books.oldest_kept[signal] = None;
            }
        }
        books.breaker = self.breaker.state();
        self.meters.publish(books);
        books.clone_into(&mut lock(&self.published));
    }
}
