//! The oracle itself: what it must not let pass. A torture run proves nothing if its judge is asleep.

use chainspan_testing::torture::oracle::{Oracle, Outcome, TroubleKind};
use chainspan_testing::torture::verdict::Verdict;
use chainspan_testing::torture::{numbers, watch};

/// Two acknowledged requests of four spans, 0 to 3 and 4 to 7.
fn acknowledged() -> Oracle {
    let oracle = Oracle::default();
    for _ in 0..2 {
        let (ticket, _) = oracle.sending(4);
        oracle.finished(ticket, Outcome::Acknowledged);
    }
    oracle
}

fn violations(oracle: &Oracle, dead: &[u64]) -> Vec<String> {
    Verdict::of(oracle, dead).violations
}

fn only(violations: &[String], text: &str) {
    assert!(violations.len() == 1 && violations[0].contains(text), "not only {text:?}: {violations:?}");
}

#[test]
fn spans_at_the_agent_or_among_the_dead_letters_are_in_order() {
    let oracle = acknowledged();
    oracle.arrived(&[0, 1, 2, 3, 4, 6], 0, 0);
    let verdict = Verdict::of(&oracle, &[5, 7]);
    assert!(verdict.violations.is_empty(), "{verdict:?}");
    assert_eq!((verdict.acknowledged, verdict.delivered, verdict.dead, verdict.lost), (8, 6, 2, 0));
}

#[test]
fn one_missing_span_is_a_violation_if_it_was_acknowledged() {
    let oracle = acknowledged();
    oracle.arrived(&[0, 1, 2, 3, 4, 5, 6], 0, 0);
    only(&violations(&oracle, &[]), "1 acknowledged spans are lost: numbers 7 to 7");
    let (ticket, _) = oracle.sending(1);
    oracle.finished(ticket, Outcome::Failed(tonic::Code::Unavailable));
    only(&violations(&oracle, &[]), "1 acknowledged spans are lost");
    oracle.arrived(&[7], 0, 0);
    assert!(violations(&oracle, &[]).is_empty(), "number 8 was not acknowledged");
}

/// A repeat needs a reason: an answer that did not go out, or a kill or a lost connection right after it.
#[test]
fn a_repeat_is_a_violation_unless_it_was_in_flight() {
    let all = [0, 1, 2, 3, 4, 5, 6, 7];
    let unanswered = acknowledged();
    unanswered.arrived(&all, 0, 0);
    unanswered.arrived(&all, 0, 0);
    let verdict = Verdict::of(&unanswered, &[]);
    assert!(verdict.violations.is_empty() && verdict.repeated == 8, "{verdict:?}");

    let answered = acknowledged();
    answered.arrived(&all, 0, 0);
    answered.answered(&all);
    // Longer ago than this moment, whatever the clock's grain.
    std::thread::sleep(std::time::Duration::from_millis(5));
    answered.arrived(&[3], 0, 0);
    only(&violations(&answered, &[]), "1 spans were sent again without a reason, such as number 3");

    let killed = acknowledged();
    killed.arrived(&all, 0, 0);
    killed.answered(&all);
    killed.trouble(TroubleKind::Kill, killed.now());
    killed.arrived(&[3], 0, 0);
    let verdict = Verdict::of(&killed, &[]);
    assert!(verdict.violations.is_empty() && verdict.repeated == 1, "{verdict:?}");

    // A kill long before, and the arrival on a connection of the next process: that explains nothing.
    let alive = acknowledged();
    alive.trouble(TroubleKind::Kill, alive.now());
    std::thread::sleep(std::time::Duration::from_millis(60));
    let opened = alive.now();
    alive.arrived(&all, 0, opened);
    alive.answered(&all);
    alive.arrived(&[3], 0, opened);
    only(&violations(&alive, &[]), "1 spans were sent again without a reason");
}

#[test]
fn spans_that_nobody_sent_and_spans_that_died_although_they_arrived_are_violations() {
    let oracle = acknowledged();
    oracle.arrived(&[0, 1, 2, 3, 4, 5, 6, 7, 99], 0, 0);
    only(&violations(&oracle, &[]), "1 spans arrived that nobody had sent");
    let oracle = acknowledged();
    oracle.arrived(&[0, 1, 2, 3, 4, 5, 6, 7], 0, 0);
    only(&violations(&oracle, &[7]), "1 spans are dead letters although the agent took them");
}

#[test]
fn numbers_survive_the_wire() {
    use prost::Message as _;
    let read = numbers::read(&numbers::request(1_000, 20).encode_to_vec()).expect("valid");
    assert_eq!(read.ours, (1_000..1_020).collect::<Vec<_>>());
    assert_eq!(read.strange, 0);
}

/// One span too few in one column is noticed, and so is a column that is not there.
#[test]
fn a_book_that_does_not_balance_is_noticed() {
    let status = |accepted: u64| {
        let block = serde_json::json!({
            "accepted": accepted, "delivered": 1, "rejected": 1, "in_flight": 1, "spilled": 1, "dead": 1, "discarded": 1,
        });
        serde_json::json!({"destinations": {"otlp/datadog": {"spans": block.clone(), "requests": block}}})
    };
    assert_eq!(watch::broken(&status(6)), Vec::<String>::new());
    assert_eq!(watch::broken(&status(7)).len(), 2);
    assert_eq!(watch::broken(&serde_json::json!({"destinations": {"x": {"spans": {}, "requests": {}}}})).len(), 2);
}
