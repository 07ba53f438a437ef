//! One gateway process: the batches it exports, and what they mean.

use std::collections::VecDeque;
use std::sync::Arc;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};

use super::attribute::{self, Flavour};
use super::chain_id;
use super::clock_fault::ClockFault;
use super::fault_profile::Chain;
use super::ids::Ids;
use super::operation::TraceBuilder;
use super::span_builder::{Placement, SpanBuilder};
use crate::truth::{BatchFacts, Identity, OperationFact};

/// How many traces may begin between the beginning of a trace and its continuation. A trace that waits longer for the
/// acknowledgement of its beginning is never continued: the receiver may rightly have forgotten its chain.
const MAX_TRACES_BETWEEN: u64 = 4_000;

/// What identifies a simulated gateway.
#[derive(Clone, Debug, PartialEq)]
pub struct GatewaySettings {
    /// `service.name`.
    pub service: String,
    /// `deployment.environment.name`.
    pub environment: String,
    /// `service.instance.id`.
    pub instance: String,
    /// Which SDK it uses.
    pub flavour: Flavour,
    /// The chains that it serves; without any, no span has a chain.
    pub chains: Vec<Chain>,
}

/// One simulated gateway process. The same settings, seed and calls give the same bytes and the same truth.
#[derive(Debug)]
pub struct Gateway {
    settings: GatewaySettings,
    identity: Arc<Identity>,
    rng: fastrand::Rng,
    ids: Ids,
    traces: u64,
    batches: u64,
    /// A trace that did not fit the batch before and must not be split.
    held_over: Option<Vec<SpanBuilder>>,
    /// Continuations of traces whose beginning is not acknowledged yet.
    waiting: VecDeque<Continuation>,
    /// Continuations that may be sent.
    ready: VecDeque<Continuation>,
    clock_fault: ClockFault,
    /// No trace is continued in a later batch.
    whole_traces: bool,
}

/// The spans of a trace that follow in a later batch.
#[derive(Debug)]
struct Continuation {
    batch: u64,
    trace: u64,
    spans: Vec<SpanBuilder>,
}

/// One export request and its truth.
#[derive(Clone, Debug)]
pub struct Batch {
    /// For [`Gateway::answered`].
    pub id: u64,
    /// The message to send.
    pub request: ExportTraceServiceRequest,
    /// What it adds to the measurements once it is acknowledged.
    pub facts: BatchFacts,
}

impl Gateway {
    /// A gateway at its start.
    pub fn new(settings: GatewaySettings, seed: u64) -> Self {
        let identity = Arc::new(Identity {
            service: settings.service.clone(),
            environment: settings.environment.clone(),
            instance: settings.instance.clone(),
        });
        Self {
            settings,
            identity,
            rng: fastrand::Rng::with_seed(seed),
            ids: Ids::new(seed),
            traces: 0,
            batches: 0,
            held_over: None,
            waiting: VecDeque::new(),
            ready: VecDeque::new(),
            clock_fault: ClockFault::default(),
            whole_traces: false,
        }
    }

    /// The same gateway with a faulty clock.
    #[must_use]
    pub(crate) fn with_clock_fault(self, clock_fault: ClockFault) -> Self {
        Self { clock_fault, ..self }
    }

    /// The same gateway, which never continues a trace in a later batch: for a receiver that restarts in between and has
    /// rightly forgotten the beginning.
    #[must_use]
    pub(crate) fn with_whole_traces(self) -> Self {
        Self { whole_traces: true, ..self }
    }

    /// What it is.
    pub fn settings(&self) -> &GatewaySettings {
        &self.settings
    }

    /// Makes a batch of exactly `spans` spans that ended just before `now_unix_nano` by the gateway's own clock.
    pub fn next_batch(&mut self, spans: usize, now_unix_nano: u64) -> Batch {
        let id = self.batches;
        self.batches += 1;
        let now_unix_nano = self.clock_fault.apply(id, now_unix_nano);
        let mut built: Vec<SpanBuilder> = Vec::with_capacity(spans);
        while built.len() < spans {
            let room = spans - built.len();
            if let Some(mut rest) = self.ready.pop_front() {
                if rest.spans.len() > room {
                    let later = rest.spans.split_off(room);
                    self.ready.push_front(Continuation { batch: rest.batch, trace: rest.trace, spans: later });
                }
                built.append(&mut rest.spans);
                continue;
            }
            let mut trace = match self.held_over.take() {
                Some(trace) => trace,
                None => self.write(now_unix_nano),
            };
            if room < 2 && trace.len() > room {
                if spans >= 2 {
                    self.held_over = Some(trace);
                }
                let mut builder = TraceBuilder {
                    rng: &mut self.rng,
                    flavour: self.settings.flavour,
                    ids: &mut self.ids,
                    now: now_unix_nano,
                };
                built.push(builder.filler());
                continue;
            }
            // The first two spans carry the chain ids. What does not fit, and sometimes what would, follows once they are
            // acknowledged.
            let mut cut = trace.len().min(room);
            if cut > 3 && self.rng.u8(..10) == 0 {
                cut -= 2;
            }
            let rest = trace.split_off(cut);
            if !rest.is_empty() && !self.whole_traces {
                self.waiting.push_back(Continuation { batch: id, trace: self.traces, spans: rest });
            }
            built.append(&mut trace);
        }
        self.forget_the_old();
        let mut facts = BatchFacts::new(Arc::clone(&self.identity));
        facts.tags.reserve(built.len());
        let request = self.assemble(built, &mut facts);
        Batch { id, request, facts }
    }

    /// Reports how batch `id` was answered: its traces continue if it was acknowledged, and end otherwise.
    pub fn answered(&mut self, id: u64, acknowledged: bool) {
        let mut index = 0;
        while index < self.waiting.len() {
            if self.waiting[index].batch != id {
                index += 1;
                continue;
            }
            if let (Some(rest), true) = (self.waiting.remove(index), acknowledged) {
                self.ready.push_back(rest);
            }
        }
    }

    fn forget_the_old(&mut self) {
        let oldest = self.traces.saturating_sub(MAX_TRACES_BETWEEN);
        self.waiting.retain(|rest| rest.trace >= oldest);
        self.ready.retain(|rest| rest.trace >= oldest);
    }

    fn write(&mut self, now: u64) -> Vec<SpanBuilder> {
        self.traces += 1;
        let Self { settings, rng, ids, traces, .. } = self;
        let mut builder = TraceBuilder { rng, flavour: settings.flavour, ids, now };
        let count = settings.chains.len();
        if count == 0 {
            return vec![builder.filler()];
        }
        let first = builder.rng.usize(..count);
        let second = (count > 1).then(|| settings.chains[(first + builder.rng.usize(1..count)) % count].id);
        builder.trace(&settings.chains[first], second, *traces)
    }

    /// Sorts the spans into resources and scopes, and records what they mean.
    fn assemble(&mut self, built: Vec<SpanBuilder>, facts: &mut BatchFacts) -> ExportTraceServiceRequest {
        let mut groups: Vec<(Placement, Vec<_>)> = Vec::with_capacity(4);
        for span in built {
            facts.spans += 1;
            let key = span.key();
            facts.tags.push((key, span.tag));
            match span.fact {
                // Some ids change after the span was built, so the key is taken here.
                Some(fact) => facts.operations.push(OperationFact { span: key, ..fact }),
                None => facts.unclassified += 1,
            }
            match groups.iter_mut().find(|(group, _)| *group == span.placement) {
                Some((_, spans)) => spans.push(span.message),
                None => groups.push((span.placement, vec![span.message])),
            }
        }
        let mut main = ResourceSpans { resource: Some(self.resource()), ..ResourceSpans::default() };
        let mut others = Vec::new();
        for (group, spans) in groups {
            let mut scope = InstrumentationScope {
                name: if group == Placement::Library { "eigensdk" } else { "avs-gateway" }.to_owned(),
                version: "1.4.0".to_owned(),
                ..InstrumentationScope::default()
            };
            if let Placement::Scope(chain) = group {
                scope.attributes.push(chain_id::valid(&mut self.rng, self.settings.flavour, chain));
            }
            let scope_spans = ScopeSpans { scope: Some(scope), spans, schema_url: String::new() };
            if let Placement::Resource(chain) = group {
                let mut resource = self.resource();
                resource.attributes.push(chain_id::valid(&mut self.rng, self.settings.flavour, chain));
                others.push(ResourceSpans {
                    resource: Some(resource),
                    scope_spans: vec![scope_spans],
                    ..ResourceSpans::default()
                });
            } else {
                main.scope_spans.push(scope_spans);
            }
        }
        if !main.scope_spans.is_empty() {
            others.insert(0, main);
        }
        ExportTraceServiceRequest { resource_spans: others }
    }

    fn resource(&self) -> Resource {
        let (language, version) = match self.settings.flavour {
            Flavour::Collector => ("go", "1.38.0"),
            Flavour::RustSdk => ("rust", "0.31.0"),
        };
        let attributes: Vec<KeyValue> = vec![
            attribute::text("service.name", self.settings.service.as_str()),
            attribute::text("deployment.environment.name", self.settings.environment.as_str()),
            attribute::text("service.instance.id", self.settings.instance.as_str()),
            attribute::text("telemetry.sdk.name", "opentelemetry"),
            attribute::text("telemetry.sdk.language", language),
            attribute::text("telemetry.sdk.version", version),
        ];
        Resource { attributes, ..Resource::default() }
    }
}

/// `count` gateways that each serve all of `chains`: most in production, some in staging, with both kinds of SDK.
pub fn gateways(count: usize, chains: &[Chain], seed: u64) -> Vec<Gateway> {
    (0..count)
        .map(|index| {
            let settings = GatewaySettings {
                service: if index % 3 == 2 { "newton-gateway" } else { "avs-gateway" }.to_owned(),
                environment: if index % 3 == 1 { "staging" } else { "production" }.to_owned(),
                instance: format!("gateway-{index}"),
                flavour: if index % 2 == 0 { Flavour::RustSdk } else { Flavour::Collector },
                chains: chains.to_vec(),
            };
            // Seeds far apart, so that no two gateways draw the same ids.
            Gateway::new(settings, seed.wrapping_mul(1_000_003).wrapping_add(index as u64))
        })
        .collect()
}
