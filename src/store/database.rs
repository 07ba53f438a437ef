//! The file as the writer uses it: one transaction for everything that waits, and what happens when that fails. A fault is tried
//! again after a pause, a damaged file is replaced, and an idle one is made smaller.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::store::error::NotKept;
use crate::store::file;
use crate::store::file_error::FileError;
use crate::store::job::{Job, JobResult};
use crate::store::open::{self, OpenedFile};
use crate::store::record::RecordId;
use crate::store::shared::Shared;
use crate::store::space::SpaceGuard;
use crate::store::transaction::{Committed, Transaction};

/// After a failure the disk is left alone this long.
pub(super) const RETRY_DELAY: Duration = Duration::from_millis(100);
/// The same, when the file could not be opened again: that may take reading all of it.
const REOPEN_DELAY: Duration = Duration::from_secs(5);
/// A file that is damaged again so soon after it was replaced is left as it is: copies must not fill the disk.
const MIN_REPLACE_INTERVAL: Duration = Duration::from_secs(60);
/// The file is made smaller once this many calls of `on_idle` came without a write in between.
const QUIET_INTERVALS: u32 = 2;

pub(super) struct Database {
    shared: Arc<Shared>,
    /// `None`: it has to be opened again.
    connection: Option<Connection>,
    space: SpaceGuard,
    /// The highest id that was given away.
    last_id: i64,
    /// Delivered, and not yet deleted. Outlives a transaction that fails.
    pub(super) pending_deletes: Vec<RecordId>,
    /// Nothing is tried before.
    paused_until: Option<Instant>,
    /// When a damaged file was replaced last.
    replaced_at: Option<Instant>,
    /// Calls of `on_idle` since the last write; `None`: the file is as small as it can be.
    quiet: Option<u32>,
}

impl Database {
    pub(super) fn new(shared: Arc<Shared>, connection: Connection, last_id: i64) -> Self {
        let space = SpaceGuard::new(&shared.settings);
        Database {
            shared,
            connection: Some(connection),
            space,
            last_id,
            pending_deletes: Vec::new(),
            paused_until: None,
            replaced_at: None,
            quiet: Some(0),
        }
    }

    /// Something failed or is left to do, and should not wait for the next job.
    pub(super) fn needs_retry(&self) -> bool {
        self.paused_until.is_some() || !self.pending_deletes.is_empty() || self.connection.is_none()
    }

    /// Free pages are being given back to the file system.
    pub(super) fn is_shrinking(&self) -> bool {
        self.quiet.is_some_and(|quiet| quiet >= QUIET_INTERVALS)
    }

    /// Does `jobs` and answers them, and does the deletes that are pending.
    pub(super) fn work(&mut self, jobs: Vec<Job>) {
        self.commit_and_answer(jobs);
        while !self.pending_deletes.is_empty() && self.paused_until.is_none() {
            self.commit_and_answer(Vec::new());
        }
    }

    /// No job came for a while.
    pub(super) fn on_idle(&mut self) {
        self.space.sample(&self.shared);
        if self.needs_retry() {
            if self.paused_until.is_none_or(|until| Instant::now() >= until) {
                self.retry();
            }
            return;
        }
        let Some(quiet) = &mut self.quiet else { return };
        *quiet += 1;
        if *quiet >= QUIET_INTERVALS {
            self.shrink();
        }
    }

    /// Replaces the file of this `generation`, in which somebody found damage, unless that has happened since.
    pub(super) fn replace_if(&mut self, generation: u64, why: &str) -> Result<(), NotKept> {
        if generation != self.shared.generation() {
            return Ok(());
        }
        self.replace(why).map_err(|error| error.not_kept())
    }

    pub(super) fn close(self) {
        self.shared.set_closed();
        // Closing the last connection moves the log into the file.
        self.shared.exclusive(|| drop(self.connection));
    }

    /// Does `jobs` in one transaction and answers them.
    fn commit_and_answer(&mut self, jobs: Vec<Job>) {
        if jobs.is_empty() && self.pending_deletes.is_empty() {
            return;
        }
        if self.paused_until.is_some_and(|until| Instant::now() < until) {
            let why = self.shared.health().error.clone();
            if let Some(why) = why {
                refuse(jobs, || JobResult::Refused(why.clone()));
                return;
            }
        }
        let mut outcome = self.commit(&jobs);
        if let Err(FileError::Damaged(why)) = &outcome {
            let why = why.clone();
            outcome = self.replace(&why).and_then(|()| self.commit(&jobs));
        }
        match outcome {
            Ok((committed, results)) => {
                self.on_success(committed);
                for (job, result) in jobs.into_iter().zip(results) {
                    job.answer(result);
                }
                // After the answers, so that nobody has to wait for it.
                self.shorten_log();
                if SpaceGuard::is_short(&self.shared) {
                    // Whoever is refused retries soon: there may never be an idle moment for it.
                    self.shrink();
                }
            }
            Err(error) => {
                self.on_failure(&error);
                refuse(jobs, || JobResult::Refused(error.not_kept()));
            }
        }
    }

    fn commit(&mut self, jobs: &[Job]) -> Result<(Committed, Vec<JobResult>), FileError> {
        self.reopen()?;
        let Some(connection) = &self.connection else { return Err(FileError::Io("the file is not open".to_owned())) };
        let used = self.shared.usage().used();
        self.space.prepare(&self.shared, connection)?;
        let mut transaction = Transaction::begin(connection, self.last_id)?;
        let deletes = self.pending_deletes.len().min(self.space.max_deletes());
        transaction.delete_waiting(&self.pending_deletes[..deletes])?;
        let mut results = Vec::with_capacity(jobs.len());
        for job in jobs {
            results.push(match job {
                Job::Put { records, .. } => {
                    match self.space.admits(&self.shared, records, transaction.used_after(used)) {
                        Ok(()) => JobResult::Ids(transaction.insert(records)?),
                        Err(why) => JobResult::Refused(why),
                    }
                }
                Job::Finish { .. } => JobResult::Nothing,
                Job::Replace { id, parts, .. } => {
                    transaction.delete_waiting(&[*id])?;
                    JobResult::Ids(transaction.insert(parts)?)
                }
                Job::Revive { filter, .. } => JobResult::Sums(transaction.revive(filter)?),
                Job::Purge { filter, .. } => JobResult::Sums(transaction.purge(filter)?),
                Job::MarkCorrupt { damaged, .. } => JobResult::Count(transaction.mark_corrupt(damaged)?),
            });
        }
        if self.paused_until.is_some() {
            // Only a write tells whether writing works again.
            transaction.probe()?;
        }
        let committed = transaction.commit()?;
        self.pending_deletes.drain(..deletes);
        Ok((committed, results))
    }

    fn on_success(&mut self, committed: Committed) {
        self.last_id = committed.last_id;
        self.quiet = Some(0);
        let mut usage = self.shared.usage();
        committed.changes.into_iter().for_each(|change| usage.apply(change));
        drop(usage);
        if self.paused_until.take().is_some() {
            self.shared.health().error = None;
            tracing::info!(directory = %self.shared.settings.directory.display(), "the store can be written again");
        }
    }

    fn on_failure(&mut self, error: &FileError) {
        if self.paused_until.is_none() {
            tracing::error!(
                directory = %self.shared.settings.directory.display(),
                %error,
                "the store cannot be written; new records are refused until it can"
            );
        }
        let delay = if self.connection.is_some() { RETRY_DELAY } else { REOPEN_DELAY };
        self.paused_until = Some(Instant::now() + delay);
        self.shared.health().error = Some(error.not_kept());
    }

    fn retry(&mut self) {
        match self.commit(&[]) {
            Ok((committed, _)) => self.on_success(committed),
            Err(FileError::Damaged(why)) => {
                if let Err(error) = self.replace(&why) {
                    self.on_failure(&error);
                }
            }
            Err(error) => self.on_failure(&error),
        }
    }

    /// Puts a new file in the place of a damaged one.
    fn replace(&mut self, why: &str) -> Result<(), FileError> {
        if self.replaced_at.is_some_and(|at| at.elapsed() < MIN_REPLACE_INTERVAL) {
            return Err(FileError::Io(format!("the file is damaged again, check the disk: {why}")));
        }
        self.replaced_at = Some(Instant::now());
        let connection = self.connection.take();
        let directory = self.shared.settings.directory.clone();
        let opened = self.shared.exclusive(|| {
            drop(connection);
            open::replace(&directory, why)
        });
        self.adopt(opened.map_err(|error| FileError::Io(error.to_string()))?);
        Ok(())
    }

    /// Opens the file if it is not open, because replacing it failed.
    fn reopen(&mut self) -> Result<(), FileError> {
        if self.connection.is_none() {
            let directory = self.shared.settings.directory.clone();
            let opened = self.shared.exclusive(|| open::open(&directory));
            self.adopt(opened.map_err(|error| FileError::Io(error.to_string()))?);
        }
        Ok(())
    }

    fn adopt(&mut self, opened: OpenedFile) {
        let OpenedFile { connection, contents, set_aside } = opened;
        self.last_id = self.last_id.max(contents.last_id);
        self.connection = Some(connection);
        *self.shared.usage() = contents.usage;
        self.shared.health().set_aside.extend(set_aside);
    }

    fn shorten_log(&mut self) {
        let Some(connection) = &self.connection else { return };
        if let Err(error) = file::shorten_log(&file::path(&self.shared.settings.directory), connection) {
            self.on_failure(&error);
        }
    }

    fn shrink(&mut self) {
        let Some(connection) = &self.connection else { return };
        match file::shrink(connection) {
            Ok(true) => {}
            Ok(false) => self.quiet = None,
            // Whatever it is, the next transaction meets it too.
            Err(error) => {
                tracing::debug!(%error, "the store could not be made smaller");
                self.quiet = None;
            }
        }
    }
}

fn refuse(jobs: Vec<Job>, result: impl Fn() -> JobResult) {
    jobs.into_iter().for_each(|job| job.answer(result()));
}
