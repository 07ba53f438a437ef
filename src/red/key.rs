//! Keys as one word: what a cell counts, and which series it feeds.

use super::labels::ResultLabel;
use super::metric::{Metric, MetricAttribute};
use crate::gateway::{Detail, FailureReason, Measured, Operation, OutcomeClass, WebhookStatus};

/// Dimensions beyond the limit, together. Also the largest id there is room for.
pub(super) const OVERFLOW_DIMS: u32 = 0xff_ffff;
/// Chains beyond the limit, together.
pub(super) const OTHER_CHAIN: u32 = 0xffff;
/// Spans without a chain.
pub(super) const UNKNOWN_CHAIN: u32 = 0xfffe;

/// Everything that tells cells apart, packed: dimensions (24 bits), chain (16), features (5, one bit free), outcome (2),
/// operation (3), webhook status (5), reason (8). The features say which optional sums a cell has, so a key alone says
/// which series it feeds; apart from the attempts, each operation has a meaning of its own for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct CellKey(u64);

const REASON: u64 = 0xff;
const WEBHOOK: u64 = 0x1f << 8;
const OPERATION: u64 = 0x7 << 13;
const OUTCOME: u64 = 0x3 << 16;
const ATTEMPTS: u64 = 1 << 18;
/// `bls_aggregation`: signed stake.
const STAKE: u64 = 1 << 19;
/// `bls_aggregation`: margin.
const MARGIN: u64 = 1 << 20;
/// `bls_aggregation`: time to threshold. `tx_submission`: confirmation.
const REACHED: u64 = 1 << 21;
/// `bls_aggregation`: operator responses. `tx_submission`: batch items.
const PARTS: u64 = 1 << 22;
/// `tx_submission`: queue.
const QUEUE: u64 = 1 << 19;
/// `tx_submission` and `webhook_delivery`: no attempt is left.
const EXHAUSTED: u64 = 1 << 20;
const CHAIN: u64 = 0xffff << 24;
const DIMS: u64 = 0xff_ffff << 40;

impl CellKey {
    /// The key of an observation whose dimensions and chain have been interned.
    #[inline]
    pub(super) fn new(dims: u32, chain: u32, measured: &Measured) -> Self {
        let webhook = measured.webhook.map_or(0, |status| status as u64 + 1) & 0x1f;
        let mut key = reason_code(measured.reason)
            | webhook << 8
            | (measured.operation as u64) << 13
            | (measured.outcome as u64) << 16
            | u64::from(chain) << 24
            | u64::from(dims) << 40;
        if measured.attempts.is_some() {
            key |= ATTEMPTS;
        }
        if measured.operation == Operation::BlsAggregation && measured.signed_stake_ratio.is_some() {
            key |= STAKE;
            if measured.threshold.is_some() {
                key |= MARGIN;
            }
        }
        Self(key | detail(&measured.detail))
    }

    /// The same with other dimensions and another chain.
    pub(super) fn rehomed(self, dims: u32, chain: u32) -> Self {
        Self(self.0 & !(CHAIN | DIMS) | u64::from(chain) << 24 | u64::from(dims) << 40)
    }

    /// The interned dimensions and chain.
    pub(super) fn home(self) -> (u32, u32) {
        ((self.0 >> 40) as u32, ((self.0 & CHAIN) >> 24) as u32)
    }

    /// The cell that counts instead of this one when there is no room: what it needs to know which metrics it feeds
    /// remains (the chain, the operation, the outcome), so a chain has at most fifteen of them.
    pub(super) fn overflow(self) -> Self {
        Self(self.0 & (CHAIN | OPERATION | OUTCOME) | DIMS)
    }

    pub(super) fn is_overflow(self) -> bool {
        self.0 & DIMS == DIMS
    }

    /// The series that the cell feeds. For an overflow cell: those it may feed.
    pub(super) fn series(self) -> impl Iterator<Item = SeriesKey> {
        Metric::all().filter(move |metric| self.feeds(*metric)).flat_map(move |metric| {
            let parts: &[Option<ResultLabel>] = match metric {
                Metric::OperatorResponses if !self.is_overflow() => &RESPONSES,
                Metric::TxBatchItems if !self.is_overflow() => &ITEMS,
                _ => &[None],
            };
            let key = if self.is_overflow() { self.0 & (CHAIN | DIMS) } else { self.0 & mask(metric) };
            parts.iter().map(move |part| SeriesKey { metric, part: *part, key })
        })
    }

    fn feeds(self, metric: Metric) -> bool {
        let is = |operation: Operation| self.0 & OPERATION == (operation as u64) << 13;
        let ended = |outcome: OutcomeClass| self.0 & OUTCOME == (outcome as u64) << 16;
        let has = |feature| self.0 & feature != 0 || self.is_overflow();
        match metric {
            Metric::Operations | Metric::OperationDuration | Metric::ChainHealth => true,
            Metric::QuorumFailures => is(Operation::BlsAggregation) && ended(OutcomeClass::Failure),
            Metric::SignedStakeRatio => is(Operation::BlsAggregation) && has(STAKE),
            Metric::QuorumMargin => is(Operation::BlsAggregation) && has(MARGIN),
            Metric::TimeToThreshold => is(Operation::BlsAggregation) && has(REACHED),
            Metric::OperatorResponses => is(Operation::BlsAggregation) && has(PARTS),
            Metric::OperationAttempts => has(ATTEMPTS),
            Metric::TxFailures => is(Operation::TxSubmission) && ended(OutcomeClass::Failure),
            Metric::TxExhausted => is(Operation::TxSubmission) && has(EXHAUSTED),
            Metric::TxConfirmation => is(Operation::TxSubmission) && has(REACHED),
            Metric::TxQueue => is(Operation::TxSubmission) && has(QUEUE),
            Metric::TxBatchItems => is(Operation::TxSubmission) && has(PARTS),
            Metric::WebhookDeliveries => is(Operation::WebhookDelivery),
            Metric::WebhookExhausted => is(Operation::WebhookDelivery) && has(EXHAUSTED),
            Metric::LastSuccessAge => ended(OutcomeClass::Success),
            Metric::TxNonceGap | Metric::BreakerState => false,
        }
    }
}

const RESPONSES: [Option<ResultLabel>; 3] =
    [Some(ResultLabel::Signed), Some(ResultLabel::Rejected), Some(ResultLabel::Missing)];
const ITEMS: [Option<ResultLabel>; 2] = [Some(ResultLabel::Ok), Some(ResultLabel::Failed)];

/// The features that only one kind of operation has.
#[inline]
fn detail(detail: &Detail) -> u64 {
    let flag = |present: bool, feature| if present { feature } else { 0 };
    match *detail {
        Detail::Nothing => 0,
        Detail::Quorum { time_to_threshold, signed, rejected, .. } => {
            flag(time_to_threshold.get().is_some(), REACHED)
                | flag(signed.get().is_some() || rejected.get().is_some(), PARTS)
        }
        Detail::Tx { confirmation, queue, batch_size, exhausted, .. } => {
            flag(confirmation.get().is_some(), REACHED)
                | flag(queue.get().is_some(), QUEUE)
                | flag(batch_size.get().is_some(), PARTS)
                | flag(exhausted, EXHAUSTED)
        }
        Detail::Webhook { exhausted } => flag(exhausted, EXHAUSTED),
    }
}

/// One attribute set of one metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct SeriesKey {
    pub(super) metric: Metric,
    pub(super) part: Option<ResultLabel>,
    key: u64,
}

impl SeriesKey {
    /// The interned dimensions and chain.
    pub(super) fn home(self) -> (u32, u32) {
        CellKey(self.key).home()
    }

    /// The `chain.health` of the same dimensions and chain.
    pub(super) fn health(self) -> Self {
        Self { metric: Metric::ChainHealth, part: None, key: self.key & (CHAIN | DIMS) }
    }
}

/// The part of a cell's key that tells the series of `metric` apart.
fn mask(metric: Metric) -> u64 {
    let bits = |attribute: &MetricAttribute| match attribute {
        MetricAttribute::ChainId => CHAIN,
        MetricAttribute::Operation => OPERATION,
        MetricAttribute::Outcome => OUTCOME,
        MetricAttribute::ErrorType | MetricAttribute::Reason | MetricAttribute::Class => REASON,
        MetricAttribute::StatusClass => WEBHOOK,
        // Beside the key.
        MetricAttribute::Result
        | MetricAttribute::Signer
        | MetricAttribute::Target
        | MetricAttribute::ServiceInstanceId => 0,
    };
    metric.entry().attributes.iter().map(bits).fold(DIMS, |mask, bits| mask | bits)
}

/// Dense and different for each reason: a family in the upper bits, its member in the lower.
#[inline]
fn reason_code(reason: Option<FailureReason>) -> u64 {
    match reason {
        None => 0,
        Some(FailureReason::Timeout) => 1,
        Some(FailureReason::Other) => 2,
        Some(FailureReason::Webhook(status)) => 0x10 + status as u64,
        Some(FailureReason::Quorum(reason)) => 0x40 + reason as u64,
        Some(FailureReason::Tx(reason)) => 0x80 + reason as u64,
    }
}

// A family that outgrows its place would count one reason as another.
const _: () = {
    assert!(std::mem::size_of::<WebhookStatus>() <= 1);
    assert!(std::mem::size_of::<Operation>() <= 1);
};
