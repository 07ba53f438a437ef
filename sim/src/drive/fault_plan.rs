//! What goes wrong between the gateways and chainspan, as one description that is the same for the same seed.
//!
//! Nothing here waits: a batch that was held back for ten minutes is one whose spans ended ten minutes ago, and a wrong
//! clock shows only in the timestamps that it writes.

use std::time::Duration;

use crate::chance::draw;
use crate::gateway::{ClockFault, Gateway, Shift};

/// The faults of a run. The default has none; each method adds one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultPlan {
    seed: u64,
    held_back: Shift,
    ahead: Shift,
    /// Gateway index and nanoseconds.
    clocks: Vec<(usize, i64)>,
    resent: u64,
    cut: u64,
    restarted: bool,
}

impl FaultPlan {
    /// No faults yet; the same seed makes the same choices.
    pub fn seeded(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// `permille` of all batches are sent `by` after their spans ended.
    #[must_use]
    pub fn held_back(mut self, permille: u64, by: Duration) -> Self {
        self.held_back = Shift { permille, nanos: nanos(by) };
        self
    }

    /// `permille` of all batches hold spans that end `by` in the future.
    #[must_use]
    pub fn from_the_future(mut self, permille: u64, by: Duration) -> Self {
        self.ahead = Shift { permille, nanos: nanos(by) };
        self
    }

    /// The clock of one gateway is `by` behind.
    #[must_use]
    pub fn clock_behind(mut self, gateway: usize, by: Duration) -> Self {
        self.clocks.push((gateway, -nanos(by).cast_signed()));
        self
    }

    /// The clock of one gateway is `by` ahead.
    #[must_use]
    pub fn clock_ahead(mut self, gateway: usize, by: Duration) -> Self {
        self.clocks.push((gateway, nanos(by).cast_signed()));
        self
    }

    /// `permille` of all acknowledged batches are sent once more, as by a client that did not see the answer. The
    /// simulator did see it: what is acknowledged twice counts twice, for certain.
    #[must_use]
    pub fn resent(mut self, permille: u64) -> Self {
        self.resent = permille;
        self
    }

    /// `permille` of all answers never arrive, because the connection is cut when chainspan has begun to write them (see
    /// [`Relay`](crate::Relay)). What was in flight on that connection is ambiguous.
    #[must_use]
    pub fn cut(mut self, permille: u64) -> Self {
        self.cut = permille;
        self
    }

    /// chainspan is restarted while spans come in. No trace is continued in a later batch, because a chain that was
    /// learned before the restart may rightly be forgotten.
    #[must_use]
    pub fn restarted(mut self) -> Self {
        self.restarted = true;
        self
    }

    /// Gives `gateways` the faults that they have by themselves: wrong clocks, late and early batches.
    pub fn apply_to(&self, gateways: Vec<Gateway>) -> Vec<Gateway> {
        let faulty = gateways.into_iter().enumerate().map(|(index, gateway)| {
            let offset_nanos = self.clocks.iter().filter(|(at, _)| *at == index).map(|(_, nanos)| *nanos).sum();
            let (seed, late, early) = (self.seed, self.held_back, self.ahead);
            let gateway = gateway.with_clock_fault(ClockFault { seed, gateway: index, offset_nanos, late, early });
            if self.restarted { gateway.with_whole_traces() } else { gateway }
        });
        faulty.collect()
    }

    /// Whether an acknowledged batch is sent again.
    pub(super) fn resends(&self, gateway: usize, batch: u64) -> bool {
        draw(self.seed, 1, gateway as u64, batch) < self.resent
    }

    /// Whether the `answer`-th answer is cut off.
    pub(super) fn cuts(&self, answer: u64) -> bool {
        draw(self.seed, 2, 0, answer) < self.cut
    }
}

fn nanos(duration: Duration) -> u64 {
    // Half of what fits, so that it can be taken as signed: 146 years.
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).min(u64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// About as many batches are resent, and answers cut off, as asked for.
    #[test]
    fn shares_are_about_right() {
        let faults = FaultPlan::seeded(1).resent(30).cut(20);
        let resent = (0..2_000).filter(|batch| faults.resends(0, *batch)).count();
        let cut = (0..2_000).filter(|answer| faults.cuts(*answer)).count();
        assert!((30..90).contains(&resent) && (20..70).contains(&cut), "{resent} {cut}");
    }
}
