//! Why a transaction is not confirmed.
//!
//! The specification gives some texts word by word; the others are what geth and its relatives, alloy, reqwest and the
//! common RPC providers print.

use super::Text::{Code, Part, Word, Wrapper};
use super::family::family;

/// What a transaction's reason counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TxClass {
    /// The transaction was not confirmed.
    Failure,
    /// Its work had been done already: a success, outcome `duplicate`.
    Duplicate,
}

family! {
    /// Why a `tx_submission` failed (`evm.tx.failure.reason`), and the two reasons that make it a success.
    TxReason, class TxClass, restart &["Max retries exceeded"];

    /// The nonce was used already.
    NonceTooLow = "nonce_too_low", TxClass::Failure, [Part("nonce too low"), Part("nonce is too low")];
    /// The nonce leaves a gap.
    NonceTooHigh = "nonce_too_high", TxClass::Failure,
        [Part("nonce too high"), Part("nonce is too high"), Part("nonce too far in the future"), Part("exceeds next nonce")];
    /// The fee is too low to be accepted.
    Underpriced = "underpriced", TxClass::Failure,
        [Part("transaction underpriced"), Part("max fee per gas less than block base fee"),
         Part("fee cap less than block base fee")];
    /// The fee is too low to take the place of the transaction with the same nonce.
    ReplacementUnderpriced = "replacement_underpriced", TxClass::Failure, [Part("replacement transaction underpriced")];
    /// The signer cannot pay.
    InsufficientFunds = "insufficient_funds", TxClass::Failure, [Part("insufficient funds")];
    /// The node could not say how much gas it takes.
    GasEstimationFailed = "gas_estimation_failed", TxClass::Failure,
        [Part("gas required exceeds allowance"), Wrapper("failed to estimate gas"), Wrapper("cannot estimate gas"),
         Wrapper("gas estimation failed")];
    /// It needs more gas than it was given, or than a block holds.
    OutOfGas = "out_of_gas", TxClass::Failure,
        [Part("intrinsic gas too low"), Part("exceeds block gas limit"), Part("out of gas")];
    /// The contract reverted it.
    Reverted = "reverted", TxClass::Failure, [Wrapper("execution reverted"), Wrapper("transaction reverted")];
    /// Some items of a batch failed.
    BatchPartialFailure = "batch_partial_failure", TxClass::Failure, [Part("BatchPartialFailure")];
    /// Too late: the contract no longer accepts the answer.
    DeadlineMissed = "deadline_missed", TxClass::Failure, [Part("TaskCreatedBlockTooOld"), Part("TaskResponseTooLate")];
    /// The contract does not accept it from this signer, or is paused.
    NotAuthorized = "not_authorized", TxClass::Failure,
        [Part("OnlyTaskGenerator"), Part("Unauthorized"), Part("CurrentlyPaused")];
    /// The contract does not accept the quorum's certificate.
    QuorumRejected = "quorum_rejected", TxClass::Failure,
        [Part("InsufficientQuorumStake"), Part("InsufficientQuorum"), Part("QuorumNotReached"), Part("CertificateStale"),
         Part("CertificateMessageHashMismatch"), Part("InvalidBLSSignature"), Part("threshold percentage of a quorum")];
    /// It was sent, and no receipt came in time.
    ReceiptTimeout = "receipt_timeout", TxClass::Failure,
        [Part("transaction was not confirmed within the timeout"), Part("timed out waiting for receipt"),
         Part("timeout waiting for receipt")];
    /// It left the mempool without a receipt.
    DroppedOrReplaced = "dropped_or_replaced", TxClass::Failure,
        [Part("transaction was replaced"), Part("transaction was dropped"), Part("transaction dropped"),
         Part("dropped from mempool"), Part("dropped from the mempool")];
    /// The RPC provider asks for fewer requests.
    RpcRateLimited = "rpc_rate_limited", TxClass::Failure,
        [Part("too many requests"), Part("HTTP error 429"), Part("status code 429"), Part("rate limit"), Part("rate-limit"),
         Part("compute units per second"), Part("daily request count exceeded"), Code(-32005)];
    /// The RPC provider did not answer in time.
    RpcTimeout = "rpc_timeout", TxClass::Failure,
        [Part("request timed out"), Part("operation timed out"), Part("connection timed out"), Part("deadline exceeded"),
         Part("deadline has elapsed"), Part("gateway timeout"), Part("HTTP error 504")];
    /// The RPC provider cannot be reached.
    RpcUnavailable = "rpc_unavailable", TxClass::Failure,
        [Part("connection refused"), Part("connection reset"), Part("connection closed"), Part("dns error"),
         Part("bad gateway"), Part("service unavailable"), Part("HTTP error 502"), Part("HTTP error 503"),
         Part("backend connection task has stopped"), Wrapper("error sending request")];
    /// The RPC provider answered with an error that nothing else here explains.
    RpcError = "rpc_error", TxClass::Failure,
        [Part("header not found"), Part("missing trie node"), Wrapper("server returned an error response"),
         Wrapper("json-rpc error"), Wrapper("rpc error")];
    /// It could not be signed.
    SignerError = "signer_error", TxClass::Failure,
        [Part("signer error"), Part("failed to sign"), Part("signing failed"), Part("missing signing credential")];
    /// The gateway's own breaker for the chain was open.
    CircuitOpen = "circuit_open", TxClass::Failure,
        [Part("circuit breaker is open"), Part("circuit breaker open"), Part("circuit open")];
    /// The node already has it.
    AlreadyKnown = "already_known", TxClass::Duplicate, [Part("already known"), Word("known transaction")];
    /// The chain already has its result.
    DuplicateOnchain = "duplicate_onchain", TxClass::Duplicate, [Part("TaskAlreadyExists"), Part("TaskAlreadyResponded")];
}

impl TxReason {
    /// Whether the operation succeeded all the same, with the outcome `duplicate`.
    pub fn is_success(self) -> bool {
        self.class() == TxClass::Duplicate
    }
}
