//! There is a store behind a destination, or there is none. That is asked once, when it starts; from then on the actor
//! works with one of two kinds of spool.

use tokio::time::Instant;

use crate::delivery::command::Answer;
use crate::delivery::inflight::{Accounting, InFlight};
use crate::delivery::meters::Meters;
use crate::delivery::policy::Policy;

/// How far a drain has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Drained {
    /// Nothing is left to wait for.
    pub(crate) done: bool,
    /// Something had to be handed back for want of space.
    pub(crate) handed_back: bool,
}

/// Where what a destination does not take is kept. What is said here holds where there is nothing to keep it in.
pub(crate) trait Spool: Send + 'static {
    /// Whether there is a disk: refused data may become a dead letter then, and clients hear OK before it is delivered.
    const KEEPS: bool = false;

    /// A parcel of a signal that is `paused`, or is not, was taken in hand.
    fn expect(&mut self, _paused: bool, _now: Instant) {}

    /// What is in memory alone is to be written at once, if it is paused.
    fn write_soon(&mut self, _now: Instant) {}

    /// An operator has put dead letters back to the records that wait.
    fn rewind(&mut self) {}

    /// The destination takes data: records that others went before are next.
    fn promote_deferred(&mut self) {}

    /// What the disk has to do with this turn: what need not stay in memory, what is to be written, what was read. `true`:
    /// something had to be handed back for want of space.
    fn work(&mut self, _: &mut InFlight, _: &Policy, _: &mut Meters, _now: Instant) -> bool {
        false
    }

    /// Asks the store for what has gathered.
    fn carry_out(&mut self, _: &mut InFlight, _now: Instant) {}

    /// Reads ahead, if there is something to read and somebody to send it to.
    fn read_ahead(&mut self, _: &InFlight, _: &Policy, _now: Instant) {}

    /// The store has answered.
    fn on_store_reply(&mut self, _: Answer, _: &mut InFlight, _: &mut Meters, _now: Instant) {}

    /// Frees everybody who waits: by writing what they wait for or, without a disk, by handing it back. `true`: something was
    /// handed back.
    fn flush_waiters(&mut self, inflight: &mut InFlight, _: &Policy, _now: Instant) -> bool {
        inflight.hand_back_waiting()
    }

    /// One turn of a drain; `late`: what is left is to be written rather than sent.
    fn drain(&mut self, inflight: &mut InFlight, _: &Policy, _late: bool, _now: Instant) -> Drained {
        Drained { done: inflight.is_empty(), handed_back: false }
    }

    /// Nothing is taken up any more.
    fn close(&mut self) {}

    /// When there is something to do.
    fn wakes(&self, _now: Instant) -> Option<Instant> {
        None
    }

    /// Brings what is known of the disk into the accounting.
    fn publish(&self, _: &mut Accounting) {}
}

/// No store: what is not delivered goes back to its client.
#[derive(Debug)]
pub(crate) struct NoSpool;

impl Spool for NoSpool {}
