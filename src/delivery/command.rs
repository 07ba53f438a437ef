//! What goes between the parts of a destination: what its actor is told, and what the store answers it.

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::parcel::Undelivered;
use crate::otlp::{Piece, Signal};
use crate::store::{Count, NotKept, Portion, RecordId, StoreError};

/// Whoever waits for a parcel.
pub(crate) type Reply = oneshot::Sender<Result<(), Undelivered>>;

/// Names a parcel that is in flight.
pub(crate) type EntryId = usize;

/// What the actor is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// A parcel, in one piece or several.
    Take {
        signal: Signal,
        spans: u32,
        /// Not to be sent again once it may have arrived.
        at_most_once: bool,
        pieces: Vec<Piece>,
        /// What the pieces were cut from, if there are several.
        held: Option<Bytes>,
        deadline: Option<Instant>,
        reply: Option<Reply>,
    },
    /// Somebody dropped a receipt.
    Withdrawn,
    /// Try again at once what waits for a pause that the destination did not ask for.
    RetryNow,
    /// The store has answered.
    Store(Answer),
    /// An operator has moved dead letters.
    Moved(Moved),
    /// Write what clients still wait for, or hand it back, and go on.
    FlushWaiters { done: oneshot::Sender<bool> },
    /// Finish what is in flight by `deadline`, then take nothing more.
    Drain { deadline: Instant, done: oneshot::Sender<bool> },
}

/// What a read came to.
pub(crate) type Read = Result<Portion, StoreError>;

/// What the store answers.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Put number `number`, the records of an entry.
    Written { entry: EntryId, number: u64, result: Result<Vec<RecordId>, NotKept> },
    /// What is left of `record`, in its place.
    Replaced { entry: EntryId, record: RecordId, result: Result<Vec<RecordId>, NotKept> },
    /// Records that wait.
    Read(Signal, Aim, Read),
}

/// What a read is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    /// The records that come next.
    Ahead,
    /// Those that wait again, from the first of these to the second.
    Behind(RecordId, RecordId),
}

impl Aim {
    /// Up to which record; `None`: to the end.
    pub(crate) fn until(self) -> Option<RecordId> {
        match self {
            Aim::Ahead => None,
            Aim::Behind(_, last) => Some(last),
        }
    }
}

/// What an operator has done with dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// They wait to be sent again.
    Revived(Count),
    /// They are gone.
    Purged(Count),
}
