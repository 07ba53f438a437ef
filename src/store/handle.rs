//! The open store as the rest of the program sees it: every call becomes a message to a thread of the store.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use crate::store::backlog::{self, Ask, ask, mark_corrupt, read_or_repair};
use crate::store::database::Database;
use crate::store::error::{NotKept, StoreError};
use crate::store::job::{Done, Job, Message};
use crate::store::record::{Count, Filter, Kept, Letter, NewRecord, Portion, RecordId, Wanted};
use crate::store::settings::{StoreSettings, StoreStatus};
use crate::store::shared::{Shared, WriterHealth};
use crate::store::usage::DestinationSums;
use crate::store::writer::Writer;
use crate::store::{directory, open, select, space};

/// Rows that are looked up without a pause for other readers.
const LOOKUP_BATCH: usize = 10_000;

/// An open store. Clones share it; dropping the last one closes it.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    writer: Sender<Message>,
    /// `None` once the last clone is gone.
    backlog: Option<Sender<Ask>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Store {
    /// Opens the store in `settings.directory`, or creates one there. A damaged file is set aside, and what can be read of it is
    /// taken over. Blocks.
    ///
    /// # Errors
    /// The directory cannot be used, or another process is using it.
    pub fn open(settings: StoreSettings) -> Result<Self, StoreError> {
        let lock = directory::lock(&settings.directory)?;
        let opened = open::open(&settings.directory)?;
        let free_bytes = space::free_bytes(&settings.directory);
        let health = WriterHealth { free_bytes, set_aside: opened.set_aside, ..WriterHealth::default() };
        let shared = Arc::new(Shared::new(settings, opened.contents.usage, health));

        let (writer, messages) = channel();
        let database = Database::new(Arc::clone(&shared), opened.connection, opened.contents.last_id);
        let work = Writer::new(database, messages, lock);
        let writing = spawn("store-writer", {
            let shared = Arc::clone(&shared);
            move || {
                if catch_unwind(AssertUnwindSafe(|| work.run())).is_err() {
                    tracing::error!("the store-writer thread panicked: the store is closed");
                    shared.set_closed();
                }
            }
        })?;
        let (backlog, asks) = channel();
        let reading = spawn("store-reader", {
            let (shared, writer) = (Arc::clone(&shared), writer.clone());
            move || backlog::run(&shared, &asks, &writer)
        })?;
        let threads = Mutex::new(vec![reading, writing]);
        Ok(Store { inner: Arc::new(Inner { shared, writer, backlog: Some(backlog), threads }) })
    }

    /// How it is doing; answered from memory.
    pub fn status(&self) -> StoreStatus {
        self.inner.shared.status()
    }

    /// What is stored for each destination, including destinations that are no longer configured; answered from memory.
    ///
    /// # Errors
    /// None at present.
    pub fn kept(&self) -> Result<Vec<(String, Kept)>, StoreError> {
        Ok(self.inner.shared.usage().kept())
    }

    /// Stores all of `records` or none. Once they are on the disk (fsync), `done` gets their ids in the same order. It is called
    /// on the writer's thread and must not wait for the store.
    pub fn put(&self, records: Vec<NewRecord>, done: impl FnOnce(Result<Vec<RecordId>, NotKept>) + Send + 'static) {
        self.send(Job::Put { records, done: Done::new(done, || Err(NotKept::Closed)) });
    }

    /// Deletes records that were delivered, some time soon. Those that a crash leaves behind are sent twice.
    pub fn finish(&self, ids: Vec<RecordId>) {
        self.send(Job::Finish { ids });
    }

    /// Puts `parts`, what is left to send of the waiting record `id` and its dead letters, in its place, in one transaction. The
    /// limits do not apply. If `id` does not wait any more, the parts are stored all the same.
    pub fn replace(
        &self,
        id: RecordId,
        parts: Vec<NewRecord>,
        done: impl FnOnce(Result<Vec<RecordId>, NotKept>) + Send + 'static,
    ) {
        self.send(Job::Replace { id, parts, done: Done::new(done, || Err(NotKept::Closed)) });
    }

    /// Reads waiting records. However many other records there are, their bodies are not touched. Records whose checksum is wrong
    /// become dead letters (`corrupt_record`) and are counted in [`Portion::damaged`]. `done` is called on the reader's thread.
    pub fn read(&self, wanted: Wanted, done: impl FnOnce(Result<Portion, StoreError>) + Send + 'static) {
        let done = Done::new(done, || Err(NotKept::Closed.into()));
        if let Some(backlog) = &self.inner.backlog {
            // The thread has ended: dropping `done` answers that the store is closed.
            drop(backlog.send(Ask { wanted, done }));
        }
    }

    /// The dead letters that match `filter`, oldest first, without their bodies. Blocks.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn letters(&self, filter: &Filter) -> Result<Vec<Letter>, StoreError> {
        let Inner { shared, writer, .. } = &*self.inner;
        read_or_repair(shared, writer, || {
            shared.read(&shared.letters, |connection| select::letters(connection, filter))
        })
    }

    /// The dead letter `id` with its body, if there is one. If the body is not what was written, the letter becomes a
    /// `corrupt_record`, and the body is what the disk returned. Blocks.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn letter(&self, id: RecordId) -> Result<Option<(Letter, bytes::Bytes)>, StoreError> {
        let Inner { shared, writer, .. } = &*self.inner;
        let find = || read_or_repair(shared, writer, || shared.read(&shared.letters, |read| select::letter(read, id)));
        let mut found = find()?;
        if let Some((_, _, Some(wrong))) = found {
            mark_corrupt(writer, [(id, wrong)].into())?;
            found = find()?;
        }
        Ok(found.map(|(letter, body, _)| (letter, body)))
    }

    /// Those of the records `ids` that wait to be sent. Blocks.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn still_waiting(&self, ids: &[RecordId]) -> Result<Vec<RecordId>, StoreError> {
        let Inner { shared, writer, .. } = &*self.inner;
        let mut waiting = Vec::new();
        // In parts: while one is read, nobody else can ask for dead letters.
        for ids in ids.chunks(LOOKUP_BATCH) {
            let read = || shared.read(&shared.letters, |connection| select::still_waiting(connection, ids));
            waiting.extend(read_or_repair(shared, writer, read)?);
        }
        Ok(waiting)
    }

    /// Makes the dead letters that match `filter` wait to be sent again, in one transaction. Returns their sum per destination.
    /// They keep their ids. Blocks until that is on the disk.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn revive(&self, filter: &Filter) -> Result<Vec<(String, Count)>, StoreError> {
        let filter = filter.clone();
        self.ask(|done| Job::Revive { filter, done })
    }

    /// Deletes the dead letters that match `filter` and counts them as discarded, in one transaction. Returns their sum per
    /// destination. Blocks until that is on the disk.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn purge(&self, filter: &Filter) -> Result<Vec<(String, Count)>, StoreError> {
        let filter = filter.clone();
        self.ask(|done| Job::Purge { filter, done })
    }

    /// Writes what was put, answers it, and releases the directory. Whatever is put afterwards is refused. Blocks.
    pub fn close(&self) {
        self.inner.close();
    }

    fn send(&self, job: Job) {
        // The thread has ended: dropping the job answers that the store is closed.
        drop(self.inner.writer.send(Message::Job(job)));
    }

    fn ask(
        &self,
        job: impl FnOnce(Done<Result<DestinationSums, NotKept>>) -> Job,
    ) -> Result<Vec<(String, Count)>, StoreError> {
        let sums = ask(&self.inner.writer, |done| Message::Job(job(done)));
        Ok(sums?.into_vec())
    }
}

impl Inner {
    fn close(&self) {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let done = Done::new(move |()| _ = sender.send(()), || ());
        drop(self.writer.send(Message::Close { done }));
        // An error says that the thread has ended already.
        let _ = receiver.recv();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let threads = std::mem::take(&mut *crate::lock::lock(&self.threads));
        // The last clone may have been held by a `done`: then this is a thread of the store, which cannot wait for itself.
        let is_own = threads.iter().any(|thread| thread.thread().id() == thread::current().id());
        self.backlog = None;
        if is_own {
            let done = Done::new(|()| {}, || ());
            drop(self.writer.send(Message::Close { done }));
            return;
        }
        self.close();
        for thread in threads {
            // Its panic, if any, is in the log.
            let _ = thread.join();
        }
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(run);
    spawned.map_err(|error| StoreError(format!("the store cannot start a thread: {error}")))
}
