//! The way to the store: every question comes back as a command. Nothing waits.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::mpsc::WeakUnboundedSender;

use crate::delivery::command::{Aim, Answer, Command, EntryId};
use crate::otlp::Signal;
use crate::store::{NewRecord, RecordId, Store, Wanted};

/// Asks the store on behalf of one destination. When nobody could send its actor a command any more, the actor is about to
/// end, and nothing is asked.
#[derive(Debug)]
pub(crate) struct StoreClient {
    store: Store,
    destination: Arc<str>,
    inbox: WeakUnboundedSender<Command>,
    /// Of the last put.
    number: u64,
    /// Puts that are under way.
    puts: BTreeSet<u64>,
}

impl StoreClient {
    pub(crate) fn new(store: Store, destination: &str, inbox: WeakUnboundedSender<Command>) -> Self {
        Self { store, destination: destination.into(), inbox, number: 0, puts: BTreeSet::new() }
    }

    /// Component name of the destination.
    pub(crate) fn destination(&self) -> &Arc<str> {
        &self.destination
    }

    /// Has `records` written for `entry`.
    pub(crate) fn put(&mut self, entry: EntryId, records: Vec<NewRecord>) {
        let Some(inbox) = self.inbox.upgrade() else { return };
        self.number += 1;
        let number = self.number;
        self.puts.insert(number);
        self.store.put(records, move |result| {
            let _ = inbox.send(Command::Store(Answer::Written { entry, number, result }));
        });
    }

    /// The put `number` was answered.
    pub(crate) fn put_done(&mut self, number: u64) {
        self.puts.remove(&number);
    }

    /// The number of the last put.
    pub(crate) fn last_put(&self) -> u64 {
        self.number
    }

    /// Whether a put up to `number` is under way.
    pub(crate) fn is_putting(&self, number: u64) -> bool {
        self.puts.first().is_some_and(|first| *first <= number)
    }

    /// Has `record` replaced by `parts`.
    pub(crate) fn replace(&mut self, entry: EntryId, record: RecordId, parts: Vec<NewRecord>) {
        let Some(inbox) = self.inbox.upgrade() else { return };
        self.store.replace(record, parts, move |result| {
            let _ = inbox.send(Command::Store(Answer::Replaced { entry, record, result }));
        });
    }

    /// Has `records` deleted: they were delivered.
    pub(crate) fn complete(&mut self, records: Vec<RecordId>) {
        self.store.finish(records);
    }

    /// Reads records of `signal` after one of them, for `aim`. `false`: nothing was asked.
    pub(crate) fn read(&mut self, signal: Signal, aim: Aim, after: Option<RecordId>, max_bytes: usize) -> bool {
        let Some(inbox) = self.inbox.upgrade() else { return false };
        let destination = self.destination.clone();
        let wanted = Wanted { destination, signal, after, until: aim.until(), max_bytes };
        self.store.read(wanted, move |read| {
            let _ = inbox.send(Command::Store(Answer::Read(signal, aim, read)));
        });
        true
    }
}
