//! Builds single spans: operations without an outcome yet, and spans of libraries.

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use super::attribute::{self, Flavour};
use super::fault_profile::{Chain, FaultRates};
use super::ids::Ids;
use super::outcome::OutcomeWriter;
use super::span_builder::{Placement, SpanBuilder};
use crate::spec;
use crate::truth::{ExpectedTag, Measurements, OperationFact};

/// Builds the traces of one gateway.
pub(super) struct TraceBuilder<'a> {
    pub(super) rng: &'a mut fastrand::Rng,
    pub(super) flavour: Flavour,
    pub(super) ids: &'a mut Ids,
    pub(super) now: u64,
}

impl TraceBuilder<'_> {
    /// An operation span without an outcome; the duration varies around `base` nanoseconds.
    pub(super) fn operation(
        &mut self,
        operation: &'static str,
        trace: &[u8],
        parent: u64,
        end: u64,
        base: u64,
    ) -> SpanBuilder {
        let (duration, backwards) = self.duration_around(base);
        let end = self.ids.moment(end);
        let mut span = SpanBuilder::new(trace, self.ids.span(), parent, end, duration);
        if backwards {
            // The clock was set back: the span ends before it starts, and its duration counts as zero.
            span.message.start_time_unix_nano = end + 1_500_000;
        }
        let names = spec::names_of(operation);
        let name = names[self.rng.usize(..names.len())];
        match self.rng.u8(..10) {
            0..=3 => {
                span.put(attribute::text("avs.operation", operation));
                span.message.name =
                    if self.rng.bool() { name.to_owned() } else { format!("gateway {}", &operation[..2]) };
            }
            4 => span.message.name = name.to_uppercase(),
            _ => span.message.name = name.to_owned(),
        }
        let attempts = (self.rng.u8(..3) == 0).then(|| self.attempts());
        if let Some(attempts) = attempts {
            span.put(attribute::unsigned(self.flavour, "avs.attempt.count", u64::from(attempts)));
        }
        self.add_sdk_attributes(&mut span);
        span.fact = Some(OperationFact {
            span: span.key(),
            chain: None,
            operation,
            outcome: "success",
            reason: "",
            class: "",
            end_unix_nano: end,
            duration_nano: if backwards { 0 } else { duration },
            attempts,
            ratio: None,
            margin: None,
            webhook: None,
            measurements: Measurements::default(),
        });
        span
    }

    pub(super) fn transaction_span(&mut self, trace: &[u8], parent: u64, end: u64, chain: &Chain) -> SpanBuilder {
        let base = chain.block_time.as_nanos() as u64 * self.rng.u64(1..4) / 2;
        let mut span = self.operation("tx_submission", trace, parent, end, base);
        span.message.kind = SpanKind::Client as i32;
        span
    }

    /// A span of a library: no fields of the convention, no chain, never counted.
    pub(super) fn library(&mut self, trace: &[u8], parent: u64, end: u64) -> SpanBuilder {
        let duration = self.rng.u64(20_000..900_000);
        let mut span = SpanBuilder::new(trace, self.ids.span(), parent, end, duration);
        span.placement = Placement::Library;
        span.message.name = spec::LIBRARY_NAMES[self.rng.usize(..spec::LIBRARY_NAMES.len())].to_owned();
        self.add_sdk_attributes(&mut span);
        span
    }

    /// A span without any meaning, to fill up a batch.
    pub(super) fn filler(&mut self) -> SpanBuilder {
        let trace = self.ids.trace();
        let mut span = self.library(&trace, 0, self.now);
        span.tag = ExpectedTag::Absent;
        span
    }

    /// Gives an operation span its outcome.
    pub(super) fn outcome<T>(
        &mut self,
        rates: FaultRates,
        write: impl FnOnce(&mut OutcomeWriter<'_>, &mut SpanBuilder, &mut OperationFact) -> T,
        span: &mut SpanBuilder,
    ) -> T {
        let mut fact = span.fact.take().expect("operations are built with a fact");
        let mut outcome = OutcomeWriter { rng: self.rng, flavour: self.flavour, rates };
        let result = write(&mut outcome, span, &mut fact);
        span.fact = Some(fact);
        result
    }

    /// Adds what every SDK records. It means nothing here, but makes up most of the bytes.
    fn add_sdk_attributes(&mut self, span: &mut SpanBuilder) {
        let thread = self.rng.i64(1..17);
        match self.flavour {
            Flavour::RustSdk => {
                span.put(attribute::text("code.file.path", "crates/gateway/src/aggregate/service.rs"));
                span.put(attribute::text("code.module.name", "avs_gateway::aggregate::service"));
                span.put(attribute::int("code.line.number", self.rng.i64(20..900)));
                span.put(attribute::int("thread.id", thread));
                span.put(attribute::int("busy_ns", self.rng.i64(1_000..900_000)));
            }
            Flavour::Collector => {
                span.put(attribute::text("server.address", "rpc.internal.example"));
                span.put(attribute::int("server.port", 8545));
                span.put(attribute::int("thread.id", thread));
                span.put(attribute::text("avs.quorum.numbers", "0,1"));
            }
        }
    }

    fn attempts(&mut self) -> u32 {
        match self.rng.u8(..20) {
            0 => self.rng.u32(5..30),
            1..=4 => self.rng.u32(2..6),
            _ => 1,
        }
    }

    /// Nanoseconds around `base` with a long tail, now and then exactly on a bucket bound; and whether the span runs
    /// backwards.
    fn duration_around(&mut self, base: u64) -> (u64, bool) {
        match self.rng.u16(..1000) {
            0..=2 => (0, true),
            3..=12 => (spec::DURATION_BOUNDS_NANO[self.rng.usize(..spec::DURATION_BOUNDS_NANO.len())], false),
            13 => (700_000_000_000, false),
            _ => {
                let u = self.rng.f64();
                let factor = 0.4 + self.rng.f64() + 6.0 * u.powi(12);
                ((base as f64 * factor) as u64, false)
            }
        }
    }
}
