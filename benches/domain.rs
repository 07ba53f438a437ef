//! What understanding a span costs, apart from the walk: `cargo bench --bench domain`.
//!
//! Two spans of ten attributes each: an operation, and a library span of which nothing is known.

use std::hint::black_box;
use std::time::Duration;

use chainspan::chain::{
    ChainCandidate, ChainId, ChainKeys, OwnTag, RequestTraces, Resolved, Spelling, TAG_KEY, Traces,
};
use chainspan::gateway::{Facts, Names, QuorumReason, measure, operation_of};
use chainspan::otlp::{AttributePlace, Container, SpanHead, SpanPlace, Value};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

type Attributes = [(&'static [u8], Value<'static>); 10];

const OPERATION: Attributes = [
    (b"avs.operation", Value::Str(b"bls_aggregation")),
    (b"avs.outcome", Value::Str(b"reached")),
    (b"chain_id", Value::Str(b"11155111")),
    (b"avs.task.id", Value::Str(b"0x1234567890abcdef")),
    (b"avs.attempt.count", Value::Str(b"1")),
    (b"avs.quorum.threshold", Value::Str(b"67")),
    (b"avs.quorum.signed_stake_ratio", Value::Double(0.8)),
    (b"thread.id", Value::Int(5)),
    (b"code.namespace", Value::Str(b"gateway::aggregation")),
    (b"code.lineno", Value::Int(42)),
];

const LIBRARY: Attributes = [
    (b"chain_id", Value::Str(b"11155111")),
    (b"http.request.method", Value::Str(b"POST")),
    (b"url.full", Value::Str(b"http://rpc.example/")),
    (b"server.address", Value::Str(b"rpc.example")),
    (b"busy_ns", Value::Int(1_000)),
    (b"idle_ns", Value::Int(2_000)),
    (b"thread.name", Value::Str(b"worker")),
    (b"thread.id", Value::Int(5)),
    (b"code.namespace", Value::Str(b"alloy::transport")),
    (b"code.lineno", Value::Int(42)),
];

fn head(name: &'static [u8], description: &'static [u8]) -> SpanHead<'static> {
    let nowhere = Container { length_at: 0, start: 0, end: 0 };
    SpanHead {
        trace_id: &[1; 16],
        span_id: &[1; 8],
        parent_span_id: &[],
        name,
        kind: 1,
        start_unix_nano: 0,
        end_unix_nano: 1,
        status_code: 0,
        status_message: description,
        duplicate_keys: false,
        place: SpanPlace { resource_spans: nowhere, scope_spans: nowhere, span: nowhere },
    }
}

fn spans(criterion: &mut Criterion) {
    let (keys, names) = (ChainKeys::default(), Names::default());
    let mut group = criterion.benchmark_group("span");
    let cases = [
        ("operation", OPERATION, head(b"aggregate signatures", b"")),
        ("library", LIBRARY, head(b"verify_signature", b"")),
    ];
    for (name, attributes, head) in cases {
        let (mut facts, mut own) = (Facts::new(), OwnTag::default());
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                facts.clear();
                own.clear();
                let mut found = ChainCandidate::NOTHING;
                for &(key, value) in black_box(&attributes) {
                    facts.attribute(key, value);
                    if let Some(rank) = keys.rank(key) {
                        found.offer(rank, value);
                        if key == TAG_KEY.as_bytes() {
                            own.attribute(Spelling::of(value), AttributePlace { start: 0, end: 20 });
                        }
                    }
                }
                black_box(own.plan(Resolved::own(&found, &ChainCandidate::NOTHING, &ChainCandidate::NOTHING).chain));
                black_box(operation_of(&facts, &head, &names).map(|operation| measure(operation, &facts, &head)))
            });
        });
    }
    group.finish();
}

fn texts(criterion: &mut Criterion) {
    const TEXT: &[u8] = b"aggregation failed after 3 attempts over 12.5 seconds: operators answered late, \
        Quorum not reached for task 0x1234567890abcdef at block 1234";
    let mut group = criterion.benchmark_group("text");
    group.throughput(Throughput::Bytes(TEXT.len() as u64));
    group.bench_function("quorum", |bencher| {
        bencher.iter(|| black_box(QuorumReason::from_text(black_box(TEXT), |_| true)))
    });
    group.finish();
}

fn traces(criterion: &mut Criterion) {
    const SPANS: u128 = 512;
    let chain = ChainId::new(11_155_111).expect("it is in range");
    let id = |number: u128| (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes();
    let memory = Traces::new(100_000, Duration::from_secs(300));
    let mut group = criterion.benchmark_group("traces");
    group.throughput(Throughput::Elements(SPANS as u64));
    for (name, spans_per_trace) in [("8 spans each", 8), ("1 span each", 1)] {
        let mut request = RequestTraces::default();
        let mut first = 0;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                first += SPANS;
                request.clear();
                for span in 0..SPANS {
                    request.note(&id(first + span / spans_per_trace), chain);
                }
                black_box(request.settle(&memory, 0))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, spans, texts, traces);
criterion_main!(benches);
