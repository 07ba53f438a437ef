//! The five operations of a gateway.

use super::label::{Index, same_label};

/// What a gateway does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// One task, from its request to its answer.
    Task,
    /// The task is sent to the operators.
    TaskBroadcast,
    /// Their BLS signatures are collected until a quorum of stake has signed.
    BlsAggregation,
    /// The result goes into a transaction, alone or in a batch.
    TxSubmission,
    /// A failure is reported to the caller's webhook.
    WebhookDelivery,
}

struct OperationRow {
    operation: Operation,
    label: &'static str,
    datadog_name: &'static str,
    span_names: &'static [&'static str],
}

const ROWS: [OperationRow; 5] = [
    OperationRow {
        operation: Operation::Task,
        label: "task",
        datadog_name: "gateway.task",
        span_names: &["process task", "process_task", "create_task", "handle_task"],
    },
    OperationRow {
        operation: Operation::TaskBroadcast,
        label: "task_broadcast",
        datadog_name: "gateway.task_broadcast",
        span_names: &["broadcast task", "task broadcast", "broadcast_task", "task.broadcast", "gateway.task.broadcast"],
    },
    OperationRow {
        operation: Operation::BlsAggregation,
        label: "bls_aggregation",
        datadog_name: "gateway.bls_aggregation",
        span_names: &[
            "aggregate signatures",
            "bls aggregation",
            "aggregate_signatures",
            "bls.aggregate",
            "gateway.bls.aggregate",
        ],
    },
    OperationRow {
        operation: Operation::TxSubmission,
        label: "tx_submission",
        datadog_name: "gateway.tx_submission",
        span_names: &[
            "submit transaction",
            "tx submission",
            "submit_transaction",
            "submit_tx",
            "tx.submit",
            "gateway.tx.submit",
        ],
    },
    OperationRow {
        operation: Operation::WebhookDelivery,
        label: "webhook_delivery",
        datadog_name: "gateway.webhook_delivery",
        span_names: &[
            "deliver webhook",
            "webhook delivery",
            "deliver_webhook",
            "webhook.deliver",
            "gateway.webhook.deliver",
        ],
    },
];

const INDEX: Index = {
    let mut labels = [""; ROWS.len()];
    let mut at = 0;
    while at < ROWS.len() {
        labels[at] = ROWS[at].label;
        at += 1;
    }
    Index::new(&labels)
};

impl Operation {
    /// All of them; the position is [`Operation::index`].
    pub const ALL: [Self; ROWS.len()] = {
        let mut all = [Self::Task; ROWS.len()];
        let mut at = 0;
        while at < ROWS.len() {
            assert!(ROWS[at].operation as usize == at, "rows stand in the order of the variants");
            all[at] = ROWS[at].operation;
            at += 1;
        }
        all
    };

    /// Position in [`Operation::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }

    fn row(self) -> &'static OperationRow {
        &ROWS[self.index()]
    }

    /// The value of `avs.operation`, the metric label, and the key in the configuration.
    pub fn label(self) -> &'static str {
        self.row().label
    }

    /// The operation with that label, written in any case.
    pub fn from_label(label: &[u8]) -> Option<Self> {
        let row = &ROWS[INDEX.candidate(label)?];
        same_label(row.label, label).then_some(row.operation)
    }

    /// What Datadog shows as the operation's name: `gateway.` and the label.
    pub fn datadog_name(self) -> &'static str {
        self.row().datadog_name
    }

    /// The span names that mean this operation without any configuration.
    pub fn span_names(self) -> &'static [&'static str] {
        self.row().span_names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table is in the order of the enum, so that an index finds its row; labels come back.
    #[test]
    fn each_operation_finds_its_row() {
        for (index, operation) in Operation::ALL.into_iter().enumerate() {
            assert_eq!(operation.index(), index);
            assert_eq!(operation.row().operation, operation);
            assert_eq!(Operation::from_label(operation.label().as_bytes()), Some(operation));
            assert_eq!(operation.datadog_name(), format!("gateway.{}", operation.label()));
        }
        assert_eq!(Operation::from_label(b"TASK_Broadcast"), Some(Operation::TaskBroadcast));
        assert_eq!(Operation::from_label(b"handle_new_signature"), None);
        assert_eq!(Operation::from_label(b"tas"), None);
        assert_eq!(Operation::from_label(b""), None);
    }
}
