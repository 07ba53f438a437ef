//! The end of a destination: who waits for it, when what is left is written rather than sent, and whether anything had to be
//! handed back.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

/// The last part of the time of a drain, in which everything is written: the disk needs some of it, too.
const WRITE_TIME: Duration = Duration::from_millis(1_500);

/// Somebody who waits for the end.
#[derive(Debug)]
struct Waiter {
    deadline: Instant,
    /// From when on everything is written rather than sent.
    write_at: Instant,
    done: oneshot::Sender<bool>,
}

/// How far the end has come.
#[derive(Debug, Default)]
pub(crate) struct Drain {
    waiters: Vec<Waiter>,
    /// Something was handed back for want of space since the drain began.
    handed_back: bool,
    closed: bool,
}

impl Drain {
    /// Somebody waits for the end, until `deadline` at the most. `done` hears whether no client had to be told to retry.
    pub(crate) fn begin(&mut self, deadline: Instant, now: Instant, done: oneshot::Sender<bool>) {
        self.handed_back &= self.is_active();
        let left = deadline.saturating_duration_since(now);
        self.waiters.push(Waiter { deadline, write_at: deadline - WRITE_TIME.min(left / 2), done });
    }

    /// Whether somebody waits for the end.
    pub(crate) fn is_active(&self) -> bool {
        !self.waiters.is_empty()
    }

    /// Whether nothing more is taken.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// When everything ends, if somebody waits for that.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.waiters.iter().map(|waiter| waiter.deadline).min()
    }

    /// Whether what is left is to be written rather than sent.
    pub(crate) fn is_late(&self, now: Instant) -> bool {
        self.waiters.iter().any(|waiter| waiter.write_at <= now)
    }

    /// When there is something to do.
    pub(crate) fn wakes(&self, now: Instant) -> Option<Instant> {
        let times = self.waiters.iter().flat_map(|waiter| [waiter.write_at, waiter.deadline]);
        times.filter(|time| *time > now).min()
    }

    /// Something had to be handed back that its client was waiting for.
    pub(crate) fn handed_back(&mut self) {
        self.handed_back |= self.is_active();
    }

    /// It is over: whoever waits hears of it.
    pub(crate) fn end(&mut self) {
        self.closed = true;
        for waiter in self.waiters.drain(..) {
            // Whoever asked may have stopped waiting.
            let _ = waiter.done.send(!self.handed_back);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// The disk has the last second and a half, or half of a time that is short.
    #[test]
    fn the_last_part_of_the_time_belongs_to_the_disk() {
        for (time, write_at) in [(10 * SECOND, 8_500), (SECOND, 500)] {
            let now = Instant::now();
            let mut drain = Drain::default();
            let (done, _answer) = oneshot::channel();
            drain.begin(now + time, now, done);
            let write_at = now + Duration::from_millis(write_at);
            assert_eq!((drain.deadline(), drain.wakes(now)), (Some(now + time), Some(write_at)));
            assert!(!drain.is_late(write_at - Duration::from_millis(1)) && drain.is_late(write_at));
            assert_eq!(drain.wakes(write_at), Some(now + time));
        }
    }

    /// Everybody who waits hears the same; the earliest deadline counts; what happened before the drain does not.
    #[test]
    fn whoever_waits_hears_whether_anything_was_handed_back() {
        let now = Instant::now();
        for handed_back in [false, true] {
            let mut drain = Drain::default();
            drain.handed_back();
            let (done, mut first) = oneshot::channel();
            drain.begin(now + 2 * SECOND, now, done);
            let (done, mut second) = oneshot::channel();
            drain.begin(now + SECOND, now, done);
            assert_eq!(drain.deadline(), Some(now + SECOND));
            if handed_back {
                drain.handed_back();
            }
            assert!(first.try_recv().is_err() && !drain.is_closed());
            drain.end();
            assert_eq!((first.try_recv(), second.try_recv()), (Ok(!handed_back), Ok(!handed_back)));
            assert!(drain.is_closed() && !drain.is_active());
            let (done, mut again) = oneshot::channel();
            drain.begin(now + SECOND, now, done);
            drain.end();
            assert_eq!(again.try_recv(), Ok(true), "a new drain begins anew");
        }
    }
}
