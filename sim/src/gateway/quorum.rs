//! Outcomes of signature aggregations, and the stake that signed.

use super::attribute;
use super::outcome::OutcomeWriter;
use super::span_builder::SpanBuilder;
use crate::spec;
use crate::truth::OperationFact;

impl OutcomeWriter<'_> {
    /// An aggregation; returns whether the quorum was reached.
    pub(super) fn aggregation(&mut self, span: &mut SpanBuilder, fact: &mut OperationFact) -> bool {
        let fails = self.chance(self.rates.quorum);
        if !fails {
            if self.rng.u8(..200) == 0 {
                self.cancel(span, fact, "cancelled");
                return false;
            }
            let threshold = *self.pick(&[40, 51, 67]);
            let permille = if self.rng.u8(..5) == 0 { 1000 } else { threshold * 10 + 3 + 10 * self.rng.i64(0..30) };
            self.stake(span, fact, Some(threshold), permille);
            let nano = self.duration_attribute(span, "avs.quorum.time_to_threshold", 4_000);
            fact.measurements.time_to_threshold_nano = Some(nano);
            let outcome = if self.rng.u8(..12) == 0 { "" } else { "reached" };
            self.succeed(span, fact, outcome);
            return true;
        }
        if self.rng.u8(..40) == 0 {
            self.fail_unknown(span, fact);
            return false;
        }
        let row = self.draw_reason(&spec::QUORUM, self.rates.quorum_reasons);
        match row.reason {
            "task_expired" => {
                self.fail(span, fact, row, "avs.quorum.failure.reason");
                self.expired(span, fact);
            }
            "operator_error" if self.rng.u8(..4) == 0 => {
                fact.outcome = "failure";
                fact.reason = row.reason;
                fact.class = row.class;
                let code = *self.pick(&spec::OPERATOR_ERROR_CODES);
                let key = *self.pick(&["rpc.response.status_code", "rpc.jsonrpc.error_code"]);
                let code =
                    if self.rng.bool() { attribute::int(key, code) } else { attribute::text(key, code.to_string()) };
                span.put(code);
                span.put(attribute::text("avs.outcome", "failed"));
                span.error("an operator answered with an error");
            }
            reason => {
                self.fail(span, fact, row, "avs.quorum.failure.reason");
                match reason {
                    "no_responses" => self.stake(span, fact, Some(67), 0),
                    "quorum_not_reached" => {
                        let permille = 3 + 10 * self.rng.i64(1..40);
                        self.stake(span, fact, Some(40), permille);
                    }
                    _ => {}
                }
            }
        }
        false
    }

    /// An expired task says nothing about the quorum by itself; together with the signed share it does.
    fn expired(&mut self, span: &mut SpanBuilder, fact: &mut OperationFact) {
        match self.rng.u8(..5) {
            0 => {}
            1 => {
                let threshold = if self.rng.bool() { Some(67) } else { None };
                self.stake(span, fact, threshold, 0);
                fact.reason = "no_responses";
            }
            2 => {
                let permille = 3 + 10 * self.rng.i64(1..50);
                self.stake(span, fact, Some(51), permille);
                fact.reason = "quorum_not_reached";
            }
            // Enough had signed, or it cannot be known: it remains an expired task.
            3 => self.stake(span, fact, Some(40), 703),
            _ => self.stake(span, fact, None, 313),
        }
    }

    /// The signed share. Except for 0 and 1 it never lies on a bucket bound (its thousandths end in 3), so that no expected
    /// bucket depends on rounding.
    fn stake(&mut self, span: &mut SpanBuilder, fact: &mut OperationFact, threshold: Option<i64>, permille: i64) {
        let threshold = if permille % 1000 == 0 { threshold.map(|_| 67) } else { threshold };
        let ratio = permille as f64 / 1000.0;
        fact.ratio = Some(ratio);
        fact.margin = threshold.map(|percent| ratio - percent as f64 / 100.0);
        if let Some(percent) = threshold {
            span.put(attribute::unsigned(self.flavour, "avs.quorum.threshold", percent.unsigned_abs()));
        }
        if self.rng.u8(..3) == 0 {
            // Wei: the total does not fit 64 bits.
            span.put(attribute::text("avs.quorum.signed_stake", format!("{permille}000000000000000000000")));
            span.put(attribute::text("avs.quorum.total_stake", "1000000000000000000000000"));
        } else {
            span.put(attribute::double("avs.quorum.signed_stake_ratio", ratio));
        }
        let signed = permille * 20 / 1000;
        span.put(attribute::unsigned(self.flavour, "avs.operators.total", 20));
        span.put(attribute::unsigned(self.flavour, "avs.operators.signed", signed.unsigned_abs()));
        let rejected = self.rng.i64(0..=20 - signed);
        span.put(attribute::unsigned(self.flavour, "avs.operators.rejected", rejected.unsigned_abs()));
        fact.measurements.responses = Some([signed, rejected, 20 - signed - rejected].map(i64::unsigned_abs));
        if signed < 20 && self.rng.u8(..4) == 0 {
            let missing = (signed..20).take(3).map(|operator| format!("0x{:040x}", 0xa000 + operator)).collect();
            span.put(attribute::texts("avs.quorum.non_signers", missing));
        }
    }
}
