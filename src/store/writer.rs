//! The thread that writes: it takes everything that waits, has it done in one transaction, and answers.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::store::database::{Database, RETRY_DELAY};
use crate::store::directory::DirectoryLock;
use crate::store::job::{Job, Message};

/// Deletes wait up to this long to share a transaction.
const DELETE_LINGER: Duration = Duration::from_millis(10);
/// A transaction takes no more bodies and jobs than these, so that the first job in it does not wait for long.
const MAX_BATCH_BYTES: usize = 8 << 20;
const MAX_BATCH_JOBS: usize = 1024;
/// Without messages, the thread looks after the file this often.
const IDLE_INTERVAL: Duration = Duration::from_millis(500);
/// The same, while it gives free pages back to the file system.
const SHRINK_INTERVAL: Duration = Duration::from_millis(20);

pub(super) struct Writer {
    database: Database,
    messages: Receiver<Message>,
    /// Held until the thread ends.
    lock: DirectoryLock,
}

impl Writer {
    pub(super) fn new(database: Database, messages: Receiver<Message>, lock: DirectoryLock) -> Self {
        Writer { database, messages, lock }
    }

    /// Works until the store is closed, or until nobody is left who could send a message.
    pub(super) fn run(mut self) {
        let closing = loop {
            let wait = match (self.database.needs_retry(), self.database.is_shrinking()) {
                (true, _) => RETRY_DELAY,
                (false, true) => SHRINK_INTERVAL,
                (false, false) => IDLE_INTERVAL,
            };
            let first = match self.messages.recv_timeout(wait) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout) => {
                    self.database.on_idle();
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break None,
            };
            let (jobs, other) = self.gather(first);
            self.database.work(jobs);
            match other {
                None | Some(Message::Job(_)) => {}
                Some(Message::Damaged { generation, why, done }) => {
                    done.call(self.database.replace_if(generation, &why));
                }
                Some(Message::Close { done }) => break Some(done),
            }
        };
        self.database.work(Vec::new());
        let Writer { database, messages, lock } = self;
        database.close();
        drop(lock);
        drop(messages);
        if let Some(done) = closing {
            done.call(());
        }
    }

    /// What goes into one transaction: everything that waits, up to the first message that is not a job.
    fn gather(&mut self, first: Message) -> (Vec<Job>, Option<Message>) {
        let mut jobs = Vec::new();
        let mut bytes = 0;
        let mut next = Some(first);
        let deadline = Instant::now() + DELETE_LINGER;
        let mut urgent = false;
        loop {
            match next {
                None => return (jobs, None),
                Some(Message::Job(Job::Finish { ids })) => self.database.pending_deletes.extend(ids),
                Some(Message::Job(job)) => {
                    urgent = true;
                    bytes += job.weight();
                    jobs.push(job);
                }
                other => return (jobs, other),
            }
            let deletes = self.database.pending_deletes.len();
            if bytes >= MAX_BATCH_BYTES || jobs.len() >= MAX_BATCH_JOBS || deletes >= MAX_BATCH_JOBS {
                return (jobs, None);
            }
            next = match self.messages.try_recv() {
                Ok(message) => Some(message),
                Err(_) if urgent => None,
                Err(_) => self.messages.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok(),
            };
        }
    }
}
