//! The attribute keys that mean something, found with one look into a table: most attributes of most spans mean nothing
//! here, and finding that out has to cost nearly nothing.

/// The key of the attribute that names an operation for Datadog.
pub const OPERATION_NAME_KEY: &str = "operation.name";
/// The key of the attribute that asks the Datadog agent for statistics of a span.
pub const MEASURED_KEY: &str = "_dd.measured";

macro_rules! keys {
    ($($variant:ident = $key:expr,)*) => {
        /// A known attribute key.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum AttributeKey { $($variant,)* }

        impl AttributeKey {
            pub(super) const ALL: &'static [Self] = &[$(Self::$variant,)*];
            const NAMES: &'static [&'static [u8]] = &[$($key,)*];
        }
    };
}

keys! {
    Operation = b"avs.operation",
    Outcome = b"avs.outcome",
    QuorumFailureReason = b"avs.quorum.failure.reason",
    TxFailureReason = b"evm.tx.failure.reason",
    ErrorType = b"error.type",
    RpcResponseStatusCode = b"rpc.response.status_code",
    RpcJsonrpcErrorCode = b"rpc.jsonrpc.error_code",
    WebhookStatusClass = b"webhook.status_class",
    HttpResponseStatusCode = b"http.response.status_code",
    AttemptCount = b"avs.attempt.count",
    Threshold = b"avs.quorum.threshold",
    SignedStakeRatio = b"avs.quorum.signed_stake_ratio",
    SignedStake = b"avs.quorum.signed_stake",
    TotalStake = b"avs.quorum.total_stake",
    TimeToThreshold = b"avs.quorum.time_to_threshold",
    OperatorsTotal = b"avs.operators.total",
    OperatorsSigned = b"avs.operators.signed",
    OperatorsRejected = b"avs.operators.rejected",
    TxExhausted = b"evm.tx.exhausted",
    NoncePending = b"evm.tx.nonce_pending",
    NonceLatest = b"evm.tx.nonce_latest",
    SignerAlias = b"evm.signer.alias",
    ConfirmationDuration = b"evm.tx.confirmation.duration",
    QueueDuration = b"evm.tx.queue.duration",
    BatchSize = b"evm.tx.batch.size",
    BatchFailed = b"evm.tx.batch.failed",
    WebhookExhausted = b"webhook.exhausted",
    BreakerState = b"circuit_breaker.state",
    BreakerTarget = b"circuit_breaker.target",
    OperationName = OPERATION_NAME_KEY.as_bytes(),
    DatadogMeasured = MEASURED_KEY.as_bytes(),
}

const SHORTEST: usize = 10;
const LONGEST: usize = 29;
const SLOTS: usize = 128;
const NOBODY: u8 = u8::MAX;

/// Length, third byte and third byte from the end tell all known keys apart.
#[inline]
const fn slot(key: &[u8]) -> usize {
    (key.len() + key[2] as usize + key[key.len() - 3] as usize * 29) % SLOTS
}

const TABLE: [u8; SLOTS] = {
    let mut table = [NOBODY; SLOTS];
    let mut at = 0;
    while at < AttributeKey::NAMES.len() {
        let name = AttributeKey::NAMES[at];
        assert!(name.len() >= SHORTEST && name.len() <= LONGEST, "a key is outside the lengths that are looked at");
        let slot = slot(name);
        assert!(table[slot] == NOBODY, "two keys share a slot: choose another formula in `slot`");
        table[slot] = at as u8;
        at += 1;
    }
    table
};

const _: () = assert!(AttributeKey::ALL.len() <= 32, "the facts of a span are marked in 32 bits");

impl AttributeKey {
    /// The known key `key`.
    #[inline]
    pub(super) fn find(key: &[u8]) -> Option<Self> {
        if !(SHORTEST..=LONGEST).contains(&key.len()) {
            return None;
        }
        let at = TABLE[slot(key)];
        if at == NOBODY || Self::NAMES[usize::from(at)] != key { None } else { Some(Self::ALL[usize::from(at)]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each key finds itself; a key that differs in one byte, or is longer or shorter, finds nothing.
    #[test]
    fn keys_are_found_whole() {
        for (&key, &name) in AttributeKey::ALL.iter().zip(AttributeKey::NAMES) {
            assert_eq!(AttributeKey::find(name), Some(key));
            for at in 0..name.len() {
                let mut other = name.to_vec();
                other[at] ^= 0x20;
                assert_eq!(AttributeKey::find(&other), None, "{}", String::from_utf8_lossy(&other));
            }
            assert_eq!(AttributeKey::find(&name[1..]), None);
            assert_eq!(AttributeKey::find(&[name, b"s"].concat()), None);
        }
        for other in ["", "a", "ab", "http.method", "avs.task.id", "avs.quorum.non_signers"] {
            assert_eq!(AttributeKey::find(other.as_bytes()), None, "{other}");
        }
    }
}
