//! What the writer does beside writing: it recovers from faults, replaces a damaged file, and tidies up when it is quiet.

use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::store::fault::Fault;
use crate::store::file;
use crate::store::open::{self, Opened};
use crate::store::writer::Writer;

/// After a failure the disk is left alone for so long.
pub(super) const PAUSE: Duration = Duration::from_millis(100);
/// The same, when the file could not be opened again.
const LONG_PAUSE: Duration = Duration::from_secs(5);
/// A file is not replaced again before that.
const REPLACE_AGAIN: Duration = Duration::from_secs(60);
/// So many quiet looks around before the file is made smaller.
const QUIET: u32 = 2;
/// Pages that are given back to the file system in one transaction.
const SHRINK_PAGES: u32 = 256;

impl Writer {
    /// Something is wrong, or left to do, that should not wait for the next who comes.
    pub(super) fn is_troubled(&self) -> bool {
        self.paused.is_some() || !self.owed.is_empty() || self.connection.is_none()
    }

    /// It is making the file smaller.
    pub(super) fn is_tidying(&self) -> bool {
        self.quiet.is_some_and(|quiet| quiet >= QUIET)
    }

    pub(super) fn fail(&mut self, fault: &Fault) {
        if self.paused.is_none() {
            tracing::error!(
                directory = %self.shared.settings.directory.display(),
                error = %fault,
                "the store cannot be written; nothing is accepted for it until it can"
            );
        }
        // To open the file again may take reading all of it.
        self.paused = Some(Instant::now() + if self.connection.is_some() { PAUSE } else { LONG_PAUSE });
        self.shared.health().fault = Some(fault.not_kept());
    }

    /// Puts a new file in the place of a damaged one.
    pub(super) fn replace(&mut self, why: &str) -> Result<(), Fault> {
        if self.replaced.is_some_and(|at| at.elapsed() < REPLACE_AGAIN) {
            // Each time a file is set aside: they must not fill the disk.
            return Err(Fault::Disk(format!("the file is damaged again, check the disk: {why}")));
        }
        self.replaced = Some(Instant::now());
        let connection = self.connection.take();
        let directory = self.shared.settings.directory.clone();
        let opened = self.shared.alone(|| {
            drop(connection);
            open::replaced(&directory, why)
        });
        self.take(opened.map_err(|error| Fault::Disk(error.to_string()))?);
        Ok(())
    }

    /// Opens the file where it is not open: replacing it failed.
    pub(super) fn reopen(&mut self) -> Result<(), Fault> {
        if self.connection.is_none() {
            let directory = self.shared.settings.directory.clone();
            let opened = self.shared.alone(|| open::open(&directory));
            self.take(opened.map_err(|error| Fault::Disk(error.to_string()))?);
        }
        Ok(())
    }

    fn take(&mut self, opened: Opened) {
        let Opened { connection, contents, set_aside } = opened;
        self.last_id = self.last_id.max(contents.last_id);
        self.connection = Some(connection);
        *self.shared.books() = contents.books;
        self.shared.health().set_aside.extend(set_aside);
    }

    /// Nobody came for a while.
    pub(super) fn look_around(&mut self) {
        self.room.sample(&self.shared);
        if self.is_troubled() {
            if self.paused.is_none_or(|until| Instant::now() >= until) {
                self.retry();
            }
            return;
        }
        let Some(quiet) = &mut self.quiet else { return };
        *quiet += 1;
        if *quiet >= QUIET {
            self.tidy();
        }
    }

    /// After the answers: nobody who waits has to wait for it.
    pub(super) fn shorten_log(&mut self) {
        let Some(connection) = &self.connection else { return };
        if let Err(fault) = file::shorten_log(&file::path(&self.shared.settings.directory), connection) {
            self.fail(&fault);
        }
    }

    pub(super) fn tidy(&mut self) {
        let Some(connection) = &self.connection else { return };
        match tidy(connection) {
            Ok(true) => {}
            Ok(false) => self.quiet = None,
            // Whatever it is, the next transaction finds it too.
            Err(fault) => {
                tracing::debug!(error = %fault, "the store could not be made smaller");
                self.quiet = None;
            }
        }
    }

    fn retry(&mut self) {
        match self.attempt(&[]) {
            Ok((committed, _)) => self.settle(committed),
            Err(Fault::Damaged(why)) => {
                if let Err(fault) = self.replace(&why) {
                    self.fail(&fault);
                }
            }
            Err(fault) => self.fail(&fault),
        }
    }
}

/// Gives free pages back to the file system, some at a time, and shortens the log when there are no more. Whether there is
/// more to do.
fn tidy(connection: &Connection) -> Result<bool, Fault> {
    let free: u32 = connection.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    if free > 0 {
        let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({SHRINK_PAGES})"))?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
        return Ok(true);
    }
    file::empty_log(connection)?;
    Ok(false)
}
