//! What one operation span says, once it has been understood.

use super::{FailureReason, Operation, OutcomeClass, WebhookStatus};

/// An operation span, understood. Plain data, copied into the request's stage and counted when the request is accepted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// Which operation.
    pub operation: Operation,
    /// How it ended.
    pub outcome: OutcomeClass,
    /// Why it failed; present if and only if `outcome` is a failure.
    pub reason: Option<FailureReason>,
    /// Attributes and span status say different things; the attributes won.
    pub status_conflict: bool,
    /// `avs.attempt.count`, at least 1.
    pub attempts: Option<u32>,
    /// Share of the stake that signed, 0 to 1 (finite; a value outside of it is not clamped but absent). On
    /// `bls_aggregation` only.
    pub signed_stake_ratio: Option<f64>,
    /// `avs.quorum.threshold` as a ratio: 0.67 for 67 percent. On `bls_aggregation` only.
    pub threshold: Option<f64>,
    /// `webhook.status_class` and its substitutes, on `webhook_delivery`, whatever the outcome.
    pub webhook: Option<WebhookStatus>,
    /// What only one kind of operation has.
    pub detail: Detail,
}

/// Figures that only one kind of operation has.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Detail {
    /// None.
    #[default]
    Nothing,
    /// A `bls_aggregation`.
    Quorum {
        /// `avs.quorum.time_to_threshold`.
        time_to_threshold: Seconds,
        /// `avs.operators.total`.
        operators: OptionalCount,
        /// `avs.operators.signed`.
        signed: OptionalCount,
        /// `avs.operators.rejected`.
        rejected: OptionalCount,
    },
    /// A `tx_submission`.
    Tx {
        /// `evm.tx.confirmation.duration`.
        confirmation: Seconds,
        /// `evm.tx.queue.duration`.
        queue: Seconds,
        /// `evm.tx.batch.size`.
        batch_size: OptionalCount,
        /// `evm.tx.batch.failed`.
        batch_failed: OptionalCount,
        /// `evm.tx.exhausted`: no attempt is left.
        exhausted: bool,
    },
    /// A `webhook_delivery`.
    Webhook {
        /// `webhook.exhausted`: no attempt is left.
        exhausted: bool,
    },
}

/// A duration in seconds that may be absent, in 8 bytes. What is there is finite and not negative.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seconds(f64);

impl Seconds {
    /// No duration.
    pub const ABSENT: Self = Self(-1.0);

    /// `seconds`; absent if it is negative, infinite or not a number.
    #[inline]
    pub fn new(seconds: Option<f64>) -> Self {
        match seconds {
            Some(seconds) if seconds >= 0.0 && seconds.is_finite() => Self(seconds),
            _ => Self::ABSENT,
        }
    }

    /// The duration in seconds.
    #[inline]
    pub fn get(self) -> Option<f64> {
        (self.0 >= 0.0).then_some(self.0)
    }
}

/// A count that may be absent, in 4 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionalCount(u32);

impl OptionalCount {
    /// No count.
    pub const ABSENT: Self = Self(u32::MAX);

    /// `count`; absent if it is negative or does not fit.
    #[inline]
    pub fn new(count: Option<i64>) -> Self {
        count.and_then(|count| u32::try_from(count).ok()).map_or(Self::ABSENT, Self)
    }

    /// The count.
    #[inline]
    pub fn get(self) -> Option<u32> {
        (self.0 != u32::MAX).then_some(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Garbage is absent; what is there comes back; an observation stays small.
    #[test]
    fn compact_numbers_keep_what_is_sound() {
        for garbage in [None, Some(-0.5), Some(f64::NAN), Some(f64::INFINITY), Some(f64::NEG_INFINITY)] {
            assert_eq!(Seconds::new(garbage).get(), None);
        }
        assert_eq!(Seconds::new(Some(0.0)).get(), Some(0.0));
        assert_eq!(Seconds::new(Some(1.25)).get(), Some(1.25));
        for garbage in [None, Some(-1), Some(i64::MAX), Some(i64::from(u32::MAX))] {
            assert_eq!(OptionalCount::new(garbage).get(), None);
        }
        assert_eq!(OptionalCount::new(Some(0)).get(), Some(0));
        assert!(size_of::<Measured>() <= 88, "{}", size_of::<Measured>());
    }
}
