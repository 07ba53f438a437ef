//! All that chainspan does with a request in memory (walk, classify, find the chain, tag, count), per span, beside what
//! it is measured against in the same run: copying the body and decoding it with prost.
//!
//! The requests are those of the hop benchmark: 512 spans of about 440 bytes with 10 attributes, 64 different bodies in
//! turn. `cargo bench --bench pipeline`; criterion's times are per request, its `elem/s` are spans, and the last lines say
//! nanoseconds per span.

use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chainspan::config;
use chainspan::delivery::Signal;
use chainspan::pipeline::{Budget, Parts, Pipeline};
use chainspan::red::{Red, RedSettings};
use chainspan::telemetry::Telemetry;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

#[path = "hop/bodies.rs"]
#[allow(dead_code, unreachable_pub)]
mod bodies;
use bodies::Shape;

const SPANS: usize = 512;

/// What is measured: its name, its bodies, and what is done with each.
type Subject<'a> = (&'a str, &'a [Bytes], Box<dyn FnMut(&Bytes) + 'a>);

/// A pipeline with the defaults of `collector-config.yaml` and nowhere to send to: its answers do not wait.
fn pipeline() -> Pipeline {
    let text = include_str!("../collector-config.yaml");
    let config = config::parse(text, "collector-config.yaml", &|_| None).expect("the configuration that is shipped");
    let gateway = config.gateway.as_ref().expect("it measures");
    let red = Red::new(RedSettings {
        namespace: gateway.namespace.clone(),
        dimensions: gateway.dimensions.clone(),
        chains: gateway.chains.keys().copied().collect(),
        max_chains: gateway.max_chains,
        max_series: gateway.max_series,
        committers: 2,
        ..RedSettings::default()
    });
    Pipeline::new(Parts {
        budget: Budget::new(1 << 30),
        chain: config.chain.as_ref(),
        gateway: Some(gateway),
        red: Some(Arc::new(red)),
        destinations: Vec::new(),
        telemetry: Telemetry::new(),
    })
}

fn accept(pipeline: &Pipeline, body: &Bytes) {
    let answer = pin!(pipeline.accept(Signal::Traces, body.clone(), None));
    let Poll::Ready(answer) = answer.poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("there is no destination to wait for")
    };
    answer.expect("a valid request");
}

fn copy(to: &mut Vec<u8>, body: &Bytes) {
    to.clear();
    to.extend_from_slice(body);
    black_box(to);
}

fn decode(body: &Bytes) {
    black_box(ExportTraceServiceRequest::decode(body.as_ref()).expect("a valid request"));
}

fn benches(criterion: &mut Criterion) {
    let (tagged, untagged) = (bodies::make(Shape::usual(SPANS, true)), bodies::make(Shape::usual(SPANS, false)));
    let pipeline = pipeline();
    let mut copied = Vec::new();
    let mut subjects: [Subject<'_>; 4] = [
        ("memcpy", &tagged, Box::new(|body| copy(&mut copied, body))),
        ("tagged", &tagged, Box::new(|body| accept(&pipeline, body))),
        ("untagged", &untagged, Box::new(|body| accept(&pipeline, body))),
        ("prost decode", &tagged, Box::new(decode)),
    ];
    let mut group = criterion.benchmark_group("pipeline");
    group.throughput(Throughput::Elements(SPANS as u64));
    for (name, bodies, run) in &mut subjects {
        let mut next = bodies.iter().cycle();
        group.bench_function(*name, |bencher| bencher.iter(|| run(next.next().expect("endless"))));
    }
    group.finish();
    together(&mut subjects);
}

/// Nanoseconds per span with the subjects taking turns, so that whatever disturbs the machine disturbs all of them. The
/// median of the rounds counts.
fn together(subjects: &mut [Subject<'_>]) {
    const ROUNDS: usize = 41;
    let mut rounds: Vec<Vec<Duration>> = vec![Vec::new(); subjects.len()];
    for _ in 0..ROUNDS {
        for ((_, bodies, run), rounds) in subjects.iter_mut().zip(&mut rounds) {
            let start = Instant::now();
            bodies.iter().for_each(&mut *run);
            rounds.push(start.elapsed());
        }
    }
    let spans = (SPANS * bodies::BODIES) as f64;
    let per_span = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[ROUNDS / 2].as_nanos() as f64 / spans
    };
    let times: Vec<f64> = rounds.iter_mut().map(per_span).collect();
    println!("in turn:      ns/span  × memcpy");
    for ((name, ..), time) in subjects.iter().zip(&times) {
        println!("{name:12} {time:8.1} {:9.1}", time / times[0]);
    }
}

criterion_group!(pipeline_benches, benches);
criterion_main!(pipeline_benches);
