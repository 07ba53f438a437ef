//! What may go wrong between a gateway and chainspan, as one description that is the same for the same seed.
//!
//! Nothing here waits: a batch that was held back for ten minutes is one whose spans ended ten minutes ago, and a clock that
//! is wrong shows only in what it stamps.

use std::time::Duration;

use super::gateway::Gateway;

/// A share of all batches, and by how much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Shift {
    permille: u64,
    nanos: u64,
}

/// The troubles of a run. The default is none; each method adds one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trouble {
    seed: u64,
    held_back: Shift,
    ahead: Shift,
    /// Gateway index and nanoseconds.
    clocks: Vec<(usize, i64)>,
    resent: u64,
    cut: u64,
    whole_stories: bool,
}

impl Trouble {
    /// None yet; the same seed makes the same choices.
    pub fn seeded(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// `permille` of all batches reach the wire `by` after their spans ended.
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
    /// simulator did: what is acknowledged twice counts twice, for certain.
    #[must_use]
    pub fn resent(mut self, permille: u64) -> Self {
        self.resent = permille;
        self
    }

    /// `permille` of all answers never arrive, because the connection is cut when chainspan has begun to write them (see
    /// [`Relay`](super::Relay)). What was in flight on that connection is ambiguous.
    #[must_use]
    pub fn cut(mut self, permille: u64) -> Self {
        self.cut = permille;
        self
    }

    /// chainspan is restarted while spans come in. No trace is continued in a later batch, because a chain that was
    /// learned before the restart may rightly be forgotten.
    #[must_use]
    pub fn restarted(mut self) -> Self {
        self.whole_stories = true;
        self
    }

    /// Loads the troubles that gateways have by themselves (clocks, late and early batches) on `gateways`.
    pub fn upon(&self, gateways: Vec<Gateway>) -> Vec<Gateway> {
        let burdened = gateways.into_iter().enumerate().map(|(index, gateway)| {
            let clock = self.clocks.iter().filter(|(at, _)| *at == index).map(|(_, nanos)| *nanos).sum();
            let (held_back, ahead, whole_stories) = (self.held_back, self.ahead, self.whole_stories);
            gateway.burdened(Burden { seed: self.seed, index, clock, held_back, ahead, whole_stories })
        });
        burdened.collect()
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

/// What one gateway bears of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Burden {
    seed: u64,
    index: usize,
    clock: i64,
    held_back: Shift,
    ahead: Shift,
    pub(super) whole_stories: bool,
}

impl Burden {
    /// What time it is for the spans of `batch` when it is `now`, nanoseconds since the Unix epoch.
    pub(super) fn clock(&self, batch: u64, now: u64) -> u64 {
        let chance = draw(self.seed, 0, self.index as u64, batch);
        let now = now.saturating_add_signed(self.clock);
        if chance < self.held_back.permille {
            now.saturating_sub(self.held_back.nanos)
        } else if chance < self.held_back.permille + self.ahead.permille {
            now.saturating_add(self.ahead.nanos)
        } else {
            now
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    // Half of what fits, so that it can be taken as signed: 146 years.
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).min(u64::MAX / 4)
}

/// 0 to 999, the same for the same four numbers, whatever happened in between.
fn draw(seed: u64, what: u64, who: u64, which: u64) -> u64 {
    let mixed = [what, who, which].into_iter().fold(seed, |hash, number| {
        let z = (hash ^ number).wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb)
    });
    fastrand::Rng::with_seed(mixed).u64(..1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000_000_000_000;
    const MINUTE: u64 = 60_000_000_000;

    fn clocks(trouble: &Trouble, index: usize) -> Vec<u64> {
        let burden = Burden {
            seed: trouble.seed,
            index,
            held_back: trouble.held_back,
            ahead: trouble.ahead,
            ..Burden::default()
        };
        (0..2_000).map(|batch| burden.clock(batch, NOW)).collect()
    }

    /// The same seed chooses the same batches, about as many as asked for; another seed or gateway chooses others.
    #[test]
    fn choices_follow_from_the_seed() {
        let trouble = |seed| {
            let minute = Duration::from_secs(60);
            Trouble::seeded(seed).held_back(100, minute * 10).from_the_future(50, minute).resent(30).cut(20)
        };
        let one = clocks(&trouble(1), 0);
        assert_eq!(one, clocks(&trouble(1), 0));
        assert_ne!(one, clocks(&trouble(2), 0));
        assert_ne!(one, clocks(&trouble(1), 1));
        let late = one.iter().filter(|now| **now == NOW - 10 * MINUTE).count();
        let early = one.iter().filter(|now| **now == NOW + MINUTE).count();
        assert!((150..250).contains(&late) && (60..140).contains(&early), "{late} {early}");
        assert_eq!(one.iter().filter(|now| **now == NOW).count(), 2_000 - late - early);
        let resent = (0..2_000).filter(|batch| trouble(1).resends(0, *batch)).count();
        let cut = (0..2_000).filter(|answer| trouble(1).cuts(*answer)).count();
        assert!((30..90).contains(&resent) && (20..70).contains(&cut), "{resent} {cut}");
    }

    /// No trouble changes nothing, and a clock that is wrong is wrong for every batch.
    #[test]
    fn clocks_shift_and_nothing_else_does() {
        assert!(clocks(&Trouble::default(), 3).iter().all(|now| *now == NOW));
        let behind = Burden { clock: -5_000_000_000, ..Burden::default() };
        assert_eq!(behind.clock(9, NOW), NOW - 5_000_000_000);
        assert_eq!(behind.clock(9, 1), 0);
    }
}
