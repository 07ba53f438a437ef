//! The five operations, each a function with a span around it. The pattern is always the same:
//!
//! 1. `#[instrument]` names the span and records what is known at the start: the operation, the chain, the task;
//! 2. what is known only later is declared as `Empty` and recorded then (`tracing` silently drops fields that are not
//!    declared);
//! 3. the outcome is always recorded, and a failure carries its typed reason. The text of the error is for people.
//!
//! `chain_id` may be a number, as here: `tracing-opentelemetry` exports a `u64` as a string, and chainspan reads both.

use std::time::Instant;

use tracing::field::{Empty, display};
use tracing::{Span, instrument, warn};

use crate::world::{self, Certificate, QuorumError, Receipt, Task, TaskError, TxError, Verdict, WebhookError};

/// A task from request to on-chain result. A policy that denies is a success: a quorum signed the denial.
#[instrument(
    name = "process task",
    skip_all,
    fields(
        otel.kind = "server",
        avs.operation = "task",
        chain_id = task.chain.id,
        avs.task.id = %task.id,
        avs.outcome = Empty,
        error.type = Empty,
        otel.status_description = Empty,
    )
)]
pub(crate) async fn process_task(task: &Task) -> Result<Verdict, TaskError> {
    let result = run_task(task).await;
    match &result {
        Ok(Verdict::Allow) => record("avs.outcome", "allow"),
        Ok(Verdict::Deny) => record("avs.outcome", "deny"),
        Err(error) => {
            failed("error.type", error.kind(), error);
            // Tell whoever waits for this task. Whether that works does not change the task's own outcome.
            let _ = deliver_webhook(task).await;
        }
    }
    result
}

async fn run_task(task: &Task) -> Result<Verdict, TaskError> {
    broadcast_task(task, "prepare").await;
    broadcast_task(task, "evaluate").await;
    let certificate = aggregate_signatures(task).await?;
    submit_transaction(task, &certificate).await?;
    Ok(certificate.verdict)
}

/// Sends a task to the operators. Happens twice per task, so the phase is on the span.
#[instrument(
    name = "broadcast task",
    skip_all,
    fields(
        otel.kind = "producer",
        avs.operation = "task_broadcast",
        chain_id = task.chain.id,
        avs.task.id = %task.id,
        avs.task.phase = phase,
        avs.operators.total = world::OPERATORS,
        avs.outcome = Empty,
    )
)]
async fn broadcast_task(task: &Task, phase: &'static str) {
    world::send_to_operators(task, phase).await;
    record("avs.outcome", "sent");
}

/// Collects BLS signatures until the threshold of stake has signed.
#[instrument(
    name = "aggregate signatures",
    skip_all,
    fields(
        avs.operation = "bls_aggregation",
        chain_id = task.chain.id,
        avs.task.id = %task.id,
        avs.quorum.threshold = i64::from(task.threshold_percent),
        avs.quorum.signed_stake_ratio = Empty,
        avs.quorum.time_to_threshold = Empty,
        avs.operators.total = world::OPERATORS,
        avs.operators.signed = Empty,
        avs.outcome = Empty,
        avs.quorum.failure.reason = Empty,
        otel.status_description = Empty,
    )
)]
async fn aggregate_signatures(task: &Task) -> Result<Certificate, QuorumError> {
    let begin = Instant::now();
    let answers = world::collect_signatures(task).await;
    // Stake and signers are worth knowing in any case: record them before looking at the result.
    let span = Span::current();
    span.record("avs.quorum.signed_stake_ratio", answers.signed_stake_ratio);
    span.record("avs.operators.signed", answers.signed);
    match answers.certify(task) {
        Ok(certificate) => {
            span.record("avs.quorum.time_to_threshold", begin.elapsed().as_secs_f64());
            record("avs.outcome", "reached");
            Ok(certificate)
        }
        Err(error) => {
            failed("avs.quorum.failure.reason", error.reason(), &error);
            Err(error)
        }
    }
}

/// Submits the certificate and waits for the receipt, with up to three attempts.
#[instrument(
    name = "submit transaction",
    skip_all,
    fields(
        otel.kind = "client",
        avs.operation = "tx_submission",
        chain_id = task.chain.id,
        avs.task.id = %task.id,
        avs.attempt.count = Empty,
        evm.tx.batch.size = 1_i64,
        evm.tx.batch.failed = Empty,
        evm.tx.confirmation.duration = Empty,
        evm.tx.exhausted = Empty,
        avs.outcome = Empty,
        evm.tx.failure.reason = Empty,
        otel.status_description = Empty,
    )
)]
async fn submit_transaction(task: &Task, certificate: &Certificate) -> Result<Receipt, TxError> {
    const ATTEMPTS: i64 = 3;
    let span = Span::current();
    let mut attempt = 1;
    let result = loop {
        match world::send_transaction(task, certificate, attempt).await {
            Err(error) if error.is_temporary() && attempt < ATTEMPTS => {
                // A warning, not an error: this attempt failed, the operation has not.
                warn!(%error, attempt, "transaction will be sent again");
                attempt += 1;
            }
            result => break result,
        }
    };
    span.record("avs.attempt.count", attempt);
    match result {
        Ok(receipt) => {
            span.record("evm.tx.confirmation.duration", receipt.confirmed_after.as_secs_f64());
            span.record("evm.tx.batch.failed", 0);
            record("avs.outcome", "confirmed");
            Ok(receipt)
        }
        Err(error) => {
            span.record("evm.tx.exhausted", attempt == ATTEMPTS);
            failed("evm.tx.failure.reason", error.reason(), &error);
            Err(error)
        }
    }
}

/// Tells the owner of a task that it failed.
#[instrument(
    name = "deliver webhook",
    skip_all,
    fields(
        otel.kind = "client",
        avs.operation = "webhook_delivery",
        chain_id = task.chain.id,
        avs.task.id = %task.id,
        http.response.status_code = Empty,
        webhook.status_class = Empty,
        webhook.exhausted = Empty,
        avs.outcome = Empty,
        otel.status_description = Empty,
    )
)]
async fn deliver_webhook(task: &Task) -> Result<(), WebhookError> {
    let span = Span::current();
    match world::post_webhook(task).await {
        Ok(status) => {
            span.record("http.response.status_code", i64::from(status));
            record("avs.outcome", "delivered");
            Ok(())
        }
        Err(error) => {
            span.record("webhook.exhausted", true);
            failed("webhook.status_class", error.status_class(), &error);
            Err(error)
        }
    }
}

/// Records `value` in the field `key` of the span that is open.
fn record(key: &'static str, value: &'static str) {
    Span::current().record(key, value);
}

/// What every failure records: the outcome, the typed reason, and the error's text as the span's status.
fn failed(reason_key: &'static str, reason: &'static str, error: &dyn std::error::Error) {
    let span = Span::current();
    span.record("avs.outcome", "failed");
    span.record(reason_key, reason);
    // A description makes the status an error.
    span.record("otel.status_description", display(error));
}
