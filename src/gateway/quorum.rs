//! Why a quorum fails to sign.

use super::Text::{Code, Part};
use super::family::family;
use super::label::OTHER;

/// Whose failure it is. The quorum failure rate is class `quorum` over all aggregations; the others have other owners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum QuorumClass {
    /// Not enough stake signed the same answer in time.
    Quorum,
    /// An operator's signature or identity was wrong.
    Signature,
    /// Operators could not evaluate the policy.
    Policy,
    /// Registries, tables, channels: ours or the RPC provider's.
    Infra,
    /// No table knows the reason (`_OTHER`).
    Other,
}

impl QuorumClass {
    /// The metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Quorum => "quorum",
            Self::Signature => "signature",
            Self::Policy => "policy",
            Self::Infra => "infra",
            Self::Other => OTHER,
        }
    }
}

family! {
    /// Why a `bls_aggregation` failed (`avs.quorum.failure.reason`).
    QuorumReason, class QuorumClass, restart &[];

    /// Stake signed, but less than the threshold.
    QuorumNotReached = "quorum_not_reached", QuorumClass::Quorum,
        [Part("QuorumNotReached"), Part("Quorum not reached"), Part("InsufficientQuorumStake"), Part("insufficient stake")];
    /// The task's time was up. Refined by the signed stake, see [`QuorumReason::refined`].
    TaskExpired = "task_expired", QuorumClass::Quorum,
        [Part("task expired error"), Part("task <n> expired"), Part("Task timeout"), Part("TaskExpired")];
    /// Nobody signed.
    NoResponses = "no_responses", QuorumClass::Quorum,
        [Part("NoResponses"), Part("no signatures collected"), Part("no_signatures")];
    /// There are too few operators to reach the quorum at all.
    InsufficientOperators = "insufficient_operators", QuorumClass::Quorum,
        [Part("InsufficientQuorum"), Part("No operators available"), Part("operatorAddresses must not be empty")];
    /// Operators signed different answers.
    DigestMismatch = "digest_mismatch", QuorumClass::Quorum,
        [Part("DigestMismatch"), Part("no signatures for winning digest"), Part("CertificateMessageHashMismatch")];
    /// Their answers lie too far apart.
    ToleranceExceeded = "tolerance_exceeded", QuorumClass::Quorum,
        [Part("ToleranceExceeded")];
    /// A signature does not verify.
    InvalidSignature = "invalid_signature", QuorumClass::Signature,
        [Part("incorrect signature"), Part("InvalidSignature"), Part("signature verification error"),
         Part("SignatureVerificationFailed"), Part("InvalidBLSSignature"), Part("InvalidBLSPairingKey")];
    /// The signer is no operator of this task.
    UnknownOperator = "unknown_operator", QuorumClass::Signature,
        [Part("operator not found"), Part("operator public key not found"), Part("not part of task"),
         Part("OperatorNotRegistered"), Part("OperatorNotWhitelisted")];
    /// Operators answered with an error of their own.
    OperatorError = "operator_error", QuorumClass::Policy,
        [Part("PolicyEvaluationError"), Part("DataProviderError"), Code(-32615), Code(-32616), Code(-32620)];
    /// The AVS registries could not be read.
    RegistryError = "registry_error", QuorumClass::Infra,
        [Part("Avs Registry Error"), Part("failed to get operators state"), Part("check signatures indices")];
    /// The operator table that the certificate refers to is out of date.
    StaleOperatorTable = "stale_operator_table", QuorumClass::Infra,
        [Part("CertificateStale"), Part("ReferenceTimestampDoesNotExist"), Part("RootDisabled"),
         Part("InvalidOperatorIndex"), Part("certificate expired"), Part("merkle proof invalid")];
    /// The aggregator knows the task already, or not any more.
    TaskConflict = "task_conflict", QuorumClass::Infra,
        [Part("duplicate task index error"), Part("already initialized"), Part("task not found error"),
         Part("not initialized or already completed")];
    /// A channel inside the gateway was closed.
    ChannelError = "channel_error", QuorumClass::Infra,
        [Part("error sending to"), Part("error receiving from service"), Part("signatures channel was closed")];
    /// The aggregation itself went wrong.
    InternalError = "internal_error", QuorumClass::Infra,
        [Part("invalid g1 point"), Part("invalid g2 point"), Part("witness construction failed")];
}

impl QuorumReason {
    /// A task that expired, by the share of the stake that had signed until then: nothing means that nobody answered;
    /// less than the threshold means that the quorum was not reached. Without a threshold only nothing says something.
    /// Other reasons, and an unknown share, stay.
    pub fn refined(self, signed_stake_ratio: Option<f64>, threshold: Option<f64>) -> Self {
        match (self, signed_stake_ratio, threshold) {
            (Self::TaskExpired, Some(0.0), _) => Self::NoResponses,
            (Self::TaskExpired, Some(ratio), Some(threshold)) if ratio < threshold => Self::QuorumNotReached,
            _ => self,
        }
    }
}
