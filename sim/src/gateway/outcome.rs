//! How an operation ends, and how the span shows it: by a typed attribute, by `error.type`, by the status description, by
//! an exception event. Every function sets both sides at once: what the span shows, and the fact that a reader must find.

use super::attribute::{self, Flavour};
use super::fault_profile::FaultRates;
use super::span_builder::SpanBuilder;
use crate::spec::{self, ReasonRow};
use crate::truth::OperationFact;

/// Share of failures (0 to 1) whose reason is drawn from the whole family instead of the chain's own profile.
pub(super) const ANY_REASON_SHARE: f64 = 0.2;

/// Writes outcomes of operations on one chain.
pub(super) struct OutcomeWriter<'a> {
    pub(super) rng: &'a mut fastrand::Rng,
    pub(super) flavour: Flavour,
    pub(super) rates: FaultRates,
}

impl OutcomeWriter<'_> {
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.rng.f64() < probability
    }

    pub(super) fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.rng.usize(..from.len())]
    }

    pub(super) fn draw_reason(&mut self, family: &'static [ReasonRow], usual: &[&str]) -> &'static ReasonRow {
        if !usual.is_empty() && !self.chance(ANY_REASON_SHARE) {
            let name = *self.pick(usual);
            if let Some(row) = family.iter().find(|row| row.reason == name) {
                return row;
            }
        }
        self.pick(family)
    }

    /// Success, named `outcome` in the attributes; an empty `outcome` leaves only the status to show it.
    pub(super) fn succeed(&mut self, span: &mut SpanBuilder, fact: &mut OperationFact, outcome: &'static str) {
        fact.outcome = "success";
        if outcome.is_empty() {
            if self.rng.bool() {
                span.ok();
            }
            return;
        }
        span.put(attribute::text("avs.outcome", outcome));
        if self.flavour == Flavour::RustSdk && self.chance(0.06) {
            // A retry logged an error, for which the SDK marked the span. The operation succeeded nevertheless.
            span.error("");
            span.event(
                "request failed, will retry",
                vec![attribute::text("level", "ERROR"), attribute::text("target", "avs_gateway::rpc")],
            );
        } else if self.chance(0.3) {
            span.ok();
        }
    }

    pub(super) fn cancel(&mut self, span: &mut SpanBuilder, fact: &mut OperationFact, outcome: &'static str) {
        fact.outcome = "cancelled";
        span.put(attribute::text("avs.outcome", outcome));
        if self.chance(0.2) {
            span.error("called off");
        }
    }

    pub(super) fn fail(&mut self, span: &mut SpanBuilder, fact: &mut OperationFact, row: &ReasonRow, key: &str) {
        fact.outcome = "failure";
        fact.reason = row.reason;
        fact.class = row.class;
        if row.texts.is_empty() || self.rng.bool() {
            self.fail_typed(span, key, row.reason);
        } else {
            let text = *self.pick(row.texts);
            self.fail_by_text(span, text);
        }
    }

    /// The reason as an attribute, under the family's own key or `error.type`, with or without an outcome.
    pub(super) fn fail_typed(&mut self, span: &mut SpanBuilder, key: &str, reason: &str) {
        let key = if self.rng.bool() { key } else { "error.type" };
        span.put(attribute::text(key, reason));
        if self.rng.bool() {
            span.put(attribute::text("avs.outcome", "failed"));
        }
        match self.rng.u8(..8) {
            0 => span.ok(),
            1 | 2 => {}
            _ => span.error("operation failed"),
        }
    }

    /// The reason as error text only.
    pub(super) fn fail_by_text(&mut self, span: &mut SpanBuilder, text: &str) {
        let text = match self.rng.u8(..6) {
            0 => text.to_uppercase(),
            1 => text.to_lowercase(),
            2 => format!("gateway: {text}"),
            3 => format!("call came back with `{text}`; giving up"),
            _ => text.to_owned(),
        };
        if self.rng.u8(..4) == 0 {
            span.put(attribute::text("avs.outcome", "failed"));
        }
        if self.rng.bool() {
            span.error(text);
        } else {
            span.error("");
            span.event(
                "exception",
                vec![attribute::text("exception.type", "anyhow::Error"), attribute::text("exception.message", text)],
            );
        }
    }

    pub(super) fn fail_unknown(&mut self, span: &mut SpanBuilder, fact: &mut OperationFact) {
        fact.outcome = "failure";
        fact.reason = spec::OTHER;
        let text = *self.pick(&spec::UNKNOWN_TEXTS);
        self.fail_by_text(span, text);
    }

    /// The root span of a task; `worked`: whether its steps succeeded.
    pub(super) fn task(&mut self, span: &mut SpanBuilder, fact: &mut OperationFact, worked: bool) {
        match (worked, self.rng.u8(..100)) {
            (_, 0) => self.cancel(span, fact, "cancelled"),
            (true, 1..=12) => self.succeed(span, fact, "deny"),
            (true, 13..=14) => self.succeed(span, fact, "duplicate"),
            (true, 15..=19) => self.succeed(span, fact, ""),
            (true, _) => self.succeed(span, fact, "allow"),
            (false, turn) => {
                let timeout = turn < 40;
                let outcome = if timeout { "timeout" } else { "failed" };
                fact.outcome = "failure";
                fact.reason = if timeout { "timeout" } else { spec::OTHER };
                span.put(attribute::text("avs.outcome", outcome));
                if self.rng.bool() {
                    span.error("the task did not finish");
                }
            }
        }
    }

    /// A broadcast to the operators.
    pub(super) fn broadcast(&mut self, span: &mut SpanBuilder, fact: &mut OperationFact) {
        match self.rng.u8(..200) {
            0 => self.cancel(span, fact, "cancelled"),
            1 => self.fail_unknown(span, fact),
            2..=20 => self.succeed(span, fact, ""),
            _ => self.succeed(span, fact, "sent"),
        }
    }

    /// Records a duration below `most` milliseconds, as seconds in a double. It never lies on a bucket bound, so that no
    /// expected bucket depends on rounding.
    pub(super) fn duration_attribute(&mut self, span: &mut SpanBuilder, key: &str, most: u64) -> u64 {
        let nano = self.rng.u64(1..most) * 1_000_000 + 300_000;
        span.put(attribute::double(key, nano as f64 / 1e9));
        nano
    }

    /// Some spans record the state of a circuit breaker.
    pub(super) fn breaker_attributes(
        &mut self,
        span: &mut SpanBuilder,
        fact: &mut OperationFact,
        targets: &[&'static str],
    ) {
        if self.rng.u8(..6) > 0 {
            return;
        }
        let target = *self.pick(targets);
        let states: [(u8, &str); 3] = [(0, "closed"), (1, "half_open"), (2, "open")];
        let (state, name) = *self.pick(&states);
        span.put(attribute::text("circuit_breaker.state", name));
        span.put(attribute::text("circuit_breaker.target", target));
        fact.measurements.breaker = Some((state, target));
    }
}
