//! The reason tables of the specification's section 4, row by row, written down here a second time.

use chainspan::gateway::{FailureReason, OTHER, QuorumClass, QuorumReason, Text, TxReason, WebhookStatus};
use proptest::prelude::*;

/// Label, class, texts.
const QUORUM: [(&str, &str, &[&str]); 14] = [
    (
        "quorum_not_reached",
        "quorum",
        &["QuorumNotReached", "Quorum not reached", "InsufficientQuorumStake", "insufficient stake"],
    ),
    (
        "task_expired",
        "quorum",
        &["task expired error", "task 7 expired", "task 1234567 expired", "Task timeout", "TaskExpired"],
    ),
    ("no_responses", "quorum", &["NoResponses", "no signatures collected", "no_signatures"]),
    (
        "insufficient_operators",
        "quorum",
        &["InsufficientQuorum", "No operators available", "operatorAddresses must not be empty"],
    ),
    (
        "digest_mismatch",
        "quorum",
        &["DigestMismatch", "no signatures for winning digest", "CertificateMessageHashMismatch"],
    ),
    ("tolerance_exceeded", "quorum", &["ToleranceExceeded"]),
    (
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
    (
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
    ("operator_error", "policy", &["PolicyEvaluationError", "DataProviderError", "-32615", "-32616", "-32620"]),
    ("registry_error", "infra", &["Avs Registry Error", "failed to get operators state", "check signatures indices"]),
    (
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
    (
        "task_conflict",
        "infra",
        &[
            "duplicate task index error",
            "already initialized",
            "task not found error",
            "not initialized or already completed",
        ],
    ),
    ("channel_error", "infra", &["error sending to", "error receiving from service", "signatures channel was closed"]),
    ("internal_error", "infra", &["invalid g1 point", "invalid g2 point", "witness construction failed"]),
];

/// Label and the texts that the specification gives word by word.
const TX: [(&str, &[&str]); 22] = [
    ("nonce_too_low", &["nonce too low", "nonce is too low"]),
    ("nonce_too_high", &["nonce too high", "nonce too far in the future", "exceeds next nonce"]),
    ("underpriced", &["transaction underpriced", "max fee per gas less than block base fee"]),
    ("replacement_underpriced", &["replacement transaction underpriced"]),
    ("insufficient_funds", &["insufficient funds"]),
    ("gas_estimation_failed", &[]),
    ("out_of_gas", &["intrinsic gas too low", "exceeds block gas limit"]),
    ("reverted", &["execution reverted"]),
    ("batch_partial_failure", &["BatchPartialFailure"]),
    ("deadline_missed", &["TaskCreatedBlockTooOld", "TaskResponseTooLate"]),
    ("not_authorized", &["OnlyTaskGenerator", "Unauthorized", "CurrentlyPaused"]),
    ("quorum_rejected", &[]),
    ("receipt_timeout", &["transaction was not confirmed within the timeout"]),
    ("dropped_or_replaced", &[]),
    ("rpc_rate_limited", &[]),
    ("rpc_timeout", &[]),
    ("rpc_unavailable", &[]),
    ("rpc_error", &[]),
    ("signer_error", &[]),
    ("circuit_open", &[]),
    ("already_known", &["already known", "known transaction"]),
    ("duplicate_onchain", &["TaskAlreadyExists", "TaskAlreadyResponded"]),
];

/// Upper and lower case, alone and inside a longer text.
fn disguises(text: &str) -> [String; 4] {
    [
        text.to_owned(),
        text.to_uppercase(),
        format!("failed after 3 attempts: {}; giving up", text.to_lowercase()),
        format!("Err({text})"),
    ]
}

/// Each text of each row of the quorum table means its reason, and the reason has its class.
#[test]
fn each_quorum_text_means_its_reason() {
    assert_eq!(QuorumReason::ALL.len(), QUORUM.len());
    for (label, class, texts) in QUORUM {
        let reason = QuorumReason::from_label(label.as_bytes()).expect("each label of the table is known");
        assert_eq!((reason.label(), reason.class().label()), (label, class));
        for text in texts.iter().copied().flat_map(disguises) {
            assert_eq!(QuorumReason::from_text(text.as_bytes(), |_| true), Some(reason), "{text}");
        }
    }
}

/// Each text of the specification for transactions means its reason.
#[test]
fn each_tx_text_means_its_reason() {
    assert_eq!(TxReason::ALL.len(), TX.len());
    for (label, texts) in TX {
        let reason = TxReason::from_label(label.as_bytes()).expect("each label of the table is known");
        assert_eq!(reason.label(), label);
        assert_eq!(reason.is_success(), ["already_known", "duplicate_onchain"].contains(&label), "{label}");
        for text in texts.iter().copied().flat_map(disguises) {
            assert_eq!(TxReason::from_text(text.as_bytes(), |_| true), Some(reason), "{text}");
        }
    }
}

/// No row of the code's own tables is swallowed by another, and labels are unique, lower-case and closed.
#[test]
fn each_text_of_the_code_means_its_own_row() {
    fn check<R: Copy + PartialEq + std::fmt::Debug>(
        all: &[R],
        texts: impl Fn(R) -> &'static [Text],
        label: impl Fn(R) -> &'static str,
        from_text: impl Fn(&[u8]) -> Option<R>,
        from_label: impl Fn(&[u8]) -> Option<R>,
    ) {
        for &reason in all {
            assert_eq!(from_label(label(reason).as_bytes()), Some(reason));
            assert_eq!(from_label(label(reason).to_uppercase().as_bytes()), Some(reason));
            for text in texts(reason) {
                let text = match text {
                    Text::Part(text) | Text::Word(text) | Text::Wrapper(text) => text.replace("<n>", "12"),
                    Text::Code(code) => code.to_string(),
                };
                for text in disguises(&text) {
                    assert_eq!(from_text(text.as_bytes()), Some(reason), "{text}");
                }
            }
        }
        assert_eq!(from_label(b"no_such_reason"), None);
        assert_eq!(from_text(b""), None);
        assert_eq!(from_text(b"all is well"), None);
    }
    check(
        QuorumReason::ALL,
        QuorumReason::texts,
        QuorumReason::label,
        |text| QuorumReason::from_text(text, |_| true),
        QuorumReason::from_label,
    );
    check(
        TxReason::ALL,
        TxReason::texts,
        TxReason::label,
        |text| TxReason::from_text(text, |_| true),
        TxReason::from_label,
    );
    check(
        WebhookStatus::ALL,
        WebhookStatus::texts,
        WebhookStatus::label,
        |text| WebhookStatus::from_text(text, |_| true),
        WebhookStatus::from_label,
    );
}

/// The longest text wins, wherever it stands; the table's order breaks ties.
#[test]
fn the_longest_text_wins() {
    let cases = [
        ("InsufficientQuorum", "insufficient_operators"),
        ("InsufficientQuorumStake", "quorum_not_reached"),
        ("InsufficientQuorum, then InsufficientQuorumStake", "quorum_not_reached"),
        ("NoResponses, then no signatures collected: incorrect signature", "no_responses"),
        ("no_signatures and RootDisabled", "no_responses"),
        // Same length: the earlier row.
        ("invalid g2 point or QuorumNotReached", "quorum_not_reached"),
        ("QuorumNotReached or invalid g2 point", "quorum_not_reached"),
    ];
    for (text, label) in cases {
        assert_eq!(QuorumReason::from_text(text.as_bytes(), |_| true).map(QuorumReason::label), Some(label), "{text}");
    }
}

/// `<n>` is one digit or more, and nothing else.
#[test]
fn a_number_stands_where_the_table_says_so() {
    for text in ["task 1 expired", "xtask 00042 EXPIRED!", "task task 5 expired"] {
        assert_eq!(QuorumReason::from_text(text.as_bytes(), |_| true), Some(QuorumReason::TaskExpired), "{text}");
    }
    for text in ["task  expired", "task x expired", "task 5expired", "task -5 expired", "task 5", "task 5 expire"] {
        assert_eq!(QuorumReason::from_text(text.as_bytes(), |_| true), None, "{text}");
    }
}

/// A JSON-RPC code counts as a whole number only.
#[test]
fn codes_are_whole_numbers() {
    for text in ["-32615", "code -32616:", "code=-32620,", "(-32615)"] {
        assert_eq!(QuorumReason::from_text(text.as_bytes(), |_| true), Some(QuorumReason::OperatorError), "{text}");
    }
    for text in ["-326150", "32615", "-3261", "1-32615"] {
        assert_eq!(QuorumReason::from_text(text.as_bytes(), |_| true), None, "{text}");
    }
    assert_eq!(QuorumReason::from_code(-32616), Some(QuorumReason::OperatorError));
    assert_eq!(QuorumReason::from_code(-32000), None);
    assert_eq!(TxReason::from_code(-32005), Some(TxReason::RpcRateLimited));
}

/// What nodes and libraries really print, with the error proper wrapped in others.
#[test]
fn real_errors_are_understood() {
    let cases = [
        (
            "server returned an error response: error code -32000: nonce too low: next nonce 12, tx nonce 11",
            "nonce_too_low",
        ),
        (
            "server returned an error response: error code 3: execution reverted: custom error 0x82b42900: Unauthorized()",
            "not_authorized",
        ),
        ("execution reverted: TaskAlreadyExists", "duplicate_onchain"),
        ("execution reverted: OnlyTaskGenerator", "not_authorized"),
        ("execution reverted", "reverted"),
        ("server returned an error response: error code 3: execution reverted", "reverted"),
        ("server returned an error response: error code -32603: oops", "rpc_error"),
        ("failed to estimate gas: execution reverted", "gas_estimation_failed"),
        ("replacement transaction underpriced", "replacement_underpriced"),
        ("HTTP error 429 with body: slow down", "rpc_rate_limited"),
        ("HTTP error 503 with body: Service Unavailable", "rpc_unavailable"),
        ("error sending request for url (http://rpc.example): operation timed out", "rpc_timeout"),
        ("error sending request for url (http://rpc.example)", "rpc_unavailable"),
        ("error sending request: tcp connect error: Connection refused (os error 111)", "rpc_unavailable"),
        ("known transaction: 0xabc", "already_known"),
        ("already known", "already_known"),
        (
            "Execution reverted: BLSSignatureChecker: Signatories do not own at least threshold percentage of a quorum",
            "quorum_rejected",
        ),
    ];
    for (text, label) in cases {
        assert_eq!(TxReason::from_text(text.as_bytes(), |_| true).map(TxReason::label), Some(label), "{text}");
    }
    assert_eq!(TxReason::from_text(b"unknown transaction", |_| true), None);
    assert_eq!(TxReason::from_text(b"Unknown Transaction; nonce too low", |_| true), Some(TxReason::NonceTooLow));
}

/// After "Max retries exceeded" only the rest counts.
#[test]
fn retries_are_unwrapped() {
    let cases = [
        ("Max retries exceeded nonce too low", Some("nonce_too_low")),
        ("max retries exceeded HTTP error 429", Some("rpc_rate_limited")),
        ("replacement transaction underpriced: Max retries exceeded nonce too low", Some("nonce_too_low")),
        ("nonce too low: Max retries exceeded no idea", None),
        ("Max retries exceeded", None),
        ("Max retries exceeded Max retries exceeded insufficient funds", Some("insufficient_funds")),
    ];
    for (text, label) in cases {
        assert_eq!(TxReason::from_text(text.as_bytes(), |_| true).map(TxReason::label), label, "{text}");
    }
}

/// A failure that no table knows keeps a label and a class of its own, and never counts as a missed quorum.
#[test]
fn the_unknown_stays_visible() {
    assert_eq!(FailureReason::Other.label(), OTHER);
    assert_eq!(OTHER, "_OTHER");
    assert_eq!(FailureReason::Other.quorum_class(), QuorumClass::Other);
    assert_eq!(QuorumClass::Other.label(), "_OTHER");
    for &reason in QuorumReason::ALL {
        assert_eq!(FailureReason::Quorum(reason).quorum_class(), reason.class());
    }
}

/// The same search without an automaton: every text at every position.
fn oracle(text: &str) -> Option<QuorumReason> {
    let lower = text.to_ascii_lowercase();
    let mut best: Option<(usize, QuorumReason)> = None;
    for &reason in QuorumReason::ALL {
        for needle in reason.texts() {
            let Text::Part(needle) = needle else { continue };
            if !needle.contains("<n>")
                && lower.contains(&needle.to_ascii_lowercase())
                && best.is_none_or(|(len, _)| needle.len() > len)
            {
                best = Some((needle.len(), reason));
            }
        }
    }
    best.map(|(_, reason)| reason)
}

proptest! {
    /// Texts put together from pieces of the table: the automaton finds what the slow search finds.
    #[test]
    fn the_automaton_agrees_with_a_slow_search(pieces in proptest::collection::vec(prop_oneof![
        Just("InsufficientQuorum".to_owned()), Just("Stake".to_owned()), Just("no signatures ".to_owned()),
        Just("collected".to_owned()), Just("for winning digest".to_owned()), Just("operator ".to_owned()),
        Just("not found".to_owned()), Just("public key ".to_owned()), Just("invalid g1 point".to_owned()),
        Just("certificate expired".to_owned()), Just("already ".to_owned()), Just("initialized".to_owned()),
        Just("not initialized or ".to_owned()), Just("completed".to_owned()), "[a-zA-Z ]{0,6}",
    ], 0..8)) {
        let text = pieces.concat();
        prop_assert_eq!(QuorumReason::from_text(text.as_bytes(), |_| true), oracle(&text), "{}", text);
        prop_assert_eq!(QuorumReason::from_text(text.to_uppercase().as_bytes(), |_| true), oracle(&text), "{}", text);
    }

    /// Bytes that are no text never panic.
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = (QuorumReason::from_text(&bytes, |_| true), TxReason::from_text(&bytes, |_| true), WebhookStatus::from_text(&bytes, |_| true));
        let _ = (QuorumReason::from_label(&bytes), TxReason::from_label(&bytes), WebhookStatus::from_label(&bytes));
    }
}
