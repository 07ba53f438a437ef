//! How an operation ends, and how the span says so: by a typed attribute, by `error.type`, by the status description, by
//! an exception event, by an HTTP status code. Every function here sets both sides at once: what the span shows and the
//! fact that a reader must find.

use super::character::Odds;
use super::draft::{self, Draft, Flavour};
use super::fact::Fact;
use super::spec::{self, ReasonRow};

/// Share of failures whose reason is drawn from the whole family instead of the chain's own troubles.
const ANY_REASON: f64 = 0.2;

/// What an ending needs to know of its surroundings.
pub(super) struct Stage<'a> {
    pub(super) rng: &'a mut fastrand::Rng,
    pub(super) flavour: Flavour,
    pub(super) odds: Odds,
}

impl Stage<'_> {
    fn chance(&mut self, probability: f64) -> bool {
        self.rng.f64() < probability
    }

    pub(super) fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.rng.usize(..from.len())]
    }

    fn row(&mut self, family: &'static [ReasonRow], usual: &[&str]) -> &'static ReasonRow {
        if !usual.is_empty() && !self.chance(ANY_REASON) {
            let name = *self.pick(usual);
            if let Some(row) = family.iter().find(|row| row.reason == name) {
                return row;
            }
        }
        self.pick(family)
    }

    /// Success as the attributes have it; `outcome` is empty when only the status says it.
    fn succeed(&mut self, draft: &mut Draft, fact: &mut Fact, outcome: &'static str) {
        fact.outcome = "success";
        if outcome.is_empty() {
            if self.rng.bool() {
                draft.ok();
            }
            return;
        }
        draft.put(draft::text("avs.outcome", outcome));
        if self.flavour == Flavour::RustSdk && self.chance(0.06) {
            // A retry logged an error, and the SDK marked the span for it. The operation succeeded all the same.
            draft.error("");
            draft.event(
                "request failed, will retry",
                vec![draft::text("level", "ERROR"), draft::text("target", "avs_gateway::rpc")],
            );
        } else if self.chance(0.3) {
            draft.ok();
        }
    }

    fn cancel(&mut self, draft: &mut Draft, fact: &mut Fact, outcome: &'static str) {
        fact.outcome = "cancelled";
        draft.put(draft::text("avs.outcome", outcome));
        if self.chance(0.2) {
            draft.error("called off");
        }
    }

    /// The reason as an attribute: the family's own key or `error.type`, with or without an outcome beside it.
    fn fail_typed(&mut self, draft: &mut Draft, key: &str, reason: &str) {
        let key = if self.rng.bool() { key } else { "error.type" };
        draft.put(draft::text(key, reason));
        if self.rng.bool() {
            draft.put(draft::text("avs.outcome", "failed"));
        }
        match self.rng.u8(..8) {
            0 => draft.ok(),
            1 | 2 => {}
            _ => draft.error("operation failed"),
        }
    }

    /// The reason as error text only.
    fn fail_by_text(&mut self, draft: &mut Draft, text: &str) {
        let text = match self.rng.u8(..6) {
            0 => text.to_uppercase(),
            1 => text.to_lowercase(),
            2 => format!("gateway: {text}"),
            3 => format!("call came back with `{text}`; giving up"),
            _ => text.to_owned(),
        };
        if self.rng.u8(..4) == 0 {
            draft.put(draft::text("avs.outcome", "failed"));
        }
        if self.rng.bool() {
            draft.error(text);
        } else {
            draft.error("");
            draft.event(
                "exception",
                vec![draft::text("exception.type", "anyhow::Error"), draft::text("exception.message", text)],
            );
        }
    }

    fn fail(&mut self, draft: &mut Draft, fact: &mut Fact, row: &ReasonRow, key: &str) {
        fact.outcome = "failure";
        fact.reason = row.reason;
        fact.class = row.class;
        if row.texts.is_empty() || self.rng.bool() {
            self.fail_typed(draft, key, row.reason);
        } else {
            let text = *self.pick(row.texts);
            self.fail_by_text(draft, text);
        }
    }

    fn fail_unknown(&mut self, draft: &mut Draft, fact: &mut Fact) {
        fact.outcome = "failure";
        fact.reason = spec::OTHER;
        let text = *self.pick(&spec::UNKNOWN_TEXTS);
        self.fail_by_text(draft, text);
    }

    /// The root span. `worked`: whether the steps below it did.
    pub(super) fn task(&mut self, draft: &mut Draft, fact: &mut Fact, worked: bool) {
        match (worked, self.rng.u8(..100)) {
            (_, 0) => self.cancel(draft, fact, "cancelled"),
            (true, 1..=12) => self.succeed(draft, fact, "deny"),
            (true, 13..=14) => self.succeed(draft, fact, "duplicate"),
            (true, 15..=19) => self.succeed(draft, fact, ""),
            (true, _) => self.succeed(draft, fact, "allow"),
            (false, turn) => {
                let timeout = turn < 40;
                let outcome = if timeout { "timeout" } else { "failed" };
                fact.outcome = "failure";
                fact.reason = if timeout { "timeout" } else { spec::OTHER };
                draft.put(draft::text("avs.outcome", outcome));
                if self.rng.bool() {
                    draft.error("the task did not finish");
                }
            }
        }
    }

    /// A broadcast to the operators.
    pub(super) fn broadcast(&mut self, draft: &mut Draft, fact: &mut Fact) {
        match self.rng.u8(..200) {
            0 => self.cancel(draft, fact, "cancelled"),
            1 => self.fail_unknown(draft, fact),
            2..=20 => self.succeed(draft, fact, ""),
            _ => self.succeed(draft, fact, "sent"),
        }
    }

    /// An aggregation; returns whether the quorum was reached.
    pub(super) fn aggregation(&mut self, draft: &mut Draft, fact: &mut Fact) -> bool {
        let fails = self.chance(self.odds.quorum);
        if !fails {
            if self.rng.u8(..200) == 0 {
                self.cancel(draft, fact, "cancelled");
                return false;
            }
            let threshold = *self.pick(&[40, 51, 67]);
            let permille = if self.rng.u8(..5) == 0 { 1000 } else { threshold * 10 + 3 + 10 * self.rng.i64(0..30) };
            self.stake(draft, fact, Some(threshold), permille);
            let nano = self.duration(draft, "avs.quorum.time_to_threshold", 4_000);
            fact.more.time_to_threshold_nano = Some(nano);
            let outcome = if self.rng.u8(..12) == 0 { "" } else { "reached" };
            self.succeed(draft, fact, outcome);
            return true;
        }
        if self.rng.u8(..40) == 0 {
            self.fail_unknown(draft, fact);
            return false;
        }
        let row = self.row(&spec::QUORUM, self.odds.quorum_reasons);
        match row.reason {
            "task_expired" => {
                self.fail(draft, fact, row, "avs.quorum.failure.reason");
                self.expired(draft, fact);
            }
            "operator_error" if self.rng.u8(..4) == 0 => {
                fact.outcome = "failure";
                fact.reason = row.reason;
                fact.class = row.class;
                let code = *self.pick(&spec::OPERATOR_ERROR_CODES);
                let key = *self.pick(&["rpc.response.status_code", "rpc.jsonrpc.error_code"]);
                let code = if self.rng.bool() { draft::int(key, code) } else { draft::text(key, code.to_string()) };
                draft.put(code);
                draft.put(draft::text("avs.outcome", "failed"));
                draft.error("an operator answered with an error");
            }
            reason => {
                self.fail(draft, fact, row, "avs.quorum.failure.reason");
                match reason {
                    "no_responses" => self.stake(draft, fact, Some(67), 0),
                    "quorum_not_reached" => {
                        let permille = 3 + 10 * self.rng.i64(1..40);
                        self.stake(draft, fact, Some(40), permille);
                    }
                    _ => {}
                }
            }
        }
        false
    }

    /// An expired task says nothing of the quorum by itself; with the signed share it does.
    fn expired(&mut self, draft: &mut Draft, fact: &mut Fact) {
        match self.rng.u8(..5) {
            0 => {}
            1 => {
                let threshold = if self.rng.bool() { Some(67) } else { None };
                self.stake(draft, fact, threshold, 0);
                fact.reason = "no_responses";
            }
            2 => {
                let permille = 3 + 10 * self.rng.i64(1..50);
                self.stake(draft, fact, Some(51), permille);
                fact.reason = "quorum_not_reached";
            }
            // Enough had signed, or nobody can say: it stays an expired task.
            3 => self.stake(draft, fact, Some(40), 703),
            _ => self.stake(draft, fact, None, 313),
        }
    }

    /// The signed share. Thousandths are kept off the bucket bounds (they end in 3) except at 0 and 1, so that no
    /// expected bucket depends on how a double is rounded.
    fn stake(&mut self, draft: &mut Draft, fact: &mut Fact, threshold: Option<i64>, permille: i64) {
        let threshold = if permille % 1000 == 0 { threshold.map(|_| 67) } else { threshold };
        let ratio = permille as f64 / 1000.0;
        fact.ratio = Some(ratio);
        fact.margin = threshold.map(|percent| ratio - percent as f64 / 100.0);
        if let Some(percent) = threshold {
            draft.put(draft::unsigned(self.flavour, "avs.quorum.threshold", percent.unsigned_abs()));
        }
        if self.rng.u8(..3) == 0 {
            // Wei: the total does not fit 64 bits.
            draft.put(draft::text("avs.quorum.signed_stake", format!("{permille}000000000000000000000")));
            draft.put(draft::text("avs.quorum.total_stake", "1000000000000000000000000"));
        } else {
            draft.put(draft::double("avs.quorum.signed_stake_ratio", ratio));
        }
        let signed = permille * 20 / 1000;
        draft.put(draft::unsigned(self.flavour, "avs.operators.total", 20));
        draft.put(draft::unsigned(self.flavour, "avs.operators.signed", signed.unsigned_abs()));
        let rejected = self.rng.i64(0..=20 - signed);
        draft.put(draft::unsigned(self.flavour, "avs.operators.rejected", rejected.unsigned_abs()));
        fact.more.responses = Some([signed, rejected, 20 - signed - rejected].map(i64::unsigned_abs));
        if signed < 20 && self.rng.u8(..4) == 0 {
            let missing = (signed..20).take(3).map(|operator| format!("0x{:040x}", 0xa000 + operator)).collect();
            draft.put(draft::texts("avs.quorum.non_signers", missing));
        }
    }

    /// A transaction; returns whether it is on the chain.
    pub(super) fn transaction(&mut self, draft: &mut Draft, fact: &mut Fact) -> bool {
        let worked = self.submission(draft, fact);
        self.transaction_figures(draft, fact, worked);
        self.breaker(draft, fact, &["rpc-primary", "rpc-fallback"]);
        worked
    }

    fn submission(&mut self, draft: &mut Draft, fact: &mut Fact) -> bool {
        if !self.chance(self.odds.transaction) {
            match self.rng.u8(..100) {
                0 => {
                    self.cancel(draft, fact, "cancelled");
                    return false;
                }
                1 | 2 => self.duplicate(draft, fact),
                3 => self.succeed(draft, fact, "partial"),
                4..=9 => self.succeed(draft, fact, ""),
                _ => self.succeed(draft, fact, "confirmed"),
            }
            return true;
        }
        if self.rng.u8(..30) == 0 {
            self.fail_unknown(draft, fact);
            return false;
        }
        let row = self.row(&spec::TX, self.odds.tx_reasons);
        if !row.texts.is_empty() && self.rng.u8(..6) == 0 {
            // The retry layer wraps the last error.
            fact.outcome = "failure";
            fact.reason = row.reason;
            let text = format!("Max retries exceeded {}", self.pick(row.texts));
            draft.put(draft::boolean("evm.tx.exhausted", true));
            fact.more.exhausted = true;
            self.fail_by_text(draft, &text);
        } else {
            self.fail(draft, fact, row, "evm.tx.failure.reason");
        }
        false
    }

    /// Somebody was there before us: looks like an error, is none.
    fn duplicate(&mut self, draft: &mut Draft, fact: &mut Fact) {
        fact.outcome = "success";
        let row = self.pick(&spec::TX_DUPLICATE);
        match self.rng.u8(..3) {
            0 => draft.put(draft::text("avs.outcome", "duplicate")),
            1 => {
                draft.put(draft::text("avs.outcome", "duplicate"));
                draft.put(draft::text("evm.tx.failure.reason", row.reason));
                draft.error(*self.pick(row.texts));
            }
            _ => draft.error(*self.pick(row.texts)),
        }
    }

    /// A webhook.
    pub(super) fn webhook(&mut self, draft: &mut Draft, fact: &mut Fact) {
        if self.rng.u8(..100) == 0 {
            self.cancel(draft, fact, "disabled");
            // Every webhook span is a delivery; the convention names no class for one that was switched off.
            fact.webhook = Some(spec::NO_WEBHOOK_CLASS);
            return;
        }
        let fails = self.chance(self.odds.webhook);
        let (class, codes) = if !fails {
            &spec::WEBHOOK[0]
        } else if self.chance(ANY_REASON) {
            self.pick(&spec::WEBHOOK[1..])
        } else {
            let name = *self.pick(self.odds.webhook_classes);
            spec::WEBHOOK.iter().find(|(class, _)| *class == name).unwrap_or(&spec::WEBHOOK[5])
        };
        fact.webhook = Some(class);
        let by_code = !codes.is_empty() && self.rng.u8(..3) > 0;
        if by_code {
            let code = *self.pick(codes);
            draft.put(draft::unsigned(self.flavour, "http.response.status_code", code.unsigned_abs()));
        }
        if !fails {
            if !by_code {
                draft.put(draft::text("webhook.status_class", *class));
            }
            let outcome = if self.rng.u8(..10) == 0 { "" } else { "delivered" };
            self.succeed(draft, fact, outcome);
            return;
        }
        fact.outcome = "failure";
        fact.reason = class;
        if !by_code {
            let key = if self.rng.bool() { "webhook.status_class" } else { "error.type" };
            draft.put(draft::text(key, *class));
        }
        if self.rng.u8(..3) > 0 {
            draft.put(draft::text("avs.outcome", "failed"));
            if self.rng.bool() {
                draft.error("the receiver did not take it");
            }
        } else {
            draft.error("");
        }
        fact.more.exhausted = self.rng.u8(..4) == 0;
        draft.put(draft::boolean("webhook.exhausted", fact.more.exhausted));
        self.breaker(draft, fact, &["webhook"]);
    }
}
