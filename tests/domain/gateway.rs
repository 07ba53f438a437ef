//! What spans mean, as the specification's sections 1 and 3 to 5 have it: operations, outcomes, precedence, figures.

use std::collections::BTreeSet;

use chainspan::gateway::{
    Detail, Facts, FailureReason, GatewayBreaker, Hints, Measured, Names, Operation, Outcome, OutcomeClass,
    QuorumReason, TxReason, WebhookStatus, measure, operation_of,
};
use chainspan::otlp::{Container, SpanHead, SpanPlace, Value};
use proptest::prelude::*;

use Operation::{BlsAggregation, Task, TaskBroadcast, TxSubmission, WebhookDelivery};

const UNSET: i32 = 0;
const OK: i32 = 1;
const ERROR: i32 = 2;

/// A span to be classified.
#[derive(Clone, Default)]
struct Span<'a> {
    name: &'a str,
    attributes: Vec<(&'a str, Value<'a>)>,
    messages: Vec<&'a str>,
    status: i32,
    description: &'a str,
}

impl<'a> Span<'a> {
    fn of(operation: Operation) -> Self {
        Self::default().with("avs.operation", Value::Str(operation.label().as_bytes()))
    }

    fn named(name: &'a str) -> Self {
        Self { name, ..Self::default() }
    }

    fn with(mut self, key: &'a str, value: Value<'a>) -> Self {
        self.attributes.push((key, value));
        self
    }

    fn text(self, key: &'a str, value: &'a str) -> Self {
        self.with(key, Value::Str(value.as_bytes()))
    }

    fn status(mut self, status: i32, description: &'a str) -> Self {
        (self.status, self.description) = (status, description);
        self
    }

    fn exception(mut self, message: &'a str) -> Self {
        self.messages.push(message);
        self
    }

    fn facts(&self) -> Facts<'a> {
        let mut facts = Facts::new();
        for &(key, value) in &self.attributes {
            facts.attribute(key.as_bytes(), value);
        }
        for &message in &self.messages {
            facts.event_attribute(b"exception.type", Value::Str(b"Error"));
            facts.event_attribute(b"exception.message", Value::Str(message.as_bytes()));
        }
        facts
    }

    fn classify(&self) -> Option<Measured> {
        let (facts, head) = (self.facts(), self.head());
        operation_of(&facts, &head, &Names::default()).map(|operation| measure(operation, &facts, &head))
    }

    fn measured(&self) -> Measured {
        self.classify().expect("the span is an operation")
    }

    /// Outcome and reason label.
    fn end(&self) -> (OutcomeClass, Option<&'static str>) {
        let measured = self.measured();
        (measured.outcome, measured.reason.map(FailureReason::label))
    }

    fn head(&self) -> SpanHead<'a> {
        let nowhere = Container { length_at: 0, start: 0, end: 0 };
        SpanHead {
            trace_id: &[1; 16],
            span_id: &[1; 8],
            parent_span_id: &[],
            name: self.name.as_bytes(),
            kind: 1,
            start_unix_nano: 0,
            end_unix_nano: 1,
            status_code: self.status,
            status_message: self.description.as_bytes(),
            duplicate_keys: false,
            place: SpanPlace { resource_spans: nowhere, scope_spans: nowhere, span: nowhere },
        }
    }
}

const SUCCESS: (OutcomeClass, Option<&str>) = (OutcomeClass::Success, None);

fn failure(label: &'static str) -> (OutcomeClass, Option<&'static str>) {
    (OutcomeClass::Failure, Some(label))
}

/// `avs.operation` makes an operation of a span with any name; else each name of the table does, in any case.
#[test]
fn operations_come_from_attribute_or_name() {
    for operation in Operation::ALL {
        assert_eq!(Span::of(operation).measured().operation, operation);
        for name in operation.span_names() {
            assert_eq!(Span::named(name).measured().operation, operation, "{name}");
            let upper = name.to_uppercase();
            assert_eq!(Span::named(&upper).measured().operation, operation, "{upper}");
        }
    }
    let both = Span::named("process task").text("avs.operation", "tx_submission");
    assert_eq!(both.measured().operation, TxSubmission);
}

/// Library spans, unknown names and unknown values of `avs.operation` are no operations.
#[test]
fn everything_else_is_no_operation() {
    for name in ["", "handle_new_signature", "verify_signature", "build_aggregated_response", "process task!", "GET /"]
    {
        assert_eq!(Span::named(name).classify(), None, "{name}");
    }
    assert_eq!(Span::named("process task").text("avs.operation", "reticulate").classify(), None);
    assert!(Span::named("process task").text("avs.operation", " ").classify().is_some());
}

/// Section 3's table: each outcome counts as its column on its operations, and is ignored on the others.
#[test]
fn each_outcome_counts_as_its_column() {
    use OutcomeClass::{Cancelled, Failure, Success};
    let table: [(Operation, &[(&str, OutcomeClass)]); 5] = [
        (
            Task,
            &[
                ("allow", Success),
                ("deny", Success),
                ("duplicate", Success),
                ("failed", Failure),
                ("timeout", Failure),
                ("cancelled", Cancelled),
            ],
        ),
        (TaskBroadcast, &[("sent", Success), ("failed", Failure), ("cancelled", Cancelled)]),
        (BlsAggregation, &[("reached", Success), ("failed", Failure), ("cancelled", Cancelled)]),
        (
            TxSubmission,
            &[
                ("confirmed", Success),
                ("duplicate", Success),
                ("partial", Success),
                ("failed", Failure),
                ("cancelled", Cancelled),
            ],
        ),
        (WebhookDelivery, &[("delivered", Success), ("failed", Failure), ("disabled", Cancelled)]),
    ];
    let labels: BTreeSet<&str> =
        table.iter().flat_map(|(_, outcomes)| outcomes.iter().map(|(label, _)| *label)).collect();
    for (operation, outcomes) in table {
        for label in &labels {
            let expected = outcomes.iter().find(|(known, _)| known == label).map(|&(_, class)| class);
            let outcome = Outcome::from_label(label.as_bytes()).expect("known");
            assert_eq!(outcome.class(operation), expected, "{label} on {}", operation.label());
            // An outcome of another operation says nothing; then the status speaks: an error.
            let measured = Span::of(operation).text("avs.outcome", label).status(ERROR, "").measured();
            assert_eq!(measured.outcome, expected.unwrap_or(Failure), "{label} on {}", operation.label());
            assert_eq!(measured.reason.is_some(), measured.outcome == Failure);
        }
    }
}

/// A policy "deny" is a success even when a log line has marked the span as an error; the conflict is counted.
#[test]
fn deny_is_a_success() {
    let denied = Span::of(Task).text("avs.outcome", "deny").status(ERROR, "policy denied").measured();
    assert_eq!((denied.outcome, denied.reason, denied.status_conflict), (OutcomeClass::Success, None, true));
}

/// A conflict is a success by attribute with status ERROR, or a failure by attribute with status OK, and nothing else.
#[test]
fn conflicts_are_counted_where_attribute_and_status_disagree() {
    let cases = [
        ("reached", UNSET, false),
        ("reached", OK, false),
        ("reached", ERROR, true),
        ("failed", UNSET, false),
        ("failed", OK, true),
        ("failed", ERROR, false),
        ("cancelled", UNSET, false),
        ("cancelled", OK, false),
        ("cancelled", ERROR, false),
    ];
    for (outcome, status, conflict) in cases {
        let span = Span::of(BlsAggregation).text("avs.outcome", outcome).status(status, "");
        assert_eq!(span.measured().status_conflict, conflict, "{outcome} with status {status}");
    }
    let typed = Span::of(TxSubmission).text("evm.tx.failure.reason", "reverted").status(OK, "");
    assert!(typed.measured().status_conflict);
    let duplicate = Span::of(TxSubmission).text("evm.tx.failure.reason", "already_known").status(ERROR, "");
    assert!(duplicate.measured().status_conflict);
    // A text is no attribute, and a status cannot contradict itself.
    assert!(!Span::of(TxSubmission).exception("nonce too low").status(OK, "").measured().status_conflict);
    assert!(!Span::of(TxSubmission).status(ERROR, "").measured().status_conflict);
}

/// The order of what decides: outcome, typed reason, text, status.
#[test]
fn the_first_that_speaks_decides() {
    let reached = Span::of(BlsAggregation).text("avs.outcome", "reached").text("error.type", "task_expired");
    assert_eq!(reached.status(ERROR, "Quorum not reached").end(), SUCCESS);

    let typed = Span::of(BlsAggregation).text("avs.quorum.failure.reason", "digest_mismatch").status(OK, "");
    assert_eq!(typed.exception("Quorum not reached").end(), failure("digest_mismatch"));

    let described = Span::of(BlsAggregation).status(UNSET, "aggregation: Quorum not reached");
    assert_eq!(described.end(), failure("quorum_not_reached"));
    assert_eq!(Span::of(BlsAggregation).exception("NoResponses").end(), failure("no_responses"));

    assert_eq!(Span::of(BlsAggregation).status(ERROR, "").end(), failure("_OTHER"));
    assert_eq!(Span::of(BlsAggregation).status(ERROR, "the dog ate it").end(), failure("_OTHER"));
    assert_eq!(Span::of(BlsAggregation).status(OK, "").end(), SUCCESS);
    assert_eq!(Span::of(BlsAggregation).status(UNSET, "").exception("the dog ate it").end(), SUCCESS);
    // An outcome that no operation has says nothing.
    assert_eq!(Span::of(BlsAggregation).text("avs.outcome", "splendid").status(ERROR, "").end(), failure("_OTHER"));
    assert_eq!(Span::of(BlsAggregation).text("avs.outcome", "Reached").status(ERROR, "").end(), SUCCESS);
}

/// The typed attribute wins over the text; `error.type` stands in where it is missing; an unknown value stays visible.
#[test]
fn typed_reasons_win() {
    let both =
        Span::of(BlsAggregation).text("error.type", "task_expired").text("avs.quorum.failure.reason", "no_responses");
    assert_eq!(both.end(), failure("no_responses"));
    assert_eq!(Span::of(BlsAggregation).text("error.type", "TASK_EXPIRED").end(), failure("task_expired"));
    assert_eq!(Span::of(BlsAggregation).text("error.type", "QuorumNotReached").end(), failure("quorum_not_reached"));
    let new = Span::of(BlsAggregation).text("avs.quorum.failure.reason", "moon_phase");
    assert_eq!(new.clone().end(), failure("_OTHER"));
    assert_eq!(new.status(ERROR, "Quorum not reached").end(), failure("_OTHER"));
    // `error.type` is often just the type of an error: what it leaves open, the text may say.
    let generic = Span::of(BlsAggregation).text("error.type", "eyre::Report");
    assert_eq!(generic.clone().end(), failure("_OTHER"));
    assert_eq!(generic.status(ERROR, "Quorum not reached").end(), failure("quorum_not_reached"));
    // A value that is no string is no reason, but it is there.
    assert_eq!(Span::of(BlsAggregation).with("error.type", Value::Int(7)).end(), failure("_OTHER"));
    // Blank and unset attributes are absent.
    assert_eq!(Span::of(BlsAggregation).text("error.type", "").with("error.type", Value::Empty).end(), SUCCESS);
}

/// A failure that only says so finds its reason in the text, the newest exception first.
#[test]
fn a_failed_outcome_finds_its_reason_in_the_text() {
    let failed = || Span::of(TxSubmission).text("avs.outcome", "failed");
    assert_eq!(failed().end(), failure("_OTHER"));
    assert_eq!(failed().status(ERROR, "nonce too low: next 5").end(), failure("nonce_too_low"));
    let retried = failed().exception("nonce too low").exception("insufficient funds for gas");
    assert_eq!(retried.end(), failure("insufficient_funds"));
    let mut noisy = failed();
    for _ in 0..10 {
        noisy = noisy.exception("no idea");
    }
    assert_eq!(noisy.exception("nonce too high").exception("no idea").end(), failure("nonce_too_high"));
}

/// `already known` and its kind are successes by attribute and by text, unless the outcome says that it failed.
#[test]
fn what_was_done_already_is_a_success() {
    for reason in ["already_known", "duplicate_onchain"] {
        assert_eq!(Span::of(TxSubmission).text("evm.tx.failure.reason", reason).status(ERROR, "").end(), SUCCESS);
        assert_eq!(Span::of(TxSubmission).text("error.type", reason).status(ERROR, "").end(), SUCCESS);
    }
    assert_eq!(Span::of(TxSubmission).status(ERROR, "already known").end(), SUCCESS);
    assert_eq!(Span::of(TxSubmission).status(ERROR, "execution reverted: TaskAlreadyExists()").end(), SUCCESS);
    let failed = Span::of(TxSubmission).text("avs.outcome", "failed").status(ERROR, "already known");
    assert_eq!(failed.end(), failure("_OTHER"));
    // A broadcast has no outcome `duplicate`.
    assert_eq!(Span::of(TaskBroadcast).status(ERROR, "already known").end(), failure("_OTHER"));
}

/// An expired task is refined by the stake that had signed, typed or by text; without a threshold only by nothing.
#[test]
fn an_expired_task_is_refined_by_its_stake() {
    let cases: [(Option<f64>, Option<i64>, &str); 8] = [
        (None, None, "task_expired"),
        (None, Some(67), "task_expired"),
        (Some(0.0), None, "no_responses"),
        (Some(0.0), Some(67), "no_responses"),
        (Some(0.5), None, "task_expired"),
        (Some(0.5), Some(67), "quorum_not_reached"),
        (Some(0.67), Some(67), "task_expired"),
        (Some(0.9), Some(67), "task_expired"),
    ];
    for (ratio, threshold, label) in cases {
        let mut base = Span::of(BlsAggregation);
        if let Some(ratio) = ratio {
            base = base.with("avs.quorum.signed_stake_ratio", Value::Double(ratio));
        }
        if let Some(threshold) = threshold {
            base = base.with("avs.quorum.threshold", Value::Int(threshold));
        }
        let expected = failure(label);
        assert_eq!(
            base.clone().text("avs.quorum.failure.reason", "task_expired").end(),
            expected,
            "{ratio:?} {threshold:?}"
        );
        assert_eq!(base.clone().status(ERROR, "task 42 expired").end(), expected, "{ratio:?} {threshold:?}");
        assert_eq!(
            base.text("avs.outcome", "failed").exception("Task timeout").end(),
            expected,
            "{ratio:?} {threshold:?}"
        );
    }
    let other = Span::of(BlsAggregation)
        .text("error.type", "registry_error")
        .with("avs.quorum.signed_stake_ratio", Value::Int(0));
    assert_eq!(other.end(), failure("registry_error"));
}

/// JSON-RPC codes count as attributes of either name, as int or string, and in the text.
#[test]
fn json_rpc_codes_count() {
    for code in [-32615, -32616, -32620] {
        for key in ["rpc.response.status_code", "rpc.jsonrpc.error_code"] {
            let text = code.to_string();
            assert_eq!(Span::of(BlsAggregation).with(key, Value::Int(code)).end(), failure("operator_error"));
            assert_eq!(Span::of(BlsAggregation).text(key, &text).end(), failure("operator_error"));
        }
        let text = format!("server said (code: {code}, no more)");
        assert_eq!(Span::of(BlsAggregation).status(ERROR, &text).end(), failure("operator_error"));
    }
    assert_eq!(Span::of(BlsAggregation).with("rpc.response.status_code", Value::Int(0)).end(), SUCCESS);
    assert_eq!(Span::of(BlsAggregation).with("rpc.response.status_code", Value::Int(-32000)).end(), SUCCESS);
}

/// Tasks and broadcasts ask the quorum's table, then the transactions'; a timeout says so itself.
#[test]
fn tasks_ask_both_tables() {
    for operation in [Task, TaskBroadcast] {
        let cases = [
            ("Quorum not reached", "quorum_not_reached"),
            ("nonce too low", "nonce_too_low"),
            ("nonce too low, Quorum not reached", "quorum_not_reached"),
            ("no idea", "_OTHER"),
        ];
        for (text, label) in cases {
            assert_eq!(Span::of(operation).status(ERROR, text).end(), failure(label), "{text}");
        }
        assert_eq!(Span::of(operation).text("error.type", "timeout").end(), failure("timeout"));
        assert_eq!(Span::of(operation).text("evm.tx.failure.reason", "reverted").end(), failure("reverted"));
    }
    let timeout = Span::of(Task).text("avs.outcome", "timeout");
    assert_eq!(timeout.measured().reason, Some(FailureReason::Timeout));
    assert_eq!(timeout.text("error.type", "task_expired").end(), failure("task_expired"));
}

/// The status class: its own attribute, else the HTTP code, else `error.type`; garbage falls to the next.
#[test]
fn webhooks_have_a_status_class() {
    let class = |span: Span<'_>| span.measured().webhook.map(WebhookStatus::label);
    let span = || Span::of(WebhookDelivery);
    for status in WebhookStatus::ALL {
        assert_eq!(class(span().text("webhook.status_class", status.label())), Some(status.label()));
        assert_eq!(class(span().text("error.type", status.label())), Some(status.label()));
    }
    let codes = [
        (199, None),
        (200, Some("2xx")),
        (204, Some("2xx")),
        (302, Some("3xx")),
        (400, Some("4xx")),
        (410, Some("410")),
        (429, Some("429")),
        (499, Some("4xx")),
        (500, Some("5xx")),
        (599, Some("5xx")),
        (600, None),
        (-1, None),
    ];
    for (code, label) in codes {
        let text = code.to_string();
        assert_eq!(class(span().with("http.response.status_code", Value::Int(code))), label, "{code}");
        assert_eq!(class(span().text("http.response.status_code", &text)), label, "{code}");
        assert_eq!(class(span().text("error.type", &text)), label, "{code}");
        assert_eq!(class(span().with("error.type", Value::Int(code))), label, "{code}");
    }
    let all = span().text("error.type", "timeout").with("http.response.status_code", Value::Int(503));
    assert_eq!(class(all.clone()), Some("5xx"));
    assert_eq!(class(all.clone().text("webhook.status_class", "429")), Some("429"));
    assert_eq!(class(all.text("webhook.status_class", "teapot")), Some("5xx"));
    assert_eq!(class(span()), None);
}

/// A delivery's reason is its status class; a class that failed makes a failure where the outcome is silent.
#[test]
fn webhooks_fail_with_their_class() {
    let span = || Span::of(WebhookDelivery);
    let code = |code| span().with("http.response.status_code", Value::Int(code));
    assert_eq!(code(503).text("avs.outcome", "failed").end(), failure("5xx"));
    assert_eq!(code(410).end(), failure("410"));
    assert_eq!(code(204).end(), SUCCESS);
    assert_eq!(code(204).status(ERROR, "").end(), failure("_OTHER"));
    assert_eq!(code(302).status(ERROR, "").end(), failure("3xx"), "a redirect nobody followed");
    assert_eq!(code(302).end(), SUCCESS, "a redirect alone is no failure");
    assert_eq!(code(503).text("avs.outcome", "delivered").end(), SUCCESS);
    assert_eq!(span().text("error.type", "timeout").end(), failure("timeout"));
    assert_eq!(span().text("error.type", "Strange").end(), failure("_OTHER"));
    assert_eq!(code(204).text("avs.outcome", "failed").text("error.type", "timeout").end(), failure("timeout"));
    let refused = span().status(ERROR, "tcp connect: Connection refused (os error 111)").measured();
    assert_eq!(refused.webhook, Some(WebhookStatus::NetworkError));
    // The errors of earlier attempts say nothing about a delivery that succeeded.
    let retried = span().text("avs.outcome", "delivered").exception("operation timed out").measured();
    assert_eq!((retried.outcome, retried.webhook), (OutcomeClass::Success, None));
}

/// Attempts, threshold and ratio are read from ints, doubles and strings; garbage is absent.
#[test]
fn figures_are_read_from_every_type() {
    for value in [Value::Int(3), Value::Str(b"3"), Value::Double(3.0)] {
        assert_eq!(Span::of(Task).with("avs.attempt.count", value).measured().attempts, Some(3));
    }
    for value in [Value::Int(0), Value::Int(-1), Value::Int(i64::MAX), Value::Str(b"many"), Value::Double(f64::NAN)] {
        assert_eq!(Span::of(Task).with("avs.attempt.count", value).measured().attempts, None, "{value:?}");
    }
    for value in [Value::Int(67), Value::Str(b"67"), Value::Double(67.0)] {
        assert_eq!(Span::of(BlsAggregation).with("avs.quorum.threshold", value).measured().threshold, Some(0.67));
    }
    for value in [Value::Int(101), Value::Int(-1), Value::Double(0.67), Value::Double(f64::INFINITY), Value::Bool(true)]
    {
        assert_eq!(
            Span::of(BlsAggregation).with("avs.quorum.threshold", value).measured().threshold,
            None,
            "{value:?}"
        );
    }
}

/// The share of the stake comes from its own attribute, else from the two amounts, up to uint256.
#[test]
fn the_stake_ratio_has_two_sources() {
    let ratio = |span: Span<'_>| span.measured().signed_stake_ratio;
    let span = || Span::of(BlsAggregation);
    let largest = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
    let half = "57896044618658097711785492504343953926634992332820282019728792003956564819967";
    assert_eq!(ratio(span().text("avs.quorum.signed_stake", half).text("avs.quorum.total_stake", largest)), Some(0.5));
    assert_eq!(
        ratio(span().text("avs.quorum.signed_stake", largest).text("avs.quorum.total_stake", largest)),
        Some(1.0)
    );
    let amounts = || span().text("avs.quorum.signed_stake", "1").with("avs.quorum.total_stake", Value::Int(4));
    assert_eq!(ratio(amounts()), Some(0.25));
    assert_eq!(ratio(amounts().text("avs.quorum.signed_stake_ratio", "0.75")), Some(0.75));
    for garbage in [Value::Double(f64::NAN), Value::Double(1.5), Value::Double(-0.1), Value::Str(b"most")] {
        assert_eq!(ratio(amounts().with("avs.quorum.signed_stake_ratio", garbage)), Some(0.25), "{garbage:?}");
        assert_eq!(ratio(span().with("avs.quorum.signed_stake_ratio", garbage)), None, "{garbage:?}");
    }
    for (signed, total) in [("5", "4"), ("0", "0"), ("1", "0"), ("-1", "4"), ("", "4"), ("x", "4")] {
        let span = span().text("avs.quorum.signed_stake", signed).text("avs.quorum.total_stake", total);
        assert_eq!(ratio(span), None, "{signed} of {total}");
    }
    assert_eq!(ratio(Span::of(Task).with("avs.quorum.signed_stake_ratio", Value::Double(0.5))), None);
}

/// Section 5's other figures arrive with the operation that they belong to, and garbage is absent.
#[test]
fn details_belong_to_their_operation() {
    let span = Span::of(BlsAggregation)
        .with("avs.quorum.time_to_threshold", Value::Double(1.5))
        .with("avs.operators.total", Value::Int(10))
        .text("avs.operators.signed", "7")
        .with("avs.operators.rejected", Value::Int(-1));
    let Detail::Quorum { time_to_threshold, operators, signed, rejected } = span.measured().detail else {
        panic!("an aggregation has the quorum's details")
    };
    assert_eq!(time_to_threshold.get(), Some(1.5));
    assert_eq!((operators.get(), signed.get(), rejected.get()), (Some(10), Some(7), None));

    let span = Span::of(TxSubmission)
        .text("evm.tx.confirmation.duration", "12.5")
        .with("evm.tx.queue.duration", Value::Double(f64::NAN))
        .with("evm.tx.batch.size", Value::Int(5))
        .with("evm.tx.batch.failed", Value::Int(i64::MAX))
        .text("evm.tx.exhausted", "true")
        .with("evm.tx.nonce_pending", Value::Int(7))
        .text("evm.tx.nonce_latest", "5")
        .text("evm.signer.alias", "hot-1")
        .text("circuit_breaker.state", "half_open")
        .text("circuit_breaker.target", "rpc");
    let Detail::Tx { confirmation, queue, batch_size, batch_failed, exhausted } = span.measured().detail else {
        panic!("a submission has the transaction's details")
    };
    assert_eq!((confirmation.get(), queue.get(), exhausted), (Some(12.5), None, true));
    assert_eq!((batch_size.get(), batch_failed.get()), (Some(5), None));
    let facts = span.facts();
    assert_eq!((facts.nonce_gap(), facts.signer_alias()), (Some(2), Some(&b"hot-1"[..])));
    assert_eq!((facts.breaker_state(), facts.breaker_target()), (Some(GatewayBreaker::HalfOpen), Some(&b"rpc"[..])));

    let span = Span::of(WebhookDelivery).with("webhook.exhausted", Value::Bool(true));
    assert_eq!(span.measured().detail, Detail::Webhook { exhausted: true });
    assert_eq!(Span::of(Task).with("webhook.exhausted", Value::Bool(true)).measured().detail, Detail::Nothing);
}

/// Of an attribute that occurs twice the first counts, and a cleared span leaves nothing behind.
#[test]
fn facts_are_those_of_one_span() {
    let twice = Span::of(Task).text("avs.outcome", "deny").text("avs.outcome", "failed");
    assert_eq!(twice.end(), SUCCESS);
    let full = Span::of(Task).text("avs.outcome", "failed").exception("nonce too low");
    let mut facts = full.facts();
    facts.clear();
    let head = Span::named("process task").head();
    let operation = operation_of(&facts, &head, &Names::default()).expect("the name makes it an operation");
    let measured = measure(operation, &facts, &head);
    assert_eq!((measured.outcome, measured.reason), (OutcomeClass::Success, None));
}

/// Datadog's hints are given where the attribute is missing, and `_dd.measured` only to spans of kind INTERNAL.
#[test]
fn hints_fill_what_is_missing() {
    let [internal, client] = [1, 3];
    let none = Span::of(Task).facts();
    assert_eq!(Hints::of(Task, internal, &none), Hints { operation_name: Some("gateway.task"), measured: true });
    assert_eq!(Hints::of(TaskBroadcast, client, &none).operation_name, Some("gateway.task_broadcast"));
    assert!(!Hints::of(Task, client, &none).measured);
    let named = Span::of(Task).text("operation.name", "mine").with("_dd.measured", Value::Int(0)).facts();
    assert!(Hints::of(Task, internal, &named).is_empty());
    // An attribute without a value is there all the same.
    let unset = Span::of(Task).with("operation.name", Value::Empty).with("_dd.measured", Value::Empty).facts();
    assert!(Hints::of(Task, internal, &unset).is_empty());
}

fn any_value() -> impl Strategy<Value = (u8, i64, u64, String)> {
    (
        0_u8..8,
        any::<i64>(),
        any::<u64>(),
        prop_oneof![".{0,30}", "[0-9.eE+-]{0,90}", "(failed|reached|timeout|true|4xx)"],
    )
}

proptest! {
    /// Whatever the attributes hold: no panic, every figure is sound, and a reason is there exactly when it failed.
    #[test]
    fn garbage_never_becomes_a_figure(
        operation in 0_usize..5,
        values in proptest::collection::vec((any::<prop::sample::Index>(), any_value()), 0..20),
        status in -1..4_i32,
        description in ".{0,40}",
    ) {
        const KEYS: [&str; 18] = [
            "avs.outcome", "avs.quorum.failure.reason", "evm.tx.failure.reason", "error.type", "rpc.jsonrpc.error_code",
            "webhook.status_class", "http.response.status_code", "avs.attempt.count", "avs.quorum.threshold",
            "avs.quorum.signed_stake_ratio", "avs.quorum.signed_stake", "avs.quorum.total_stake",
            "avs.quorum.time_to_threshold", "avs.operators.total", "evm.tx.exhausted", "evm.tx.nonce_pending",
            "evm.tx.nonce_latest", "evm.tx.batch.size",
        ];
        let mut span = Span::of(Operation::ALL[operation]).status(status, &description);
        for (key, (kind, int, bits, text)) in &values {
            let value = match kind {
                0 => Value::Empty,
                1 => Value::Bool(*int > 0),
                2 => Value::Int(*int),
                3 => Value::Double(f64::from_bits(*bits)),
                4 => Value::Double(*bits as f64 / u64::MAX as f64),
                5 => Value::Bytes(text.as_bytes()),
                _ => Value::Str(text.as_bytes()),
            };
            span = span.with(KEYS[key.index(KEYS.len())], value);
        }
        let _ = span.facts().nonce_gap();
        let measured = span.measured();
        prop_assert_eq!(measured.reason.is_some(), measured.outcome == OutcomeClass::Failure);
        prop_assert!(measured.signed_stake_ratio.is_none_or(|ratio| (0.0..=1.0).contains(&ratio)));
        prop_assert!(measured.threshold.is_none_or(|threshold| (0.0..=1.0).contains(&threshold)));
        prop_assert!(measured.attempts.is_none_or(|attempts| attempts >= 1));
        if let Detail::Quorum { time_to_threshold, .. } = measured.detail {
            prop_assert!(time_to_threshold.get().is_none_or(|seconds| seconds.is_finite() && seconds >= 0.0));
        }
        if let Some(FailureReason::Tx(reason)) = measured.reason {
            prop_assert!(!reason.is_success());
        }
    }
}

/// The families keep their labels apart where it matters: a quorum's failure never looks like a transaction's.
#[test]
fn operations_use_their_own_family() {
    let both = "execution reverted: InsufficientQuorumStake";
    assert_eq!(
        Span::of(BlsAggregation).status(ERROR, both).measured().reason,
        Some(FailureReason::Quorum(QuorumReason::QuorumNotReached))
    );
    assert_eq!(
        Span::of(TxSubmission).status(ERROR, both).measured().reason,
        Some(FailureReason::Tx(TxReason::QuorumRejected))
    );
}
