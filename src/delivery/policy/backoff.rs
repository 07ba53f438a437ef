//! How long to pause after a failure: exponential backoff with full jitter. Only the arithmetic: the caller waits, and
//! brings the random number.

use std::time::Duration;

/// Full-jitter exponential backoff: after the n-th failure in a row, a pause drawn evenly from zero to
/// `initial * 2^(n-1)`, never above `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Backoff {
    initial: Duration,
    max: Duration,
}

/// Why two durations do not make a backoff.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BackoffError {
    /// A pause of nothing would be a busy loop.
    #[error("initial_interval must be longer than 0s")]
    Zero,
    /// The pauses would have to shrink.
    #[error("max_interval must not be shorter than initial_interval")]
    Shrinking,
}

impl Backoff {
    /// Pauses that start at up to `initial` (above zero) and never pass `max` (at least `initial`).
    pub(crate) fn new(initial: Duration, max: Duration) -> Result<Self, BackoffError> {
        if initial.is_zero() {
            return Err(BackoffError::Zero);
        }
        if max < initial {
            return Err(BackoffError::Shrinking);
        }
        Ok(Self { initial, max })
    }

    /// The longest pause after `failures` failures in a row. 0 failures: no pause.
    pub(crate) fn ceiling(&self, failures: u32) -> Duration {
        let Some(doublings) = failures.checked_sub(1) else { return Duration::ZERO };
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        self.initial.saturating_mul(factor).min(self.max)
    }

    /// The pause after `failures` failures in a row. `jitter` is a random number in `0.0..1.0`; one outside
    /// counts as the nearest end.
    pub(crate) fn pause(&self, failures: u32, jitter: f64) -> Duration {
        let share = if jitter.is_nan() { 1.0 } else { jitter.clamp(0.0, 1.0) };
        self.ceiling(failures).mul_f64(share)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_backoff() -> impl Strategy<Value = Backoff> {
        (1_u64..100_000, 0_u64..10_000_000).prop_map(|(initial, more)| {
            Backoff::new(Duration::from_micros(initial), Duration::from_micros(initial + more))
                .expect("valid by construction")
        })
    }

    #[test]
    fn durations_that_are_no_backoff_are_refused_with_the_key_to_change() {
        let second = Duration::from_secs(1);
        assert_eq!(Backoff::new(Duration::ZERO, second), Err(BackoffError::Zero));
        assert_eq!(Backoff::new(second, second / 2), Err(BackoffError::Shrinking));
        assert!(Backoff::new(second, second).is_ok());
    }

    #[test]
    fn the_ceiling_doubles_from_the_initial_interval_up_to_the_maximum() {
        let backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(30)).expect("valid");
        let ceilings: Vec<u128> = (0..10).map(|failures| backoff.ceiling(failures).as_millis()).collect();
        assert_eq!(ceilings, [0, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000]);
        assert_eq!(backoff.ceiling(u32::MAX), Duration::from_secs(30));
    }

    proptest! {
        /// Whatever the failures and the jitter, a pause lies between zero and the ceiling, and the ceiling never falls.
        #[test]
        fn a_pause_stays_in_its_bounds(backoff in any_backoff(), failures in any::<u32>(), jitter in any::<f64>()) {
            let pause = backoff.pause(failures, jitter);
            prop_assert!(pause <= backoff.ceiling(failures));
            prop_assert!(backoff.ceiling(failures) <= backoff.max);
            prop_assert!(backoff.ceiling(failures) <= backoff.ceiling(failures.saturating_add(1)));
        }

        /// The whole range is used: full jitter, not a jittered half.
        #[test]
        fn the_dice_reach_both_ends(backoff in any_backoff(), failures in 1_u32..40) {
            prop_assert_eq!(backoff.pause(failures, 0.0), Duration::ZERO);
            prop_assert_eq!(backoff.pause(failures, 1.0), backoff.ceiling(failures));
        }
    }
}
