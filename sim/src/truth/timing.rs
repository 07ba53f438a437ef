//! Bounds on late spans and spans from the future. chainspan decides by its clock when it commits a request, which happens
//! somewhere between sending and answer, so that from outside only bounds are known.

use serde::{Deserialize, Serialize};

/// Length of a window of event time, nanoseconds. A window begins at a multiple of it.
pub const WINDOW_NANO: u64 = 10_000_000_000;

/// Bounds on the number of operations that were not counted in the window in which they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// Operations that were late whenever the commit happened.
    pub late_at_least: u64,
    /// Operations that were late if the commit happened as late as possible.
    pub late_at_most: u64,
    /// Operations that ended after the window that was current when the answer came.
    pub future_at_least: u64,
    /// Operations that ended after the request was sent.
    pub future_at_most: u64,
}

impl Timing {
    /// An operation that ended at `end`, in a request committed between `sent` and `answered` by a chainspan that began to
    /// measure at a moment between those of `began`.
    pub(super) fn add(&mut self, end: u64, sent: u64, answered: u64, began: (u64, u64)) {
        let window = |moment: u64| moment / WINDOW_NANO;
        // Two windows are open: the one of the commit and the one before, but none from before the beginning.
        let late = |commit, began| u64::from(window(end) + 1 < window(commit) || window(end) < window(began));
        self.late_at_least += late(sent, began.0);
        self.late_at_most += late(answered, began.1);
        self.future_at_least += u64::from(window(end) > window(answered));
        self.future_at_most += u64::from(end > sent);
    }

    /// Adds `other`.
    pub(super) fn merge(&mut self, other: &Self) {
        self.late_at_least += other.late_at_least;
        self.late_at_most += other.late_at_most;
        self.future_at_least += other.future_at_least;
        self.future_at_most += other.future_at_most;
    }

    /// Adds `other` to the upper bounds only.
    pub(super) fn merge_uncertain(&mut self, other: &Self) {
        self.late_at_most += other.late_at_most;
        self.future_at_most += other.future_at_most;
    }

    /// Whether every operation was certainly counted in the window in which it ended.
    pub fn all_on_time(&self) -> bool {
        self.late_at_most == 0 && self.future_at_most == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 180_000_000 * WINDOW_NANO + 5_000_000_000;

    fn timing(end: u64, sent: u64, answered: u64) -> [u64; 4] {
        let mut timing = Timing::default();
        timing.add(end, sent, answered, (0, 0));
        [timing.late_at_least, timing.late_at_most, timing.future_at_least, timing.future_at_most]
    }

    /// The window before the current one is open, the one before that is not; in between it depends on the commit.
    #[test]
    fn a_span_is_late_when_its_window_was_closed() {
        assert_eq!(timing(NOW - 1, NOW, NOW + 1), [0; 4]);
        assert_eq!(timing(NOW - WINDOW_NANO, NOW, NOW), [0; 4]);
        assert_eq!(timing(NOW - 2 * WINDOW_NANO, NOW, NOW), [1, 1, 0, 0]);
        assert_eq!(timing(NOW - WINDOW_NANO, NOW, NOW + WINDOW_NANO), [0, 1, 0, 0]);
    }

    /// No window is open from before chainspan began to measure; when that was is known to lie between two moments.
    #[test]
    fn a_span_is_late_when_its_window_was_over_before_the_beginning() {
        let before = NOW - WINDOW_NANO;
        let late = |began| {
            let mut timing = Timing::default();
            timing.add(before, NOW, NOW, began);
            (timing.late_at_least, timing.late_at_most)
        };
        assert_eq!(late((before, before + 1)), (0, 0));
        assert_eq!(late((before, NOW)), (0, 1));
        assert_eq!(late((NOW - 1, NOW)), (1, 1));
    }

    /// A later window is the future for certain; a later moment may be.
    #[test]
    fn a_span_is_from_the_future_when_it_ends_after_the_commit() {
        assert_eq!(timing(NOW + 1, NOW, NOW + 2), [0, 0, 0, 1]);
        assert_eq!(timing(NOW + WINDOW_NANO, NOW, NOW + 2), [0, 0, 1, 1]);
        assert_eq!(timing(NOW + WINDOW_NANO, NOW, NOW + WINDOW_NANO), [0, 0, 0, 1]);
    }
}
