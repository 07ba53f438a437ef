//! What must survive the process: requests that wait for a destination, and dead letters. One SQLite file, one thread
//! that writes; whoever puts something in is told when it is on the disk and not before.
//!
//! Entered by `delivery` (put, finish, read), by the admin door and `chainspan dlq` (dead letters) and by `service` (open,
//! close). Nothing in here waits for a network or knows of an async runtime.
//!
//! # Constraints
//!
//! - What was answered survives `kill -9` and a power cut.
//! - One damaged byte, wherever it is, costs at most the record that holds it, and that one is listed.
//! - A full disk or a failing one refuses what is new, loses nothing that is old, and recovers without anybody's help.
//! - Memory does not grow with what is kept: 24 MiB for the writer's pages, 2 MiB per reader, some bytes per row for the ages.
//! - In a store that nothing is put into, nothing is written.
//!
//! # Layout
//!
//! `spill.db` with `-wal` and `-shm` is the file, `spill.lock` the lock of its one owner, `spill.db.damaged-SECONDS` what was set
//! aside, `spill.db.new` and `spill.db.ready` a replacement that is being made (`replace`). All of it is 0600 in a 0700 directory.
//!
//! One row per request (or part of one) and destination: `(id, head, body)`. The head says everything about the record, and the
//! two together are a frame that can be found and checked without SQLite (`frame`). A dead letter is a state of the same row: to
//! die or to be revived moves nothing. There is no index: rows are visited in the order of their numbers, and the head is in
//! front of the body, so that looking at a head touches one page. Sums per destination are kept in memory (`books`), and so is
//! what operators discarded, which has rows of its own (table `discarded`).
//!
//! # Write path
//!
//! `put`, `finish`, `replace`, `revive`, `purge` are messages for the writer thread (`writer`). It takes everything that waits (at
//! most 8 MiB), does it in one transaction (`transaction`), commits it, which is one `fsync` of the log, tells the books, and then
//! calls those who wait. While it is at the disk the next transaction gathers: with more load there are larger transactions, not
//! more of them. No put waits for a timer; a `finish` by itself waits up to 10 ms for others.
//!
//! The budget and the free disk are looked at before a put is written (`room`). If a transaction fails it is rolled back, everybody
//! in it is told, the disk is left alone for 100 ms, and then the next one, or a probe, tries again. What was delivered and
//! could not be deleted stays on the writer's list. `status` tells from memory why nothing is taken at the moment.
//!
//! When it is quiet, free pages go back to the file system and the log is emptied.
//!
//! # Read path
//!
//! The backlog is read by a thread with a connection of its own (`backlog`), one signal of one destination at a time: of other
//! records only the heads are looked at, and whoever asks hears how far that was. Dead letters are read by whoever asks, with
//! another connection (`select`). With the write-ahead log neither holds up the writer. Each body is compared with its checksum: a
//! wrong one makes the record a dead letter `corrupt_record`, in its row, and its neighbours are delivered.
//!
//! # Recovery
//!
//! Opening (`open`) locks the directory, finishes a replacement that was interrupted, checks the log, asks SQLite whether the file
//! is in order (`quick_check`), and reads all heads for the sums. A file of a newer version is refused and left
//! alone. A file that is damaged, now or while it is in use, is set aside, and what can be read of
//! it is taken over without SQLite (`salvage`): page by page, each record proven by its checksums.
//!
//! # What is lost when
//!
//! | event | what becomes of it |
//! |---|---|
//! | `kill -9`, power cut | nothing that was answered is lost; what was delivered up to 10 ms before is sent twice |
//! | power cut in the middle of a transaction | nothing that was answered; the torn log may be taken for a damaged one and set aside |
//! | a wrong byte in a body | that record: a dead letter `corrupt_record` |
//! | a wrong byte in a head | that record: a dead letter if it can still be read, else only the file that was set aside has it |
//! | a wrong byte elsewhere | nothing; the file is set aside |
//! | a salvage | a record that was deleted shortly before may be found again: it is sent twice, or listed again |
//! | disk full, I/O error | nothing; puts are refused until it works again |

mod backlog;
mod books;
mod fault;
mod fields;
mod file;
mod frame;
pub(crate) mod fuzzing;
mod job;
mod lock;
mod open;
mod record;
mod replace;
mod room;
mod salvage;
mod scan;
mod select;
mod shared;
mod transaction;
mod writer;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use backlog::{Ask, ask, condemn, mended};
use books::Sums;
use job::{Done, Job, Message};
use shared::{Health, Shared};
use writer::Writer;

pub use record::{Count, Death, Filter, Kept, Letter, NewRecord, Portion, Reason, RecordId, Waiting, Wanted};

/// How a store is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where its files are.
    pub directory: PathBuf,
    /// The most bytes that it may hold.
    pub max_bytes: u64,
    /// So much of the disk must stay free.
    pub min_free_bytes: u64,
}

/// Why a store cannot be opened, or a question about it not be answered.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(String);

/// Why something was not kept. Nothing of what was put together is kept then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotKept {
    /// `max_size_mib` is taken.
    #[error("the store is full")]
    Full,
    /// Too little of the disk is free, or the disk said so.
    #[error("the disk is full")]
    DiskFull,
    /// The disk does not work.
    #[error("the store cannot be written: {0}")]
    Failed(String),
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}

/// How a store is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreStatus {
    /// Bytes that count against `max_bytes`.
    pub used_bytes: u64,
    /// `Settings::max_bytes`.
    pub max_bytes: u64,
    /// Bytes free on its disk.
    pub free_bytes: u64,
    /// Why nothing can be put in at the moment.
    pub refusing: Option<NotKept>,
    /// Damaged files that were set aside, when this store was opened or since.
    pub set_aside: Vec<PathBuf>,
}

/// An open store. Cloning shares it. The last clone that goes closes it.
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
    /// Opens the store in `settings.directory`, making it where there is none. Blocks. A damaged file is set aside and what
    /// can be read of it is taken over.
    ///
    /// # Errors
    /// The directory cannot be used, or another process has the store.
    pub fn open(settings: Settings) -> Result<Self, StoreError> {
        let lock = lock::take(&settings.directory)?;
        let opened = open::open(&settings.directory)?;
        let free_bytes = room::free_bytes(&settings.directory);
        let health = Health { free_bytes, set_aside: opened.set_aside, ..Health::default() };
        let shared = Arc::new(Shared::new(settings, opened.contents.books, health));

        let (writer, messages) = channel();
        let work = Writer::new(Arc::clone(&shared), messages, opened.connection, opened.contents.last_id, lock);
        let writing = spawn("store-writer", {
            let shared = Arc::clone(&shared);
            move || {
                if catch_unwind(AssertUnwindSafe(|| work.run())).is_err() {
                    tracing::error!("the thread that writes the store panicked: the store is closed");
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

    /// How it was set up.
    pub fn settings(&self) -> &Settings {
        &self.inner.shared.settings
    }

    /// How it is now; does not wait.
    pub fn status(&self) -> StoreStatus {
        self.inner.shared.status()
    }

    /// What is kept, per destination, also of destinations that are not configured any more. Blocks.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn kept(&self) -> Result<Vec<(String, Kept)>, StoreError> {
        Ok(self.inner.shared.books().kept())
    }

    /// Keeps all of `records` or none. `done` is called on the store's thread when they are on the disk (fsync), with one
    /// id each, in the same order. It must not wait for the store.
    pub fn put(&self, records: Vec<NewRecord>, done: impl FnOnce(Result<Vec<RecordId>, NotKept>) + Send + 'static) {
        self.send(Job::Put { records, done: Done::new(done, || Err(NotKept::Closed)) });
    }

    /// Forgets records that were delivered; soon, and nobody waits for it. What a crash before that leaves is sent twice.
    pub fn finish(&self, ids: Vec<RecordId>) {
        self.send(Job::Finish { ids });
    }

    /// Puts `parts` in the place of the waiting record `id`, in one transaction: what is left of it, and its dead letters.
    /// Not held against the limits. Where `id` does not wait any more the parts are kept all the same.
    pub fn replace(
        &self,
        id: RecordId,
        parts: Vec<NewRecord>,
        done: impl FnOnce(Result<Vec<RecordId>, NotKept>) + Send + 'static,
    ) {
        self.send(Job::Replace { id, parts, done: Done::new(done, || Err(NotKept::Closed)) });
    }

    /// Reads what waits. Of what is not `wanted` no body is touched, however much there is. Records whose checksum is wrong
    /// become dead letters (`corrupt_record`) and are counted in [`Portion::damaged`]. `done` is called on a thread of the
    /// store.
    pub fn read(&self, wanted: Wanted, done: impl FnOnce(Result<Portion, StoreError>) + Send + 'static) {
        let done = Done::new(done, || Err(StoreError(NotKept::Closed.to_string())));
        if let Some(backlog) = &self.inner.backlog {
            // What cannot be sent is dropped, and answered by that.
            drop(backlog.send(Ask { wanted, done }));
        }
    }

    /// The dead letters that `filter` means, oldest first, without their bodies. Blocks.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn letters(&self, filter: &Filter) -> Result<Vec<Letter>, StoreError> {
        let Inner { shared, writer, .. } = &*self.inner;
        mended(shared, writer, || shared.read(&shared.letters, |connection| select::letters(connection, filter)))
    }

    /// One dead letter with its body; `None`: there is none of that number. A letter whose body is not what was written
    /// becomes a `corrupt_record` by being looked at; its body is what the disk gives. Blocks.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn letter(&self, id: RecordId) -> Result<Option<(Letter, bytes::Bytes)>, StoreError> {
        let Inner { shared, writer, .. } = &*self.inner;
        let look = || mended(shared, writer, || shared.read(&shared.letters, |read| select::letter(read, id)));
        let mut found = look()?;
        if let Some((_, _, Some(wrong))) = found {
            condemn(writer, [(id, wrong)].into()).map_err(|why| StoreError(why.to_string()))?;
            found = look()?;
        }
        Ok(found.map(|(letter, body, _)| (letter, body)))
    }

    /// Lets the dead letters that `filter` means wait to be sent again, in one transaction; their sum per destination.
    /// They keep their ids. Blocks until it is on the disk.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn revive(&self, filter: &Filter) -> Result<Vec<(String, Count)>, StoreError> {
        let filter = filter.clone();
        self.ask(|done| Job::Revive { filter, done })
    }

    /// Forgets the dead letters that `filter` means and counts them as discarded, in one transaction; their sum per
    /// destination. Blocks until it is on the disk.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn purge(&self, filter: &Filter) -> Result<Vec<(String, Count)>, StoreError> {
        let filter = filter.clone();
        self.ask(|done| Job::Purge { filter, done })
    }

    /// Writes what was put, answers it, and lets go of the directory. Afterwards nothing is kept any more. Blocks.
    pub fn close(&self) {
        self.inner.close();
    }

    fn send(&self, job: Job) {
        // What cannot be sent is dropped, and answered by that: the store is closed.
        drop(self.inner.writer.send(Message::Job(job)));
    }

    fn ask(&self, job: impl FnOnce(Done<Result<Sums, NotKept>>) -> Job) -> Result<Vec<(String, Count)>, StoreError> {
        let sums = ask(&self.inner.writer, |done| Message::Job(job(done)));
        sums.map(Sums::into_vec).map_err(|why| StoreError(why.to_string()))
    }
}

impl Inner {
    fn close(&self) {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let done = Done::new(move |()| _ = sender.send(()), || ());
        drop(self.writer.send(Message::Close { done }));
        // An error says that nobody is left who could answer, which is what we wait for.
        let _ = receiver.recv();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let threads = std::mem::take(&mut *crate::lock::lock(&self.threads));
        // The last clone may be one that was kept by an answer: then this is a thread of the store, which cannot wait for
        // itself.
        let own = threads.iter().any(|thread| thread.thread().id() == thread::current().id());
        self.backlog = None;
        if own {
            let done = Done::new(|()| {}, || ());
            drop(self.writer.send(Message::Close { done }));
            return;
        }
        self.close();
        for thread in threads {
            // A panic was already logged by its thread; there is nobody to hand it to.
            let _ = thread.join();
        }
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(run);
    spawned.map_err(|error| StoreError(format!("the store cannot start a thread: {error}")))
}
