//! Outcomes of webhook deliveries.

use super::attribute;
use super::outcome::{ANY_REASON_SHARE, OutcomeWriter};
use super::span_builder::SpanBuilder;
use crate::spec;
use crate::truth::OperationFact;

impl OutcomeWriter<'_> {
    /// A delivery; every webhook span is one.
    pub(super) fn webhook(&mut self, span: &mut SpanBuilder, fact: &mut OperationFact) {
        if self.rng.u8(..100) == 0 {
            self.cancel(span, fact, "disabled");
            // The convention names no class for a delivery that was switched off.
            fact.webhook = Some(spec::NO_WEBHOOK_CLASS);
            return;
        }
        let fails = self.chance(self.rates.webhook);
        let (class, codes) = if !fails {
            &spec::WEBHOOK[0]
        } else if self.chance(ANY_REASON_SHARE) {
            self.pick(&spec::WEBHOOK[1..])
        } else {
            let name = *self.pick(self.rates.webhook_classes);
            spec::WEBHOOK.iter().find(|(class, _)| *class == name).unwrap_or(&spec::WEBHOOK[5])
        };
        fact.webhook = Some(class);
        let by_code = !codes.is_empty() && self.rng.u8(..3) > 0;
        if by_code {
            let code = *self.pick(codes);
            span.put(attribute::unsigned(self.flavour, "http.response.status_code", code.unsigned_abs()));
        }
        if !fails {
            if !by_code {
                span.put(attribute::text("webhook.status_class", *class));
            }
            let outcome = if self.rng.u8(..10) == 0 { "" } else { "delivered" };
            self.succeed(span, fact, outcome);
            return;
        }
        fact.outcome = "failure";
        fact.reason = class;
        if !by_code {
            let key = if self.rng.bool() { "webhook.status_class" } else { "error.type" };
            span.put(attribute::text(key, *class));
        }
        if self.rng.u8(..3) > 0 {
            span.put(attribute::text("avs.outcome", "failed"));
            if self.rng.bool() {
                span.error("the receiver did not take it");
            }
        } else {
            span.error("");
        }
        fact.measurements.exhausted = self.rng.u8(..4) == 0;
        span.put(attribute::boolean("webhook.exhausted", fact.measurements.exhausted));
        self.breaker_attributes(span, fact, &["webhook"]);
    }
}
