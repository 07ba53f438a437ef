//! What is wrong with the clock of a gateway, and which of its batches are late or early.

use crate::chance::draw;

/// A share of all batches, and by how much their time is shifted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shift {
    pub(crate) permille: u64,
    pub(crate) nanos: u64,
}

/// The clock faults of one gateway. The default is a clock without faults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClockFault {
    pub(crate) seed: u64,
    /// Index of the gateway.
    pub(crate) gateway: usize,
    /// How far the clock is ahead, nanoseconds; negative: behind.
    pub(crate) offset_nanos: i64,
    /// Batches whose spans ended earlier than their batch is sent.
    pub(crate) late: Shift,
    /// Batches whose spans end in the future.
    pub(crate) early: Shift,
}

impl ClockFault {
    /// The time that the spans of `batch` show when it is `now`, nanoseconds since the Unix epoch.
    pub(crate) fn apply(&self, batch: u64, now: u64) -> u64 {
        let chance = draw(self.seed, 0, self.gateway as u64, batch);
        let now = now.saturating_add_signed(self.offset_nanos);
        if chance < self.late.permille {
            now.saturating_sub(self.late.nanos)
        } else if chance < self.late.permille + self.early.permille {
            now.saturating_add(self.early.nanos)
        } else {
            now
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000_000_000_000;
    const MINUTE: u64 = 60_000_000_000;

    fn clocks(seed: u64, gateway: usize) -> Vec<u64> {
        let late = Shift { permille: 100, nanos: 10 * MINUTE };
        let early = Shift { permille: 50, nanos: MINUTE };
        let fault = ClockFault { seed, gateway, offset_nanos: 0, late, early };
        (0..2_000).map(|batch| fault.apply(batch, NOW)).collect()
    }

    /// The same seed chooses the same batches, about as many as asked for; another seed or gateway chooses others.
    #[test]
    fn late_and_early_batches_follow_from_the_seed() {
        let one = clocks(1, 0);
        assert_eq!(one, clocks(1, 0));
        assert_ne!(one, clocks(2, 0));
        assert_ne!(one, clocks(1, 1));
        let late = one.iter().filter(|now| **now == NOW - 10 * MINUTE).count();
        let early = one.iter().filter(|now| **now == NOW + MINUTE).count();
        assert!((150..250).contains(&late) && (60..140).contains(&early), "{late} {early}");
        assert_eq!(one.iter().filter(|now| **now == NOW).count(), 2_000 - late - early);
    }

    /// A clock without faults shows the time, and one that is wrong is wrong for every batch.
    #[test]
    fn an_offset_shifts_every_batch() {
        let sound = ClockFault { gateway: 3, ..ClockFault::default() };
        assert!((0..2_000).all(|batch| sound.apply(batch, NOW) == NOW));
        let behind = ClockFault { offset_nanos: -5_000_000_000, ..ClockFault::default() };
        assert_eq!(behind.apply(9, NOW), NOW - 5_000_000_000);
        assert_eq!(behind.apply(9, 1), 0);
    }
}
