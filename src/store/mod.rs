//! What must survive the process: requests that wait for a destination, and dead letters. One SQLite file and one thread that
//! writes it; whoever puts something in is told once it is on the disk, and not before.
//!
//! Used by `delivery` (put, finish, read), by the admin socket and `chainspan dlq` (dead letters) and by `service` (open, close).
//! Nothing in here waits for a network or knows of an async runtime.
//!
//! # Constraints
//!
//! - What was acknowledged survives `kill -9` and a power cut.
//! - One damaged byte, wherever it is, costs at most the record that holds it, and that record is listed.
//! - A full or failing disk refuses new records, loses none of the old ones, and recovers without anybody's help.
//! - Memory does not grow with what is stored, except for a few bytes per row: 24 MiB of pages for the writer, 2 MiB for each
//!   reader.
//! - While nothing is put into a store, nothing is written to the disk.
//!
//! # Layout
//!
//! `spill.db` with `-wal` and `-shm` is the file, `spill.lock` is locked by its one owner, `spill.db.damaged-SECONDS` is a file that
//! was set aside, `spill.db.new` and `spill.db.ready` are a replacement in the making (`replacement`). Every file has mode 0600, in a
//! directory of mode 0700.
//!
//! There is one row per destination and request, or part of a request: `(id, head, body)`. The head says everything about the
//! record, and the two together are a frame that can be found and checked without SQLite (`frame`). A dead letter is a state of
//! the same row: to die or to be replayed moves no body. There is no index: rows are read in the order of their ids, and the head
//! lies in front of the body, so that reading a head touches one page. Sums per destination are kept in memory (`usage`). What
//! operators purged is summed up in rows of its own (table `discarded`).
//!
//! # Write path
//!
//! `put`, `finish`, `replace`, `revive` and `purge` are messages to the writer thread (`writer`). It takes everything that waits, up
//! to 8 MiB, as one transaction (`transaction`), commits it with one `fsync` of the log, adds it to the sums, and then calls those
//! who wait. While it is at the disk, the next transaction gathers: more load makes transactions larger, not more frequent. No put
//! waits for a timer; deletes wait up to 10 ms to share a transaction.
//!
//! The size limit and the free disk space are checked before a put is written (`space`). A transaction that fails is rolled back,
//! everybody in it is told, and after a pause of 100 ms the next one, or a probe, tries again (`database`). Deletes that could not
//! be done stay on the writer's list. `status` tells from memory why nothing is accepted at the moment.
//!
//! When the store is idle, free pages go back to the file system and the log is emptied.
//!
//! # Read path
//!
//! The backlog is read by a thread with a connection of its own (`backlog`), one signal of one destination at a time: of other
//! records only the heads are read, and the answer says how far it got. Dead letters are read by the thread that asks, through
//! another connection (`select`). Thanks to the write-ahead log neither holds up the writer. Each body is compared with its
//! checksum: where that is wrong, the record becomes a dead letter `corrupt_record` in its row, and its neighbours are delivered.
//!
//! # Recovery
//!
//! Opening (`open`) locks the directory, finishes an interrupted replacement, checks the log, asks SQLite whether the file is in
//! order (`quick_check`), and reads all heads for the sums. A file of a newer version is refused and left alone. A damaged file,
//! whether found then or later, is set aside, and what can be read of it is taken over without SQLite (`salvage`): page by page,
//! each record proven by its checksums.
//!
//! # What is lost when
//!
//! | event | consequence |
//! |---|---|
//! | `kill -9`, power cut | nothing that was acknowledged is lost; what was delivered in the last 10 ms is sent twice |
//! | power cut during a transaction | nothing that was acknowledged; the torn log may be taken for a damaged one and set aside |
//! | a wrong byte in a body | that record: it becomes a dead letter `corrupt_record` |
//! | a wrong byte in a head | that record: a dead letter if it can still be read, else only the file that was set aside has it |
//! | a wrong byte elsewhere | nothing; the file is set aside |
//! | a salvage | a record that was deleted shortly before may be found again: it is sent, or listed, twice |
//! | disk full, I/O error | nothing; puts are refused until the disk works again |

mod backlog;
mod database;
mod directory;
mod error;
mod fields;
mod file;
mod file_error;
mod frame;
#[cfg(not(chainspan_whole))]
pub(crate) mod fuzzing;
mod handle;
mod job;
mod open;
mod record;
mod replacement;
mod salvage;
mod scan;
mod select;
mod settings;
mod shared;
mod space;
mod transaction;
mod usage;
mod writer;

pub use error::{NotKept, StoreError};
pub use handle::Store;
pub use record::{Count, Death, DeathReason, Filter, Kept, Letter, NewRecord, Portion, RecordId, Waiting, Wanted};
pub use settings::{StoreSettings, StoreStatus};
