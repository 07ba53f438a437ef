//! Whether the data or the destination is at fault when requests are refused.
//!
//! Isolating one offender in a batch of n items costs at most `2 log2 n` refusals. A destination that refuses one thing
//! after the other, more than that and [`UNEXPLAINED_REFUSALS`] without a success, is at fault itself: its breaker opens and
//! the data is kept. What was isolated until then has become dead letters, which an operator can replay. If the destination
//! then takes other data, the refused data was at fault after all, and [`TRUST_FACTOR`] times as many refusals are allowed
//! for a while.

use std::time::Duration;

use tokio::time::Instant;

/// Refusals in a row, beyond those that one offender explains, after which the destination is at fault.
const UNEXPLAINED_REFUSALS: u32 = 30;
/// The allowance grows by this factor when the destination was wrongly blamed, and once more when that happens again.
const TRUST_FACTOR: u32 = 16;
/// How long the larger allowance holds.
const TRUST_DURATION: Duration = Duration::from_secs(600);

/// Counts refusals in a row, whatever was refused.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    row: u32,
    /// How many are allowed: those that isolating one offender explains, and the allowance.
    explained: u32,
    /// The factor on the allowance, and until when it holds.
    trust: Option<(u32, Instant)>,
}

impl Refusals {
    /// A batch of `items` was refused. `true`: the destination is at fault.
    pub(crate) fn add(&mut self, items: u64) -> bool {
        self.row = self.row.saturating_add(1);
        let trust = self.trust.map_or(1, |(factor, _)| factor);
        self.explained = self.explained.max(2 * items.max(1).ilog2() + UNEXPLAINED_REFUSALS * trust);
        self.row > self.explained
    }

    /// Something was taken, or the breaker has opened: counting begins anew.
    pub(crate) fn reset(&mut self, now: Instant) {
        (self.row, self.explained) = (0, 0);
        self.trust = self.trust.filter(|(_, until)| now < *until);
    }

    /// The destination was blamed, and takes other data: it was blamed wrongly.
    pub(crate) fn rehabilitate(&mut self, now: Instant) {
        let factor = self.trust.map_or(1, |(factor, _)| factor);
        self.trust = Some(((factor * TRUST_FACTOR).min(TRUST_FACTOR * TRUST_FACTOR), now + TRUST_DURATION));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One offender among n is found without anybody being blamed for it; a destination that takes nothing is.
    #[test]
    fn a_destination_that_refuses_everything_is_to_blame_after_a_bounded_number() {
        let now = Instant::now();
        for items in [1_u64, 64, 100_000] {
            let mut refusals = Refusals::default();
            let one_offender = u64::from(items.ilog2()) + 1;
            assert!((0..one_offender).all(|step| !refusals.add(items >> step)));
            let more = (0..1_000).take_while(|_| !refusals.add(1)).count() as u64;
            assert!(one_offender + more <= 2 * u64::from(items.ilog2()) + 30, "{items}: {more}");
            refusals.reset(now);
            assert!(!refusals.add(items));
            // Wrongly blamed: it is trusted for longer, and not for ever.
            refusals.rehabilitate(now);
            refusals.reset(now);
            assert!((0..480).all(|_| !refusals.add(1)));
            refusals.reset(now + TRUST_DURATION);
            assert_eq!((0..1_000).take_while(|_| !refusals.add(1)).count(), 30);
        }
    }
}
