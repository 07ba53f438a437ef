//! How operations end: which outcomes each operation has, and what they count as.

use super::Operation;
use super::label::{Index, same_label};

/// A value of `avs.outcome`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// The quorum signed that the policy allows it.
    Allow,
    /// The quorum signed that the policy denies it: a success, the gateway did its work.
    Deny,
    /// It had been done already.
    Duplicate,
    /// It was not done.
    Failed,
    /// It was not done in time.
    Timeout,
    /// It was called off.
    Cancelled,
    /// The task went out.
    Sent,
    /// The quorum was reached.
    Reached,
    /// The transaction is in a block.
    Confirmed,
    /// Some items of the batch are.
    Partial,
    /// The webhook was answered.
    Delivered,
    /// Webhooks are switched off.
    Disabled,
}

/// How an operation ended, as the metric label `outcome` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OutcomeClass {
    /// The operation did what it is for (a policy "deny" is one).
    Success,
    /// It did not.
    Failure,
    /// Neither: it was called off, or was switched off.
    Cancelled,
}

impl OutcomeClass {
    /// All of them, in the order of the enum.
    pub const ALL: [Self; 3] = [Self::Success, Self::Failure, Self::Cancelled];

    /// The metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Each outcome with the value of `avs.outcome` that says it, in the order of the enum.
pub(super) const LABELS: [(Outcome, &str); 12] = [
    (Outcome::Allow, "allow"),
    (Outcome::Deny, "deny"),
    (Outcome::Duplicate, "duplicate"),
    (Outcome::Failed, "failed"),
    (Outcome::Timeout, "timeout"),
    (Outcome::Cancelled, "cancelled"),
    (Outcome::Sent, "sent"),
    (Outcome::Reached, "reached"),
    (Outcome::Confirmed, "confirmed"),
    (Outcome::Partial, "partial"),
    (Outcome::Delivered, "delivered"),
    (Outcome::Disabled, "disabled"),
];

const INDEX: Index = {
    let mut labels = [""; LABELS.len()];
    let mut at = 0;
    while at < LABELS.len() {
        labels[at] = LABELS[at].1;
        at += 1;
    }
    Index::new(&labels)
};

/// The outcomes of each operation: successes, failures, and what is neither.
pub(super) type OutcomeRow = (Operation, &'static [Outcome], &'static [Outcome], &'static [Outcome]);

pub(super) const ROWS: [OutcomeRow; 5] = [
    (
        Operation::Task,
        &[Outcome::Allow, Outcome::Deny, Outcome::Duplicate],
        &[Outcome::Failed, Outcome::Timeout],
        &[Outcome::Cancelled],
    ),
    (Operation::TaskBroadcast, &[Outcome::Sent], &[Outcome::Failed], &[Outcome::Cancelled]),
    (Operation::BlsAggregation, &[Outcome::Reached], &[Outcome::Failed], &[Outcome::Cancelled]),
    (
        Operation::TxSubmission,
        &[Outcome::Confirmed, Outcome::Duplicate, Outcome::Partial],
        &[Outcome::Failed],
        &[Outcome::Cancelled],
    ),
    (Operation::WebhookDelivery, &[Outcome::Delivered], &[Outcome::Failed], &[Outcome::Disabled]),
];

/// [`ROWS`] turned round: operation, outcome, class.
const CLASSES: [[Option<OutcomeClass>; LABELS.len()]; ROWS.len()] = {
    let mut classes = [[None; LABELS.len()]; ROWS.len()];
    let mut row = 0;
    while row < ROWS.len() {
        let (_, success, failure, neither) = ROWS[row];
        let columns = [success, failure, neither];
        let mut column = 0;
        while column < columns.len() {
            let mut at = 0;
            while at < columns[column].len() {
                classes[row][columns[column][at] as usize] = Some(OutcomeClass::ALL[column]);
                at += 1;
            }
            column += 1;
        }
        row += 1;
    }
    classes
};

impl Outcome {
    /// The outcome with that label, written in any case.
    pub fn from_label(label: &[u8]) -> Option<Self> {
        let (outcome, known) = LABELS[INDEX.candidate(label)?];
        same_label(known, label).then_some(outcome)
    }

    /// What this outcome counts as on `operation`; `None` if the operation cannot end so.
    pub fn class(self, operation: Operation) -> Option<OutcomeClass> {
        CLASSES[operation.index()][self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tables are in the order of their enums, and labels come back.
    #[test]
    fn the_tables_are_in_order() {
        for (index, (outcome, label)) in LABELS.into_iter().enumerate() {
            assert_eq!(outcome as usize, index);
            assert_eq!(Outcome::from_label(label.as_bytes()), Some(outcome));
            assert_eq!(Outcome::from_label(label.to_uppercase().as_bytes()), Some(outcome));
            assert_eq!(Outcome::from_label(&label.as_bytes()[1..]), None);
        }
        for (index, row) in ROWS.iter().enumerate() {
            assert_eq!(row.0.index(), index);
        }
    }
}
