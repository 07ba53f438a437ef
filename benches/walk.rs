//! The walk and the edit, per span, beside what they are measured against: copying the body and decoding it with prost.
//!
//! Requests of 512 spans of about 440 bytes with 10 attributes, 64 different bodies in turn, so that the branch predictor
//! and the caches see what they would see at work. `cargo bench --bench walk`; the figures are per request, and
//! criterion's `elem/s` are spans.

use std::hint::black_box;

use bytes::Bytes;
use chainspan::otlp::{AttributePlace, Edits, SpanHead, SpanPlace, Value, Visitor, walk};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

const SPANS: usize = 512;
const BODIES: u64 = 64;

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}

fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, any_value::Value::StringValue(value.into()))
}

fn span(random: &mut fastrand::Rng) -> Span {
    let chain = *random.choice(&["1", "8453", "11155111", "42161"]).expect("not empty");
    let signed = random.u32(0..100);
    let mut attributes = vec![
        text("chain_id", chain),
        text("avs.operation", "bls_aggregation"),
        text("avs.task.id", format!("0x{:064x}", random.u128(..))),
        attribute("avs.quorum.threshold", any_value::Value::IntValue(67)),
        attribute("avs.quorum.signed_stake_ratio", any_value::Value::DoubleValue(f64::from(signed) / 100.0)),
        attribute("avs.operators.total", any_value::Value::IntValue(100)),
        attribute("avs.operators.signed", any_value::Value::IntValue(signed.into())),
        attribute("thread.id", any_value::Value::IntValue(random.i64(1..4000))),
        text("code.namespace", "gateway::aggregator"),
        text("avs.outcome", if signed < 67 { "failed" } else { "reached" }),
    ];
    random.shuffle(&mut attributes);
    let start = 1_700_000_000_000_000_000 + random.u64(0..1 << 40);
    Span {
        trace_id: random.u128(1..).to_be_bytes().into(),
        span_id: random.u64(1..).to_be_bytes().into(),
        parent_span_id: if random.bool() { random.u64(1..).to_be_bytes().into() } else { Vec::new() },
        name: "aggregate signatures".into(),
        kind: random.i32(1..6),
        start_time_unix_nano: start,
        end_time_unix_nano: start + random.u64(0..1 << 32),
        attributes,
        status: Some(Status { code: random.i32(0..3), message: String::new() }),
        flags: 0x101,
        ..Default::default()
    }
}

fn bodies() -> Vec<Bytes> {
    (0..BODIES)
        .map(|seed| {
            let mut random = fastrand::Rng::with_seed(seed);
            let spans = (0..SPANS).map(|_| span(&mut random)).collect();
            let scope = InstrumentationScope { name: "gateway".into(), version: "1.0.0".into(), ..Default::default() };
            let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, ..Default::default() }];
            let attributes = vec![text("service.name", "avs-gateway"), text("deployment.environment.name", "prod")];
            let resource = Some(Resource { attributes, ..Default::default() });
            let resource_spans = vec![ResourceSpans { resource, scope_spans, ..Default::default() }];
            ExportTraceServiceRequest { resource_spans }.encode_to_vec().into()
        })
        .collect()
}

struct Nothing;

impl<'a> Visitor<'a> for Nothing {
    fn restart(&mut self) {}

    fn span(&mut self, _: &SpanHead<'a>) {}
}

/// Asks of every key what a reader of attributes asks: is it one of mine?
#[derive(Default)]
struct Keys {
    matches: usize,
}

impl<'a> Visitor<'a> for Keys {
    fn restart(&mut self) {
        *self = Self::default();
    }

    fn span_attribute(&mut self, key: &'a [u8], value: Value<'a>, _: AttributePlace) {
        let mine = matches!(key, b"chain_id" | b"avs.operation" | b"avs.outcome" | b"avs.quorum.threshold");
        self.matches += usize::from(mine && value != Value::Empty);
    }

    fn span(&mut self, _: &SpanHead<'a>) {}
}

#[derive(Default)]
struct Places(Vec<SpanPlace>);

impl<'a> Visitor<'a> for Places {
    fn restart(&mut self) {
        *self = Self::default();
    }

    fn span(&mut self, span: &SpanHead<'a>) {
        self.0.push(span.place);
    }
}

fn benches(criterion: &mut Criterion) {
    let bodies = bodies();
    let bytes: usize = bodies.iter().map(Bytes::len).sum();
    eprintln!("{} bytes per span", bytes / bodies.len() / SPANS);
    let mut group = criterion.benchmark_group("span");
    group.throughput(Throughput::Elements(SPANS as u64));

    let mut next = bodies.iter().cycle();
    let mut copy = Vec::new();
    group.bench_function("memcpy", |bench| {
        bench.iter(|| {
            copy.clear();
            copy.extend_from_slice(next.next().expect("endless"));
            black_box(&copy);
        });
    });
    group.bench_function("prost decode", |bench| {
        bench.iter(|| ExportTraceServiceRequest::decode(next.next().expect("endless").as_ref()).expect("valid"));
    });
    group.bench_function("walk", |bench| {
        bench.iter(|| walk(next.next().expect("endless"), &mut Nothing).expect("valid"));
    });
    group.bench_function("walk and look at keys", |bench| {
        bench.iter(|| {
            let mut keys = Keys::default();
            walk(next.next().expect("endless"), &mut keys).expect("valid");
            keys.matches
        });
    });

    let places: Vec<Vec<SpanPlace>> = bodies
        .iter()
        .map(|body| {
            let mut places = Places::default();
            walk(body, &mut places).expect("valid");
            places.0
        })
        .collect();
    let mut next = bodies.iter().zip(&places).cycle();
    let mut edits = Edits::default();
    group.bench_function("edit every span", |bench| {
        bench.iter(|| {
            let (body, places) = next.next().expect("endless");
            edits.clear();
            for place in places {
                let mut span = edits.span(*place).expect("ascending");
                span.append(|attributes| attributes.str("chain_id", "11155111")).expect("small");
            }
            edits.apply(body).expect("same body")
        });
    });
    group.finish();
}

criterion_group!(walk_benches, benches);
criterion_main!(walk_benches);
