//! What is counted: each scenario makes its work ready, unseen, and then does it.

use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use chainspan::chain::{ChainCandidate, ChainId, ChainKeys, OwnTag, Resolved, Spelling, TAG_KEY};
use chainspan::config;
use chainspan::delivery::Signal;
use chainspan::export::otlp::{Period, PushSettings, requests};
use chainspan::export::prometheus::{Format, render};
use chainspan::gateway::{Facts, Measured, Names, measure, operation_of};
use chainspan::otlp::{AttributePlace, Edits, SpanHead, SpanPlace, Value, Visitor, walk};
use chainspan::pipeline::{Budget, Parts, Pipeline};
use chainspan::red::{Dims, Observation, Red, RedSettings, Stage};
use chainspan::telemetry::Telemetry;

#[path = "../hop/bodies.rs"]
#[allow(dead_code, unreachable_pub)]
mod bodies;

/// Bodies that are gone through, and spans in each.
const BODIES: usize = 8;
const SPANS: usize = 512;

/// Chains of the encoders' snapshot.
const CHAINS: u64 = 16;

/// One thing that is counted.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// What the instructions are divided by.
    pub(crate) unit: &'static str,
    pub(crate) units: usize,
    pub(crate) prepare: fn() -> Box<dyn FnMut()>,
}

const fn per_span(name: &'static str, prepare: fn() -> Box<dyn FnMut()>) -> Scenario {
    Scenario { name, unit: "span", units: BODIES * SPANS, prepare }
}

impl Scenario {
    pub(crate) const ALL: &'static [Self] = &[
        per_span("walk", walk_only),
        per_span("classify", classify_only),
        per_span("tag", tag_every_span),
        per_span("commit", commit_only),
        per_span("pipeline tagged", || accept(true)),
        per_span("pipeline untagged", || accept(false)),
        Scenario { name: "encode prometheus", unit: "page", units: 1, prepare: encode_prometheus },
        Scenario { name: "encode otlp", unit: "push", units: 1, prepare: encode_otlp },
    ];
}

fn bodies(tagged: bool) -> Vec<Bytes> {
    let mut bodies = bodies::make(bodies::Shape::usual(SPANS, tagged));
    bodies.truncate(BODIES);
    bodies
}

struct Nothing;

impl<'a> Visitor<'a> for Nothing {
    fn restart(&mut self) {}

    fn span(&mut self, span: &SpanHead<'a>) {
        black_box(span);
    }
}

fn walk_only() -> Box<dyn FnMut()> {
    let bodies = bodies(true);
    Box::new(move || {
        for body in &bodies {
            walk(body, &mut Nothing).expect("valid");
        }
    })
}

type Attributes<'a> = Vec<(&'a [u8], Value<'a>, AttributePlace)>;

/// What the walk shows of each span.
#[derive(Default)]
struct Shown<'a> {
    attributes: Attributes<'a>,
    spans: Vec<(SpanHead<'a>, Attributes<'a>)>,
}

impl<'a> Visitor<'a> for Shown<'a> {
    fn restart(&mut self) {}

    fn span_attribute(&mut self, key: &'a [u8], value: Value<'a>, place: AttributePlace) {
        self.attributes.push((key, value, place));
    }

    fn span(&mut self, span: &SpanHead<'a>) {
        self.spans.push((*span, std::mem::take(&mut self.attributes)));
    }
}

/// The bodies live as long as the process: what was shown of them can be kept.
fn shown(tagged: bool) -> Vec<Shown<'static>> {
    let bodies: &'static [Bytes] = bodies(tagged).leak();
    let show = |body: &'static Bytes| {
        let mut shown = Shown::default();
        walk(body, &mut shown).expect("valid");
        shown
    };
    bodies.iter().map(show).collect()
}

fn classify_only() -> Box<dyn FnMut()> {
    let (keys, names, shown) = (ChainKeys::default(), Names::default(), shown(true));
    Box::new(move || {
        let (mut facts, mut own) = (Facts::new(), OwnTag::default());
        for (head, attributes) in shown.iter().flat_map(|shown| &shown.spans) {
            let mut found = ChainCandidate::NOTHING;
            for &(key, value, place) in attributes {
                if let Some(rank) = keys.rank(key) {
                    let spelling = Spelling::of(value);
                    found.offer_chain(rank, spelling.chain);
                    if key == TAG_KEY.as_bytes() {
                        own.attribute(spelling, place);
                    }
                }
                facts.attribute(key, value);
            }
            let measured = operation_of(&facts, head, &names).map(|operation| measure(operation, &facts, head));
            black_box((
                measured,
                own.plan(Resolved::own(&found, &ChainCandidate::NOTHING, &ChainCandidate::NOTHING).chain),
            ));
            facts.clear();
            own.clear();
        }
    })
}

fn tag_every_span() -> Box<dyn FnMut()> {
    let bodies = bodies(false);
    let places: Vec<Vec<SpanPlace>> =
        shown(false).iter().map(|shown| shown.spans.iter().map(|(head, _)| head.place).collect()).collect();
    let mut edits = Edits::default();
    Box::new(move || {
        for (body, places) in bodies.iter().zip(&places) {
            edits.clear();
            for place in places {
                let mut span = edits.span(*place).expect("ascending");
                span.append(|attributes| attributes.str("chain_id", "11155111")).expect("small");
            }
            black_box(edits.apply(body).expect("the same body"));
        }
    })
}

/// What the spans of the bodies say, spread over `chains`.
fn stages(chains: u64) -> Vec<Stage> {
    let (names, mut facts) = (Names::default(), Facts::new());
    let dims = Arc::new(Dims(vec!["avs-gateway".into(), "bench".into()].into()));
    let mut number = 0;
    let mut observation = |head: &SpanHead<'_>, measured: Measured| {
        number += 1;
        Observation {
            dims: 0,
            chain: ChainId::new(1 + number % chains),
            measured,
            end_unix_nano: NOW - number % 1_000,
            duration_nano: head.end_unix_nano - head.start_unix_nano,
            trace_id: head.trace_id.try_into().expect("16 bytes"),
            span_id: head.span_id.try_into().expect("8 bytes"),
        }
    };
    let mut stage = |shown: &Shown<'static>| {
        let mut stage = Stage { dims: vec![dims.clone()], ..Stage::default() };
        for (head, attributes) in &shown.spans {
            facts.clear();
            attributes.iter().for_each(|(key, value, _)| facts.attribute(key, *value));
            let measured = operation_of(&facts, head, &names).map(|operation| measure(operation, &facts, head));
            stage.observations.extend(measured.map(|measured| observation(head, measured)));
        }
        stage
    };
    shown(true).iter().map(&mut stage).collect()
}

/// The wall clock: nine seconds into a window.
const NOW: u64 = 1_700_000_009_000_000_000;

fn commit_only() -> Box<dyn FnMut()> {
    let (red, stages) = (Red::new(RedSettings { max_series: 8_192, ..RedSettings::default() }), stages(64));
    Box::new(move || stages.iter().for_each(|stage| red.commit(stage, NOW)))
}

fn measured() -> Red {
    let red = Red::new(RedSettings { max_series: 8_192, ..RedSettings::default() });
    stages(CHAINS).iter().for_each(|stage| red.commit(stage, NOW));
    red
}

fn encode_prometheus() -> Box<dyn FnMut()> {
    let (red, own) = (measured(), Telemetry::new().samples());
    let snapshot = red.snapshot(NOW);
    Box::new(move || drop(black_box(render(Format::Text, Some(&snapshot), &own))))
}

fn encode_otlp() -> Box<dyn FnMut()> {
    let snapshot = measured().snapshot(NOW);
    let settings =
        PushSettings { temporality: config::Temporality::Cumulative, instance: None, max_request_bytes: 1 << 20 };
    Box::new(move || {
        drop(black_box(requests(&snapshot, Period::Until(NOW), &settings)));
    })
}

/// A pipeline with the defaults of `collector-config.yaml` and nowhere to send to: its answers do not wait.
fn accept(tagged: bool) -> Box<dyn FnMut()> {
    let text = include_str!("../../collector-config.yaml");
    let config = config::parse(text, "collector-config.yaml", &|_| None).expect("the configuration that is shipped");
    let pipeline = Pipeline::new(Parts {
        budget: Budget::new(1 << 30),
        chain: config.chain.as_ref(),
        gateway: config.gateway.as_ref(),
        red: Some(Arc::new(Red::new(RedSettings::default()))),
        destinations: Vec::new(),
        telemetry: Telemetry::new(),
    });
    let bodies = bodies(tagged);
    Box::new(move || {
        for body in &bodies {
            let answer = pin!(pipeline.accept(Signal::Traces, body.clone(), None));
            let Poll::Ready(answer) = answer.poll(&mut Context::from_waker(Waker::noop())) else {
                panic!("there is no destination to wait for")
            };
            answer.expect("a valid request");
        }
    })
}
