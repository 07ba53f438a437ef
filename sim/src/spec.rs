//! The words of the span convention, written down a second time.
//!
//! The simulator must not ask the code under test what a span means: these tables are copied by hand from
//! `docs/span-convention.md`, so that a slip in the product shows as a difference instead of agreeing with itself.

/// Attribute keys that may carry a chain id, in the order in which they win.
pub const CHAIN_KEYS: [&str; 8] = [
    "chain_id",
    "chain.id",
    "chainId",
    "avs.chain.id",
    "evm.chain_id",
    "eth.chain_id",
    "blockchain.chain_id",
    "newton.chain_id",
];

/// Texts that are not chain ids: a reader must go on to the next source.
pub const INVALID_CHAIN_TEXTS: [&str; 8] =
    ["aa36a7", "", "0x", "-1", "eip155:", "solana:101", "1.5", "9223372036854775772"];

/// Each operation with the span names that mean it.
pub const OPERATION_NAMES: [(&str, &[&str]); 5] = [
    ("task", &["process task", "process_task", "create_task", "handle_task"]),
    (
        "task_broadcast",
        &["broadcast task", "task broadcast", "broadcast_task", "task.broadcast", "gateway.task.broadcast"],
    ),
    (
        "bls_aggregation",
        &["aggregate signatures", "bls aggregation", "aggregate_signatures", "bls.aggregate", "gateway.bls.aggregate"],
    ),
    (
        "tx_submission",
        &["submit transaction", "tx submission", "submit_transaction", "submit_tx", "tx.submit", "gateway.tx.submit"],
    ),
    (
        "webhook_delivery",
        &["deliver webhook", "webhook delivery", "deliver_webhook", "webhook.deliver", "gateway.webhook.deliver"],
    ),
];

/// The span names of one operation.
pub fn names_of(operation: &str) -> &'static [&'static str] {
    OPERATION_NAMES.iter().find(|(name, _)| *name == operation).map_or(&[], |(_, names)| names)
}

/// Names of spans that are forwarded and never counted as operations.
pub const LIBRARY_NAMES: [&str; 6] = [
    "handle_new_signature",
    "verify_signature",
    "build_aggregated_response",
    "loop_task",
    "eth_getTransactionReceipt",
    "http request",
];

/// One member of a reason family and the error texts that mean it.
#[derive(Clone, Copy, Debug)]
pub struct ReasonRow {
    /// The label value.
    pub reason: &'static str,
    /// Whose problem it is (quorum family only, else empty).
    pub class: &'static str,
    /// Error texts that map to it; empty: known by attribute only.
    pub texts: &'static [&'static str],
}

const fn row(reason: &'static str, class: &'static str, texts: &'static [&'static str]) -> ReasonRow {
    ReasonRow { reason, class, texts }
}

/// The reason of a failure that no table knows.
pub const OTHER: &str = "_OTHER";

/// Why a quorum fails. `task_expired` is refined by the signed stake ratio where one is known.
pub const QUORUM: [ReasonRow; 14] = [
    row(
        "quorum_not_reached",
        "quorum",
        &["QuorumNotReached", "Quorum not reached", "InsufficientQuorumStake", "insufficient stake"],
    ),
    row("task_expired", "quorum", &["task expired error", "task 4711 expired", "Task timeout", "TaskExpired"]),
    row("no_responses", "quorum", &["NoResponses", "no signatures collected", "no_signatures"]),
    row(
        "insufficient_operators",
        "quorum",
        &["InsufficientQuorum", "No operators available", "operatorAddresses must not be empty"],
    ),
    row(
        "digest_mismatch",
        "quorum",
        &["DigestMismatch", "no signatures for winning digest", "CertificateMessageHashMismatch"],
    ),
    row("tolerance_exceeded", "quorum", &["ToleranceExceeded"]),
    row(
        "invalid_signature",
        "signature",
        &[
            "incorrect signature",
            "InvalidSignature",
            "signature verification error",
            "SignatureVerificationFailed",
            "InvalidBLSSignature",
            "InvalidBLSPairingKey",
        ],
    ),
    row(
        "unknown_operator",
        "signature",
        &[
            "operator not found",
            "operator public key not found",
            "not part of task",
            "OperatorNotRegistered",
            "OperatorNotWhitelisted",
        ],
    ),
    row(
        "operator_error",
        "policy",
        &["PolicyEvaluationError", "DataProviderError", "JSON-RPC error -32615", "code=-32616,", "(-32620)"],
    ),
    row(
        "registry_error",
        "infra",
        &["Avs Registry Error", "failed to get operators state", "check signatures indices"],
    ),
    row(
        "stale_operator_table",
        "infra",
        &[
            "CertificateStale",
            "ReferenceTimestampDoesNotExist",
            "RootDisabled",
            "InvalidOperatorIndex",
            "certificate expired",
            "merkle proof invalid",
        ],
    ),
    row(
        "task_conflict",
        "infra",
        &[
            "duplicate task index error",
            "already initialized",
            "task not found error",
            "not initialized or already completed",
        ],
    ),
    row(
        "channel_error",
        "infra",
        &["error sending to", "error receiving from service", "signatures channel was closed"],
    ),
    row("internal_error", "infra", &["invalid g1 point", "invalid g2 point", "witness construction failed"]),
];

/// The JSON-RPC codes that mean `operator_error`, as attributes.
pub const OPERATOR_ERROR_CODES: [i64; 3] = [-32615, -32616, -32620];

/// Why a transaction fails. The specification prints two more texts (`intrinsic gas too low`, `exceeds block gas limit`)
/// without saying which reason they mean; the simulator does not use them.
pub const TX: [ReasonRow; 20] = [
    row("nonce_too_low", "", &["nonce too low", "nonce is too low"]),
    row("nonce_too_high", "", &["nonce too high", "nonce too far in the future", "exceeds next nonce"]),
    row("underpriced", "", &["transaction underpriced", "max fee per gas less than block base fee"]),
    row("replacement_underpriced", "", &["replacement transaction underpriced"]),
    row("insufficient_funds", "", &["insufficient funds"]),
    row("gas_estimation_failed", "", &[]),
    row("out_of_gas", "", &[]),
    row("reverted", "", &["execution reverted"]),
    row("batch_partial_failure", "", &["BatchPartialFailure"]),
    row("deadline_missed", "", &["TaskCreatedBlockTooOld", "TaskResponseTooLate"]),
    row("not_authorized", "", &["OnlyTaskGenerator", "Unauthorized", "CurrentlyPaused"]),
    row("quorum_rejected", "", &[]),
    row("receipt_timeout", "", &["transaction was not confirmed within the timeout"]),
    row("dropped_or_replaced", "", &[]),
    row("rpc_rate_limited", "", &[]),
    row("rpc_timeout", "", &[]),
    row("rpc_unavailable", "", &[]),
    row("rpc_error", "", &[]),
    row("signer_error", "", &[]),
    row("circuit_open", "", &[]),
];

/// Looks like a failed transaction, and is a success (`duplicate`).
pub const TX_DUPLICATE: [ReasonRow; 2] = [
    row("already_known", "", &["already known", "known transaction"]),
    row("duplicate_onchain", "", &["TaskAlreadyExists", "TaskAlreadyResponded"]),
];

/// Error texts that no table knows; the second one must not be mistaken for `known transaction`.
pub const UNKNOWN_TEXTS: [&str; 3] = ["the flux came loose", "unknown transaction", "E4711"];

/// A webhook status class, and the HTTP status codes that mean it (none: known by name only).
pub const WEBHOOK: [(&str, &[i64]); 8] = [
    ("2xx", &[200, 201, 202, 204]),
    ("3xx", &[301, 302, 308]),
    ("4xx", &[400, 401, 403, 404, 422]),
    ("410", &[410]),
    ("429", &[429]),
    ("5xx", &[500, 502, 503, 504]),
    ("timeout", &[]),
    ("network_error", &[]),
];

/// The status class of a webhook span that names none.
pub const NO_WEBHOOK_CLASS: &str = "unknown";

/// Upper bounds of `operation.duration` in nanoseconds, as Prometheus shows them.
pub const DURATION_BOUNDS_NANO: [u64; 24] = {
    const MS: u64 = 1_000_000;
    const S: u64 = 1_000 * MS;
    [
        5 * MS,
        10 * MS,
        25 * MS,
        50 * MS,
        100 * MS,
        250 * MS,
        500 * MS,
        S,
        2 * S,
        4 * S,
        6 * S,
        8 * S,
        10 * S,
        12 * S,
        15 * S,
        20 * S,
        24 * S,
        30 * S,
        45 * S,
        60 * S,
        120 * S,
        240 * S,
        360 * S,
        600 * S,
    ]
};

/// Upper bounds of `operation.attempts`.
pub const ATTEMPT_BOUNDS: [f64; 8] = [1.0, 2.0, 3.0, 4.0, 5.0, 8.0, 13.0, 21.0];

/// Upper bounds of `quorum.signed_stake.ratio`: 0 to 1 in steps of .05.
pub fn ratio_bounds() -> Vec<f64> {
    (0..=20).map(|step| f64::from(step) / 20.0).collect()
}

/// Upper bounds of `quorum.margin`: −1 to 1 in steps of .05.
pub fn margin_bounds() -> Vec<f64> {
    (-20..=20).map(|step| f64::from(step) / 20.0).collect()
}

/// The names of well-known chains, for display only.
pub fn chain_name(id: u64) -> Option<&'static str> {
    Some(match id {
        1 => "Ethereum",
        11_155_111 => "Sepolia",
        8_453 => "Base",
        84_532 => "Base Sepolia",
        10 => "Optimism",
        11_155_420 => "OP Sepolia",
        42_161 => "Arbitrum One",
        421_614 => "Arbitrum Sepolia",
        137 => "Polygon",
        80_002 => "Amoy",
        560_048 => "Hoodi",
        31_337 => "Anvil",
        _ => return None,
    })
}

/// Milliseconds between two blocks of a well-known chain; 12,000 for the others.
pub fn block_time_ms(id: u64) -> u64 {
    match id {
        42_161 | 421_614 => 250,
        8_453 | 84_532 | 10 | 11_155_420 | 137 | 80_002 => 2_000,
        31_337 => 1_000,
        _ => 12_000,
    }
}
