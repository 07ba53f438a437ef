//! Windows of event time: ten seconds each, counted from the Unix epoch, and which of them are open.
//!
//! Two are open: the current one and the one before. The only thing that all threads share is the number of the oldest
//! window that may still be written. It only rises, and it is raised *before* the shards' tables are taken
//! away; a commit reads it *after* it has got its shard. So a commit either comes before the collection, and what it
//! wrote is collected, or it comes after, and writes to nothing that has been closed: the shard's lock orders the two.
//! A clock that jumps back finds its windows closed and counts in the oldest open one; nothing is reopened.

use super::snapshot::Snapshot;
use crate::sync::{AtomicU64, Ordering};

/// How long a window is, in nanoseconds: 10 s.
pub const WINDOW_NANO: u64 = 10_000_000_000;

/// What was counted in one window. Its values are deltas of this window alone; a gauge shows what the span said that ended
/// last by the end of the window.
#[derive(Clone, Debug)]
pub struct Window {
    /// Start, nanoseconds since the Unix epoch. No window handed out before reaches beyond it.
    pub start_unix_nano: u64,
    /// End, nanoseconds since the Unix epoch.
    pub end_unix_nano: u64,
    /// What was counted.
    pub snapshot: Snapshot,
}

/// The number of the window that holds a moment.
pub(super) fn number(unix_nano: u64) -> u64 {
    unix_nano / WINDOW_NANO
}

/// The first moment of a window.
pub(super) fn start(number: u64) -> u64 {
    number.saturating_mul(WINDOW_NANO)
}

/// The oldest window that may still be written.
#[derive(Debug)]
pub(super) struct WindowWatermark(AtomicU64);

impl WindowWatermark {
    pub(super) fn new(oldest: u64) -> Self {
        Self(AtomicU64::new(oldest))
    }

    /// Closes all windows before `oldest`. To be called with the aggregator locked, before the shards are collected.
    pub(super) fn raise(&self, oldest: u64) {
        self.0.fetch_max(oldest, Ordering::AcqRel);
    }

    /// The open windows at `now_unix_nano`. A commit calls it while it holds its shard.
    pub(super) fn open(&self, now_unix_nano: u64) -> OpenWindows {
        let floor = self.0.load(Ordering::Acquire);
        let current = number(now_unix_nano).max(floor);
        OpenWindows { oldest: current.saturating_sub(1).max(floor), current }
    }
}

/// The numbers of the open windows. They may be the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OpenWindows {
    pub(super) oldest: u64,
    pub(super) current: u64,
}

/// When a span ended, as the open windows see it: this decides in which of them it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timeliness {
    /// In the current window.
    Current,
    /// In the one before.
    Before,
    /// It ended before all open windows: in the oldest of them.
    Late,
    /// It ended after the current window: in that one.
    Future,
}

impl OpenWindows {
    /// Where a span counts that ended at `end_unix_nano`.
    #[inline]
    pub(super) fn timeliness(self, end_unix_nano: u64) -> Timeliness {
        let start = start(self.current);
        if end_unix_nano < start {
            if number(end_unix_nano) < self.oldest { Timeliness::Late } else { Timeliness::Before }
        } else if end_unix_nano - start < WINDOW_NANO {
            Timeliness::Current
        } else {
            Timeliness::Future
        }
    }

    /// The number of the window that such a span counts in.
    #[inline]
    pub(super) fn window(self, timeliness: Timeliness) -> u64 {
        match timeliness {
            Timeliness::Current | Timeliness::Future => self.current,
            Timeliness::Before | Timeliness::Late => self.oldest,
        }
    }
}

#[cfg(test)]
#[cfg(not(chainspan_loom))]
mod tests {
    use super::*;

    /// A window holds its first nanosecond and not its last one's successor; before the oldest is late, beyond the
    /// current is future.
    #[test]
    fn a_span_counts_in_the_window_of_its_end() {
        let open = WindowWatermark::new(0).open(start(7) + 3);
        assert_eq!(open, OpenWindows { oldest: 6, current: 7 });
        for (end, expected) in [
            (start(6) - 1, Timeliness::Late),
            (start(6), Timeliness::Before),
            (start(7) - 1, Timeliness::Before),
            (start(7), Timeliness::Current),
            (start(8) - 1, Timeliness::Current),
            (start(8), Timeliness::Future),
            (u64::MAX, Timeliness::Future),
            (0, Timeliness::Late),
        ] {
            assert_eq!(open.timeliness(end), expected, "{end}");
        }
    }

    /// Without a closed window in between, a clock that goes back is followed; behind what was closed it is not.
    #[test]
    fn a_closed_window_is_not_open_again() {
        let watermark = WindowWatermark::new(5);
        assert_eq!(watermark.open(start(3)), OpenWindows { oldest: 5, current: 5 });
        assert_eq!(watermark.open(start(9)), OpenWindows { oldest: 8, current: 9 });
        watermark.raise(8);
        assert_eq!(watermark.open(start(3)), OpenWindows { oldest: 8, current: 8 });
        watermark.raise(2);
        assert_eq!(watermark.open(0), OpenWindows { oldest: 8, current: 8 });
        assert_eq!(watermark.open(u64::MAX).current, u64::MAX / WINDOW_NANO);
    }
}
