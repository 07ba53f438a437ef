//! Outcomes of transactions, and what a transaction records besides: batch sizes, waiting times, nonces.

use super::attribute;
use super::outcome::OutcomeWriter;
use super::span_builder::SpanBuilder;
use crate::spec;
use crate::truth::OperationFact;

impl OutcomeWriter<'_> {
    /// A transaction; returns whether it is on the chain.
    pub(super) fn transaction(&mut self, span: &mut SpanBuilder, fact: &mut OperationFact) -> bool {
        let worked = self.submission(span, fact);
        self.transaction_measurements(span, fact, worked);
        self.breaker_attributes(span, fact, &["rpc-primary", "rpc-fallback"]);
        worked
    }

    fn submission(&mut self, span: &mut SpanBuilder, fact: &mut OperationFact) -> bool {
        if !self.chance(self.rates.transaction) {
            match self.rng.u8(..100) {
                0 => {
                    self.cancel(span, fact, "cancelled");
                    return false;
                }
                1 | 2 => self.duplicate(span, fact),
                3 => self.succeed(span, fact, "partial"),
                4..=9 => self.succeed(span, fact, ""),
                _ => self.succeed(span, fact, "confirmed"),
            }
            return true;
        }
        if self.rng.u8(..30) == 0 {
            self.fail_unknown(span, fact);
            return false;
        }
        let row = self.draw_reason(&spec::TX, self.rates.tx_reasons);
        if !row.texts.is_empty() && self.rng.u8(..6) == 0 {
            // The retry layer wraps the last error.
            fact.outcome = "failure";
            fact.reason = row.reason;
            let text = format!("Max retries exceeded {}", self.pick(row.texts));
            span.put(attribute::boolean("evm.tx.exhausted", true));
            fact.measurements.exhausted = true;
            self.fail_by_text(span, &text);
        } else {
            self.fail(span, fact, row, "evm.tx.failure.reason");
        }
        false
    }

    /// Somebody else submitted it first: looks like an error, and is a success.
    fn duplicate(&mut self, span: &mut SpanBuilder, fact: &mut OperationFact) {
        fact.outcome = "success";
        let row = self.pick(&spec::TX_DUPLICATE);
        match self.rng.u8(..3) {
            0 => span.put(attribute::text("avs.outcome", "duplicate")),
            1 => {
                span.put(attribute::text("avs.outcome", "duplicate"));
                span.put(attribute::text("evm.tx.failure.reason", row.reason));
                span.error(*self.pick(row.texts));
            }
            _ => span.error(*self.pick(row.texts)),
        }
    }

    /// What a transaction records, whatever its outcome.
    pub(super) fn transaction_measurements(&mut self, span: &mut SpanBuilder, fact: &mut OperationFact, worked: bool) {
        let size = self.rng.u64(1..12);
        let failed = if worked { self.rng.u64(..=size) / 3 } else { size };
        span.put(attribute::unsigned(self.flavour, "evm.tx.batch.size", size));
        span.put(attribute::unsigned(self.flavour, "evm.tx.batch.failed", failed));
        fact.measurements.items = Some([size - failed, failed]);
        let signer = *self.pick(&["aggregator-1", "aggregator-2"]);
        span.put(attribute::text("evm.signer.alias", signer));
        if self.rng.u8(..4) > 0 {
            let (latest, gap) = (self.rng.u64(1_000..9_000), self.rng.u64(..7));
            span.put(attribute::unsigned(self.flavour, "evm.tx.nonce_latest", latest));
            span.put(attribute::unsigned(self.flavour, "evm.tx.nonce_pending", latest + gap));
            fact.measurements.nonce_gap = Some((gap as i64, signer));
        }
        if self.rng.bool() {
            fact.measurements.queue_nano = Some(self.duration_attribute(span, "evm.tx.queue.duration", 900));
        }
        if worked {
            fact.measurements.confirmation_nano =
                Some(self.duration_attribute(span, "evm.tx.confirmation.duration", 30_000));
        } else if !fact.measurements.exhausted && self.rng.bool() {
            fact.measurements.exhausted = self.rng.u8(..3) == 0;
            span.put(attribute::boolean("evm.tx.exhausted", fact.measurements.exhausted));
        }
    }
}
