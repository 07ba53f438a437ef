//! What tells series apart, typed; text only where a series is shown.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::metric::MetricAttribute;
use crate::chain::ChainId;
use crate::gateway::{FailureReason, Operation, OutcomeClass, WebhookStatus};

/// The value of `chain_id` on a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChainLabel {
    /// A chain with a label of its own.
    Id(ChainId),
    /// The chains beyond the limit, together.
    Other,
    /// Spans whose chain is not known.
    Unknown,
}

impl fmt::Display for ChainLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{}", id.get()),
            Self::Other => f.write_str("other"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// The OTLP attribute of the series that all share that are beyond the limit.
pub const OVERFLOW_ATTRIBUTE: &str = "otel.metric.overflow";
/// The same as a Prometheus label.
pub const OVERFLOW_LABEL: &str = "otel_metric_overflow";

/// Whether a Prometheus label of that name is there already, so that no dimension may have it: those of the metrics, and
/// those that Prometheus itself adds.
pub fn is_reserved_label(name: &str) -> bool {
    MetricAttribute::ALL.iter().any(|attribute| attribute.label() == name)
        || ["le", OVERFLOW_LABEL, "job", "instance"].contains(&name)
}

/// What became of a part of an operation: the attribute `result`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum ResultLabel {
    /// An operator signed.
    Signed,
    /// An operator answered and did not sign.
    Rejected,
    /// An operator did not answer.
    Missing,
    /// An item of a batch went through.
    Ok,
    /// An item of a batch did not.
    Failed,
}

impl ResultLabel {
    /// The metric label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Signed => "signed",
            Self::Rejected => "rejected",
            Self::Missing => "missing",
            Self::Ok => "ok",
            Self::Failed => "failed",
        }
    }
}

/// What a gauge speaks of: attributes whose values are the gateway's own words. Empty where a span does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject {
    /// The signer, or what a circuit breaker guards.
    pub name: Arc<str>,
    /// `service.instance.id` of the gateway's resource.
    pub instance: Arc<str>,
}

/// The attributes of one series, without its dimensions. Those that its metric does not have are `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Attributes {
    /// The chain.
    pub chain: ChainLabel,
    /// The operation.
    pub operation: Option<Operation>,
    /// How it ended.
    pub outcome: Option<OutcomeClass>,
    /// Why it failed.
    pub reason: Option<FailureReason>,
    /// How a webhook was answered.
    pub webhook: Option<WebhookStatus>,
    /// What became of a part of it.
    pub part: Option<ResultLabel>,
    /// The series beyond the limit, together: nothing but the chain tells them apart.
    pub overflow: bool,
}

impl Attributes {
    /// Nothing but the chain.
    pub(super) fn of_chain(chain: ChainLabel) -> Self {
        Self { chain, operation: None, outcome: None, reason: None, webhook: None, part: None, overflow: false }
    }

    /// What a metric with these `attributes` keeps.
    pub(super) fn restricted_to(self, attributes: &[MetricAttribute]) -> Self {
        let has = |attribute| !self.overflow && attributes.contains(&attribute);
        Self {
            chain: self.chain,
            operation: self.operation.filter(|_| has(MetricAttribute::Operation)),
            outcome: self.outcome.filter(|_| has(MetricAttribute::Outcome)),
            reason: self.reason.filter(|_| has(MetricAttribute::ErrorType) || has(MetricAttribute::Reason)),
            webhook: self.webhook.filter(|_| has(MetricAttribute::StatusClass)),
            part: self.part.filter(|_| has(MetricAttribute::Result)),
            overflow: self.overflow,
        }
    }

    /// The text of `attribute`; `None` when this series does not have it, or has it in its [`Subject`].
    pub fn value(&self, attribute: MetricAttribute) -> Option<Cow<'static, str>> {
        if attribute == MetricAttribute::ChainId {
            return Some(self.chain.to_string().into());
        }
        if self.overflow {
            return None;
        }
        let text = match attribute {
            MetricAttribute::ChainId
            | MetricAttribute::Signer
            | MetricAttribute::Target
            | MetricAttribute::ServiceInstanceId => None,
            MetricAttribute::Operation => self.operation.map(Operation::label),
            MetricAttribute::Outcome => self.outcome.map(OutcomeClass::label),
            MetricAttribute::ErrorType | MetricAttribute::Reason => self.reason.map(|reason| reason.label()),
            MetricAttribute::Class => self.reason.map(|reason| reason.quorum_class().label()),
            MetricAttribute::Result => self.part.map(ResultLabel::label),
            MetricAttribute::StatusClass => Some(self.webhook.map_or("unknown", |status| status.label())),
        };
        text.map(Cow::Borrowed)
    }
}
