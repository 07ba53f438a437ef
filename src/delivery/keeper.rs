//! The actor's way to the store: every question goes out with a number and comes back as a command. Nothing waits.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::WeakUnboundedSender;
use tokio::time::Instant;

use super::Signal;
use super::actor::Command;
use super::backlog::{Aim, Backlog};
use super::queue::Queue;
use super::tickets::TicketId;
use crate::otlp::PerSignal;
use crate::store::{NewRecord, NotKept, Portion, RecordId, Store, StoreError, Wanted};

/// After the disk has failed.
const PAUSE: Duration = Duration::from_secs(1);

/// What a read came to.
pub(crate) type Read = Result<Portion, StoreError>;

/// What the store answers.
#[derive(Debug)]
pub(crate) enum Answer {
    Written { ticket: TicketId, number: u64, result: Result<Vec<RecordId>, NotKept> },
    Replaced { ticket: TicketId, record: RecordId, result: Result<Vec<RecordId>, NotKept> },
    Read(Signal, Aim, Read),
}

/// One destination's share of the store.
#[derive(Debug)]
pub(crate) struct Keeper {
    store: Store,
    pub(crate) destination: Arc<str>,
    inbox: WeakUnboundedSender<Command>,
    /// Of each signal.
    pub(crate) backlogs: PerSignal<Backlog>,
    /// Read and not yet sent.
    pub(crate) ready: Queue,
    /// Whose turn it was to be read.
    turn: Signal,
    number: u64,
    /// Puts that are under way.
    puts: BTreeSet<u64>,
    reading: bool,
    /// What was read, and the first put that did not lie before it. A record that is just being put may be among it: who it
    /// belongs to is only known when the puts before are answered.
    arrived: Option<(u64, Signal, Aim, Read)>,
    /// After a failure.
    rest: Option<Instant>,
    /// Replacements that failed.
    pub(crate) stuck: Vec<TicketId>,
}

impl Keeper {
    pub(crate) fn new(
        store: Store,
        destination: &str,
        inbox: WeakUnboundedSender<Command>,
        something_waits: bool,
    ) -> Self {
        Self {
            store,
            destination: destination.into(),
            inbox,
            backlogs: PerSignal::from_fn(|_| Backlog::new(something_waits)),
            ready: Queue::default(),
            turn: Signal::Logs,
            number: 0,
            puts: BTreeSet::new(),
            reading: false,
            arrived: None,
            rest: None,
            stuck: Vec::new(),
        }
    }

    /// Has `records` written for `ticket`.
    pub(crate) fn put(&mut self, ticket: TicketId, records: Vec<NewRecord>) {
        // Nobody could send a command any more: then the actor is about to end.
        let Some(inbox) = self.inbox.upgrade() else { return };
        self.number += 1;
        let number = self.number;
        self.puts.insert(number);
        self.store.put(records, move |result| {
            let _ = inbox.send(Command::Store(Answer::Written { ticket, number, result }));
        });
    }

    /// The put `number` was answered.
    pub(crate) fn answered(&mut self, number: u64) {
        self.puts.remove(&number);
    }

    /// Has `record` replaced by `parts`.
    pub(crate) fn replace(&mut self, ticket: TicketId, record: RecordId, parts: Vec<NewRecord>) {
        let Some(inbox) = self.inbox.upgrade() else { return };
        self.store.replace(record, parts, move |result| {
            let _ = inbox.send(Command::Store(Answer::Replaced { ticket, record, result }));
        });
    }

    /// The backlog of `signal`.
    pub(crate) fn backlog(&mut self, signal: Signal) -> &mut Backlog {
        &mut self.backlogs[signal]
    }

    /// These were delivered.
    pub(crate) fn finish(&mut self, records: Vec<(Signal, RecordId)>, now: Instant) {
        records.iter().for_each(|(signal, id)| self.backlog(*signal).finished(*id, now));
        self.store.finish(records.into_iter().map(|(_, id)| id).collect());
    }

    /// Whether a read could be asked for: none is under way, and the disk is not to be left alone.
    pub(crate) fn may_read(&self, now: Instant) -> bool {
        !self.reading && self.rest.is_none_or(|rest| rest <= now)
    }

    /// Asks for more of the backlog of one of the `wanted` signals, in turns.
    pub(crate) fn read(&mut self, wanted: PerSignal<bool>, max_bytes: usize) {
        let Some(signal) = self.next_turn(wanted) else { return };
        let (Some((aim, after)), Some(inbox)) = (self.backlog(signal).next(), self.inbox.upgrade()) else { return };
        (self.reading, self.turn) = (true, signal);
        let wanted = Wanted { destination: self.destination.clone(), signal, after, until: aim.until(), max_bytes };
        self.store.read(wanted, move |read| {
            let _ = inbox.send(Command::Store(Answer::Read(signal, aim, read)));
        });
    }

    /// Whose turn it is to be read. What was sent in vain goes after everything else, of whatever signal.
    fn next_turn(&self, wanted: PerSignal<bool>) -> Option<Signal> {
        let turns = (1..=3).map(|step| Signal::ALL[(self.turn as usize + step) % 3]);
        let turns = turns.filter(|signal| wanted[*signal]);
        let find = |has: fn(&Backlog) -> bool| turns.clone().find(|signal| has(&self.backlogs[*signal]));
        find(Backlog::waits).or_else(|| find(Backlog::stands_back))
    }

    /// A read has been answered.
    pub(crate) fn arrived(&mut self, signal: Signal, aim: Aim, read: Read) {
        self.arrived = Some((self.number, signal, aim, read));
    }

    /// What was read, as soon as it is known whose it is.
    pub(crate) fn take(&mut self) -> Option<(Signal, Aim, Read)> {
        let (fence, ..) = self.arrived.as_ref()?;
        if self.puts.first().is_some_and(|number| number <= fence) {
            return None;
        }
        self.reading = false;
        self.arrived.take().map(|(_, signal, aim, read)| (signal, aim, read))
    }

    /// The disk has failed: it is left alone for a while.
    pub(crate) fn failed(&mut self, now: Instant) {
        self.rest = Some(now + PAUSE);
    }

    /// When the disk is to be tried again; `None`: there is no reason to wait.
    pub(crate) fn rest(&self) -> Option<Instant> {
        self.rest
    }

    /// Whether a pause of the disk has just ended.
    pub(crate) fn rested(&mut self, now: Instant) -> bool {
        let over = self.rest.is_some_and(|rest| rest <= now);
        self.rest = self.rest.filter(|_| !over);
        over
    }
}
