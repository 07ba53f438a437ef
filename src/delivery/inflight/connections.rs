//! One connection's share of the work: the request in flight, what is left of a refused batch, the pause after a failure.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::Instant;

use super::piece::{Batch, QueuedPiece};
use crate::delivery::client::{Finished, Link};
use crate::delivery::policy::Pause;

/// An attempt under way.
pub(crate) struct Sending {
    pub(crate) future: Pin<Box<dyn Future<Output = Finished> + Send>>,
    pub(crate) since: Instant,
}

impl std::fmt::Debug for Sending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sending").field("since", &self.since).finish_non_exhaustive()
    }
}

/// One connection and its work.
#[derive(Debug, Default)]
pub(crate) struct ConnectionState {
    pub(crate) link: Option<Link>,
    /// The last is the current one; those below it are the other halves of a refused batch.
    pub(crate) work: Vec<Batch>,
    pub(crate) sending: Option<Sending>,
    pub(crate) pause: Option<Pause>,
    /// Failures in a row, for the backoff.
    pub(crate) failures: u32,
}

impl ConnectionState {
    /// The attempt's end, if it has come: to be settled before anything is polled again. Until then the batch counts as being
    /// on its way, for another attempt may end at the same moment, and what that means must not touch this one.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Finished> {
        match &mut self.sending {
            Some(sending) => sending.future.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }

    /// The batch that is on its way.
    pub(crate) fn in_flight(&self) -> Option<&Batch> {
        self.work.last().filter(|_| self.sending.is_some())
    }

    /// How many of its batches are not on their way.
    pub(crate) fn unsent(&self) -> usize {
        self.work.len() - usize::from(self.sending.is_some())
    }

    /// The pieces in its hands.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = &QueuedPiece> {
        self.work.iter().flat_map(|batch| &batch.pieces)
    }

    /// Whether anything of its work is left.
    pub(crate) fn has_work(&self) -> bool {
        self.work.iter().any(|batch| !batch.pieces.is_empty())
    }

    /// Whether something may be sent now. A pause that is over ends here.
    pub(crate) fn is_free(&mut self, now: Instant) -> bool {
        if self.pause.is_some_and(|pause| pause.until <= now) {
            self.pause = None;
        }
        self.sending.is_none() && self.pause.is_none()
    }
}
