//! The thread that writes. It takes everything that waits, does it in one transaction, and answers when it is on the disk.

mod upkeep;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::store::fault::Fault;
use crate::store::file;
use crate::store::job::{Job, Message, Outcome};
use crate::store::lock::Taken;
use crate::store::record::RecordId;
use crate::store::room::Room;
use crate::store::shared::Shared;
use crate::store::transaction::{Committed, Transaction};
use upkeep::PAUSE;

/// A transaction that only deletes waits so long for company.
const COMPANY: Duration = Duration::from_millis(10);
/// A transaction is not larger than that, so that the first in it does not wait for long.
const MOST_BYTES: usize = 8 << 20;
const MOST_JOBS: usize = 1024;
/// How often it looks around when nobody comes.
const IDLE: Duration = Duration::from_millis(500);
/// The same, while the file is made smaller step by step.
const TIDY: Duration = Duration::from_millis(20);

pub(super) struct Writer {
    shared: Arc<Shared>,
    messages: Receiver<Message>,
    /// `None`: it has to be opened again.
    connection: Option<Connection>,
    room: Room,
    last_id: i64,
    /// What was delivered and is not yet deleted. It outlives a transaction that fails.
    owed: Vec<RecordId>,
    /// Until then nothing is tried.
    paused: Option<Instant>,
    /// When a damaged file was replaced last.
    replaced: Option<Instant>,
    /// How often it looked around since something was written; `None`: there is nothing to tidy up.
    quiet: Option<u32>,
    /// Held until the thread ends.
    _lock: Taken,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        messages: Receiver<Message>,
        connection: Connection,
        last_id: i64,
        lock: Taken,
    ) -> Self {
        let room = Room::new(&shared.settings);
        Writer {
            shared,
            messages,
            connection: Some(connection),
            room,
            last_id,
            owed: Vec::new(),
            paused: None,
            replaced: None,
            quiet: Some(0),
            _lock: lock,
        }
    }

    /// Until the store is closed, or nobody is left who could ask for something.
    pub(super) fn run(mut self) {
        let closing = loop {
            let wait = match (self.is_troubled(), self.is_tidying()) {
                (true, _) => PAUSE,
                (false, true) => TIDY,
                (false, false) => IDLE,
            };
            let first = match self.messages.recv_timeout(wait) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout) => {
                    self.look_around();
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break None,
            };
            let (jobs, other) = self.gather(first);
            self.work(jobs);
            match other {
                None | Some(Message::Job(_)) => {}
                Some(Message::Damaged { generation, why, done }) => {
                    let same = generation == self.shared.generation();
                    done.call(if same { self.replace(&why).map_err(|fault| fault.not_kept()) } else { Ok(()) });
                }
                Some(Message::Close { done }) => break Some(done),
            }
        };
        self.work(Vec::new());
        self.shared.set_closed();
        let Writer { shared, connection, messages, _lock, .. } = self;
        // The last connection to be closed puts the log into the file.
        shared.alone(|| drop(connection));
        drop(_lock);
        drop(messages);
        if let Some(done) = closing {
            done.call(());
        }
    }

    /// What goes into one transaction: everything that waits, up to the first message that is something else.
    fn gather(&mut self, first: Message) -> (Vec<Job>, Option<Message>) {
        let mut jobs = Vec::new();
        let mut bytes = 0;
        let mut next = Some(first);
        let company = Instant::now() + COMPANY;
        let mut urgent = false;
        loop {
            match next {
                None => return (jobs, None),
                Some(Message::Job(Job::Finish { ids })) => self.owed.extend(ids),
                Some(Message::Job(job)) => {
                    urgent = true;
                    bytes += job.weight();
                    jobs.push(job);
                }
                other => return (jobs, other),
            }
            if bytes >= MOST_BYTES || jobs.len() >= MOST_JOBS || self.owed.len() >= MOST_JOBS {
                return (jobs, None);
            }
            next = match self.messages.try_recv() {
                Ok(message) => Some(message),
                Err(_) if urgent => None,
                Err(_) => self.messages.recv_timeout(company.saturating_duration_since(Instant::now())).ok(),
            };
        }
    }

    /// Does `jobs` and answers them, and deletes what is owed.
    fn work(&mut self, jobs: Vec<Job>) {
        self.step(jobs);
        while !self.owed.is_empty() && self.paused.is_none() {
            self.step(Vec::new());
        }
    }

    /// Does `jobs` in one transaction and answers them.
    fn step(&mut self, jobs: Vec<Job>) {
        if jobs.is_empty() && self.owed.is_empty() {
            return;
        }
        if self.paused.is_some_and(|until| Instant::now() < until) {
            let why = self.shared.health().fault.clone();
            if let Some(why) = why {
                refuse(jobs, || Outcome::Refused(why.clone()));
                return;
            }
        }
        let mut outcome = self.attempt(&jobs);
        if let Err(Fault::Damaged(why)) = &outcome {
            let why = why.clone();
            outcome = self.replace(&why).and_then(|()| self.attempt(&jobs));
        }
        match outcome {
            Ok((committed, outcomes)) => {
                self.settle(committed);
                for (job, outcome) in jobs.into_iter().zip(outcomes) {
                    job.answer(outcome);
                }
                self.shorten_log();
                if Room::is_short(&self.shared) {
                    // Whoever is refused comes again soon: there may never be a quiet moment for it.
                    self.tidy();
                }
            }
            Err(fault) => {
                self.fail(&fault);
                refuse(jobs, || Outcome::Refused(fault.not_kept()));
            }
        }
    }

    fn attempt(&mut self, jobs: &[Job]) -> Result<(Committed, Vec<Outcome>), Fault> {
        self.reopen()?;
        let Some(connection) = &self.connection else { return Err(Fault::Disk("the file is not open".to_owned())) };
        let used = self.shared.books().used();
        self.room.prepare(&self.shared, connection)?;
        let mut transaction = Transaction::begin(connection, self.last_id)?;
        let part = self.owed.len().min(self.room.deletions());
        transaction.delete_waiting(&self.owed[..part])?;
        let mut outcomes = Vec::with_capacity(jobs.len());
        for job in jobs {
            outcomes.push(match job {
                Job::Put { records, .. } => {
                    match self.room.admits(&self.shared, records, transaction.used_after(used)) {
                        Ok(()) => Outcome::Ids(transaction.insert(records)?),
                        Err(why) => Outcome::Refused(why),
                    }
                }
                Job::Finish { .. } => Outcome::Nothing,
                Job::Replace { id, parts, .. } => {
                    transaction.delete_waiting(&[*id])?;
                    Outcome::Ids(transaction.insert(parts)?)
                }
                Job::Revive { filter, .. } => Outcome::Sums(transaction.revive(filter)?),
                Job::Purge { filter, .. } => Outcome::Sums(transaction.purge(filter)?),
                Job::Condemn { damaged, .. } => Outcome::Count(transaction.condemn(damaged)?),
            });
        }
        if self.paused.is_some() {
            // Whether it can be written again is only seen by writing.
            transaction.probe()?;
        }
        let committed = transaction.commit()?;
        self.owed.drain(..part);
        Ok((committed, outcomes))
    }

    fn settle(&mut self, committed: Committed) {
        self.last_id = committed.last_id;
        self.quiet = Some(0);
        let mut books = self.shared.books();
        committed.changes.into_iter().for_each(|change| books.apply(change));
        drop(books);
        if self.paused.take().is_some() {
            self.shared.health().fault = None;
            tracing::info!(directory = %self.shared.settings.directory.display(), "the store can be written again");
        }
    }
}

fn refuse(jobs: Vec<Job>, outcome: impl Fn() -> Outcome) {
    jobs.into_iter().for_each(|job| job.answer(outcome()));
}

/// Where its file is; for the logs.
impl std::fmt::Debug for Writer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Writer({})", file::path(&self.shared.settings.directory).display())
    }
}
