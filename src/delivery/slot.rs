//! One connection's share of the work: the request in flight, what is left of a refused batch, the pause after a failure.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::Instant;

use super::caller::Finished;
use super::connection::Link;
use super::queue::Batch;

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

/// A pause after a failure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rest {
    pub(crate) until: Instant,
    /// The destination asked for it: it is not cut short.
    pub(crate) asked: bool,
}

/// One connection and its work.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    pub(crate) link: Option<Link>,
    /// The last is the current one; those below it are the other halves of a refused batch.
    pub(crate) work: Vec<Batch>,
    pub(crate) sending: Option<Sending>,
    pub(crate) rest: Option<Rest>,
    /// Failures in a row, for the backoff.
    pub(crate) failures: u32,
}

impl Slot {
    /// The attempt's end, if it has come: to be settled before anything is polled again. Until then the batch counts as being
    /// on its way, for another attempt may end at the same moment, and what that means must not touch this one.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Finished> {
        match &mut self.sending {
            Some(sending) => sending.future.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }

    /// Whether anything of its work is left.
    pub(crate) fn has_work(&self) -> bool {
        self.work.iter().any(|batch| !batch.pieces.is_empty())
    }

    /// Whether something may be sent now. A pause that is over ends here.
    pub(crate) fn is_free(&mut self, now: Instant) -> bool {
        if self.rest.is_some_and(|rest| rest.until <= now) {
            self.rest = None;
        }
        self.sending.is_none() && self.rest.is_none()
    }
}
