//! What a ticket knows of the disk: whether its parcel is being written, which parts of it the destination refuses for
//! good, which have been dropped from memory because the disk has them. Most tickets never have one of these.
//!
//! What is to be asked of the store is noted as [`Todo`] and done by the actor; its answers come back in here.

use bytes::Bytes;
use tokio::time::Instant;

use super::ledger::Parts;
use super::tickets::{Phase, Ticket, TicketId, Tickets};
use super::{Signal, Undelivered};
use crate::clock::unix_nano;
use crate::store::{Death, NotKept, RecordId, Waiting};

/// Spans, and whether there is anything at all.
pub(super) type Part = (u64, bool);

/// A part that is a dead letter, or is about to be.
#[derive(Clone, Debug)]
pub(crate) struct Dead {
    pub(crate) body: Bytes,
    pub(crate) items: u32,
    pub(crate) death: Death,
    /// What to tell the client if it cannot be kept.
    pub(crate) why: Undelivered,
}

/// What is left of a record that was delivered in part: parts that wait, with their spans, and dead letters.
#[derive(Debug)]
pub(crate) struct Remains {
    pub(crate) left: Vec<(Bytes, u32)>,
    pub(crate) dead: Vec<Dead>,
}

/// What is to be asked of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Todo {
    /// Delivered: forget it.
    Finish(Signal, RecordId),
    /// Nothing of it is in memory any more, and it still waits; `true`: let others go first.
    Back(Signal, RecordId, bool),
    /// Keep what is left of it and its dead letters in its place.
    Replace(TicketId),
    /// Keep its dead letters; the rest was delivered.
    Bury(TicketId),
}

/// The part of a ticket that is only there when it is needed.
#[derive(Debug, Default)]
pub(crate) struct Keeping {
    writing: Option<Written>,
    /// The store did not take it.
    unkeepable: bool,
    attempts: u32,
    /// When it was tried first, nanoseconds since the Unix epoch.
    first: u64,
    pub(super) dead: Vec<Dead>,
    /// Parts of a kept parcel that were dropped from memory.
    left: Vec<(Bytes, u32)>,
    defer: bool,
    received: u64,
}

/// What had become of a parcel when it was begun to be written.
#[derive(Clone, Copy, Debug)]
struct Written {
    acknowledged: u64,
    rejected: u64,
    /// So many of the dead letters go with it.
    dead: usize,
    /// Whether anything besides them does.
    waits: bool,
}

impl Keeping {
    pub(super) fn writing(&self) -> bool {
        self.writing.is_some()
    }
}

impl Ticket {
    fn keeping(&mut self) -> &mut Keeping {
        self.keeping.get_or_insert_default()
    }

    fn dead_part(&self, count: usize) -> Part {
        let dead = self.keeping.iter().flat_map(|keeping| keeping.dead.iter().take(count));
        dead.fold((0, false), |(spans, _), dead| (spans + u64::from(dead.items), true))
    }
}

impl Tickets {
    /// Takes a record up again that was read from the disk. Its pieces follow.
    pub(crate) fn recall(&mut self, record: &Waiting, deadline: Option<Instant>, pieces: u32) -> TicketId {
        let keeping = Keeping { received: record.received, ..Keeping::default() };
        self.open.insert(Ticket {
            reply: None,
            phase: Phase::Kept(record.id),
            signal: record.signal,
            weight: if record.signal == Signal::Traces { u64::from(record.spans) } else { 1 },
            since: Instant::now(),
            deadline,
            pieces,
            acknowledged: 0,
            rejected: 0,
            once: false,
            keeping: Some(Box::new(keeping)),
        })
    }

    /// Whether the disk has it.
    pub(crate) fn is_kept(&self, id: TicketId) -> bool {
        matches!(self.open[id].phase, Phase::Kept(_))
    }

    /// Since when it has waited in memory, if it is to be written at all.
    pub(crate) fn unkept(&self, id: TicketId) -> Option<Instant> {
        let ticket = &self.open[id];
        let untouched = ticket.keeping.as_ref().is_none_or(|keeping| !keeping.writing() && !keeping.unkeepable);
        (ticket.phase == Phase::Waiting && !ticket.once && untouched).then_some(ticket.since)
    }

    /// Whether it has only the memory, since the store did not take it.
    pub(crate) fn is_unkeepable(&self, id: TicketId) -> bool {
        let ticket = &self.open[id];
        ticket.phase == Phase::Waiting && ticket.keeping.as_ref().is_some_and(|keeping| keeping.unkeepable)
    }

    /// When the parcel was received, nanoseconds since the Unix epoch, if it is `now`.
    pub(crate) fn received(&self, id: TicketId, now: u64) -> u64 {
        let ticket = &self.open[id];
        let known = ticket.keeping.as_ref().map_or(0, |keeping| keeping.received);
        if known > 0 { known } else { now.saturating_sub(ticket.since.elapsed().as_nanos() as u64) }
    }

    /// An attempt with a piece of it has failed or was refused.
    pub(crate) fn attempted(&mut self, id: TicketId, now: u64) {
        let keeping = self.open[id].keeping();
        keeping.attempts = keeping.attempts.saturating_add(1);
        keeping.first = if keeping.attempts == 1 { now } else { keeping.first };
    }

    /// How many attempts there were since it was taken in hand, and when the first was; `now`, if there was none.
    pub(crate) fn attempts(&self, id: TicketId, now: u64) -> (u32, u64) {
        let keeping = self.open[id].keeping.as_ref().filter(|keeping| keeping.attempts > 0);
        keeping.map_or((0, now), |keeping| (keeping.attempts, keeping.first))
    }

    /// A piece is a dead letter.
    pub(crate) fn refuse(&mut self, id: TicketId, dead: Dead) {
        self.open[id].keeping().dead.push(dead);
        self.release(id);
    }

    /// A piece of a kept parcel is dropped from memory; with `defer`, others go first when it is its turn again.
    pub(crate) fn drop_kept(&mut self, id: TicketId, body: Bytes, items: u32, defer: bool) {
        let keeping = self.open[id].keeping();
        keeping.left.push((body, items));
        keeping.defer |= defer;
        self.release(id);
    }

    /// It is being written, with the dead letters that come back; `waits`: also what has not been sent yet.
    pub(crate) fn begin(&mut self, id: TicketId, waits: bool) -> Vec<Dead> {
        let ticket = &mut self.open[id];
        let (acknowledged, rejected) = (ticket.acknowledged, ticket.rejected);
        let keeping = ticket.keeping();
        keeping.writing = Some(Written { acknowledged, rejected, dead: keeping.dead.len(), waits });
        keeping.dead.clone()
    }

    /// What is to take the place of its record: what is left, and its dead letters.
    pub(crate) fn remains(&self, id: TicketId) -> Option<(RecordId, Remains)> {
        let ticket = &self.open[id];
        let Phase::Kept(record) = ticket.phase else { return None };
        let keeping = ticket.keeping.as_deref()?;
        Some((record, Remains { left: keeping.left.clone(), dead: keeping.dead.clone() }))
    }

    /// Whether it will wait on the disk when what is being written is there.
    pub(crate) fn waits_for_disk(&self, id: TicketId) -> bool {
        let ticket = &self.open[id];
        let written = ticket.keeping.as_ref().and_then(|keeping| keeping.writing);
        ticket.phase == Phase::Waiting && written.is_some_and(|written| written.waits)
    }

    /// The store has answered: the parcel is on the disk, or is not.
    pub(crate) fn written(&mut self, id: TicketId, result: Result<Vec<RecordId>, NotKept>) {
        let ticket = &mut self.open[id];
        let Some(written) = ticket.keeping().writing.take() else { return };
        match (result, ticket.phase) {
            (Ok(records), Phase::Waiting) => {
                let dead = ticket.dead_part(written.dead);
                let left = match ticket.signal {
                    Signal::Traces => ticket.weight.saturating_sub(dead.0 + written.acknowledged),
                    Signal::Metrics | Signal::Logs => 1,
                };
                let since = (ticket.acknowledged - written.acknowledged, ticket.rejected - written.rejected);
                ticket.rejected = written.rejected;
                let parts = ticket.parts((if written.waits { left } else { 0 }, written.waits), dead);
                self.books.settle(ticket.signal, ticket.weight, parts);
                (ticket.acknowledged, ticket.rejected) = since;
                let died = ticket.keeping().dead.drain(..written.dead);
                self.died.extend(died.map(|dead| dead.death.reason));
                if let Some(reply) = ticket.reply.take() {
                    self.outbox.push((reply, Ok(())));
                }
                ticket.phase = match records.first() {
                    Some(record) if written.waits => Phase::Kept(*record),
                    _ => Phase::Over,
                };
                (ticket.weight, ticket.deadline) = (parts.spilled, None);
                let received = unix_nano().saturating_sub(ticket.since.elapsed().as_nanos() as u64);
                self.books.oldest_kept[ticket.signal].get_or_insert(received);
            }
            // It was delivered meanwhile, or nobody waits any more. Its dead letters stay: they are on the disk.
            (Ok(mut records), _) => {
                let dead = ticket.dead_part(written.dead);
                if dead.1 {
                    let weight = if ticket.signal == Signal::Traces { dead.0 } else { 1 };
                    self.books.accept(ticket.signal, weight);
                    self.books.settle(ticket.signal, weight, Parts { dead: weight, ..Parts::default() });
                    let died = ticket.keeping().dead.drain(..written.dead);
                    self.died.extend(died.map(|dead| dead.death.reason));
                }
                records.truncate(usize::from(written.waits));
                let signal = ticket.signal;
                self.todo.extend(records.into_iter().map(|record| Todo::Finish(signal, record)));
            }
            (Err(_), Phase::Waiting) => {
                let keeping = ticket.keeping();
                keeping.unkeepable = true;
                // Delivered but for these: their client hears of them, as it would without a store.
                let why = keeping.dead.first().map(|dead| dead.why.clone()).filter(|_| ticket.pieces == 0);
                if let Some(why) = why {
                    self.hand_back(id, why);
                }
            }
            (Err(_), _) => {}
        }
        if self.open[id].pieces == 0 {
            self.end(id);
        }
    }

    /// Nothing of a kept parcel is in memory any more but what was dropped.
    pub(super) fn end_kept(&mut self, id: TicketId, record: RecordId) {
        let ticket = &self.open[id];
        let keeping = ticket.keeping.as_deref();
        let (left, dead) = keeping.map_or((false, false), |k| (!k.left.is_empty(), !k.dead.is_empty()));
        if !left && !dead {
            let parts = ticket.parts((0, false), (0, false));
            self.books.settle_kept(ticket.signal, ticket.weight, parts);
            self.todo.push(Todo::Finish(ticket.signal, record));
        } else if ticket.acknowledged == 0 && !dead {
            self.todo.push(Todo::Back(ticket.signal, record, keeping.is_some_and(|keeping| keeping.defer)));
        } else {
            self.todo.push(Todo::Replace(id));
            return;
        }
        self.remove(id);
    }

    /// The disk has what was left of a kept parcel in its place.
    pub(crate) fn replaced(&mut self, id: TicketId) {
        let ticket = &mut self.open[id];
        let keeping = ticket.keeping();
        let left = keeping.left.iter().fold((0, false), |(spans, _), (_, items)| (spans + u64::from(*items), true));
        let dead = ticket.dead_part(usize::MAX);
        let parts: Parts = ticket.parts(left, dead);
        self.books.settle_kept(ticket.signal, ticket.weight, parts);
        self.died.extend(ticket.keeping().dead.drain(..).map(|dead| dead.death.reason));
        self.remove(id);
    }
}
