//! One gateway process: what it exports, and what that is meant to say.

use std::collections::VecDeque;
use std::sync::Arc;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};

use super::character::Chain;
use super::draft::{self, Draft, Flavour, Group};
use super::fact::{Fact, Facts, Identity};
use super::spelling;
use super::story::{Author, Ids};
use super::trouble::Burden;

/// Stories that may lie between the beginning of a trace and its continuation. A trace that waits longer for the
/// acknowledgement of its beginning is never continued: the receiver may rightly have forgotten its chain.
const MAX_STORIES_BETWEEN: u64 = 4_000;

/// What a simulated gateway is.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `service.name`.
    pub service: String,
    /// `deployment.environment.name`.
    pub environment: String,
    /// `service.instance.id`.
    pub instance: String,
    /// Which SDK it uses.
    pub flavour: Flavour,
    /// The chains that it serves; none at all: every span is without a chain.
    pub chains: Vec<Chain>,
}

/// One simulated gateway process. The same settings, seed and calls give the same bytes and the same truth.
#[derive(Debug)]
pub struct Gateway {
    settings: Settings,
    identity: Arc<Identity>,
    rng: fastrand::Rng,
    ids: Ids,
    stories: u64,
    batches: u64,
    /// A story that did not fit the batch before and must not be cut.
    kept: Option<Vec<Draft>>,
    /// Rests of stories whose beginning is not acknowledged yet.
    waiting: VecDeque<Rest>,
    /// Rests that may be sent.
    ready: VecDeque<Rest>,
    burden: Burden,
}

/// The rest of a story.
#[derive(Debug)]
struct Rest {
    batch: u64,
    story: u64,
    spans: Vec<Draft>,
}

/// One export request and its truth.
#[derive(Clone, Debug)]
pub struct Batch {
    /// To be told to [`Gateway::answered`].
    pub id: u64,
    /// What is sent.
    pub request: ExportTraceServiceRequest,
    /// What it must add to the measurements if it is acknowledged.
    pub facts: Facts,
}

impl Gateway {
    /// A gateway at its start.
    pub fn new(settings: Settings, seed: u64) -> Self {
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
            stories: 0,
            batches: 0,
            kept: None,
            waiting: VecDeque::new(),
            ready: VecDeque::new(),
            burden: Burden::default(),
        }
    }

    /// The same gateway in trouble: its clock is wrong, or its batches come late.
    #[must_use]
    pub(super) fn burdened(mut self, burden: Burden) -> Self {
        self.burden = burden;
        self
    }

    /// What it is.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Exactly `spans` spans that ended just before `now_unix_nano`, as the gateway's own clock has it.
    pub fn next_batch(&mut self, spans: usize, now_unix_nano: u64) -> Batch {
        let id = self.batches;
        self.batches += 1;
        let now_unix_nano = self.burden.clock(id, now_unix_nano);
        let mut drafts: Vec<Draft> = Vec::with_capacity(spans);
        while drafts.len() < spans {
            let room = spans - drafts.len();
            if let Some(mut rest) = self.ready.pop_front() {
                if rest.spans.len() > room {
                    let later = rest.spans.split_off(room);
                    self.ready.push_front(Rest { batch: rest.batch, story: rest.story, spans: later });
                }
                drafts.append(&mut rest.spans);
                continue;
            }
            let mut story = match self.kept.take() {
                Some(story) => story,
                None => self.write(now_unix_nano),
            };
            if room < 2 && story.len() > room {
                if spans >= 2 {
                    self.kept = Some(story);
                }
                let mut author = Author {
                    rng: &mut self.rng,
                    flavour: self.settings.flavour,
                    ids: &mut self.ids,
                    now: now_unix_nano,
                };
                drafts.push(author.filler());
                continue;
            }
            // The first two spans bear the chains; what does not fit, and sometimes what would, follows once they are
            // acknowledged.
            let mut cut = story.len().min(room);
            if cut > 3 && self.rng.u8(..10) == 0 {
                cut -= 2;
            }
            let rest = story.split_off(cut);
            // A receiver that restarts in between has rightly forgotten the beginning: then the rest is never sent.
            if !rest.is_empty() && !self.burden.whole_stories {
                self.waiting.push_back(Rest { batch: id, story: self.stories, spans: rest });
            }
            drafts.append(&mut story);
        }
        self.forget_the_old();
        let mut facts = Facts::new(Arc::clone(&self.identity));
        facts.tags.reserve(drafts.len());
        let request = self.assemble(drafts, &mut facts);
        Batch { id, request, facts }
    }

    /// Tells how batch `id` was answered: what belongs to it goes on if it was acknowledged, and ends with it otherwise.
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
        let oldest = self.stories.saturating_sub(MAX_STORIES_BETWEEN);
        self.waiting.retain(|rest| rest.story >= oldest);
        self.ready.retain(|rest| rest.story >= oldest);
    }

    fn write(&mut self, now: u64) -> Vec<Draft> {
        self.stories += 1;
        let Self { settings, rng, ids, stories, .. } = self;
        let mut author = Author { rng, flavour: settings.flavour, ids, now };
        let count = settings.chains.len();
        if count == 0 {
            return vec![author.filler()];
        }
        let first = author.rng.usize(..count);
        let second = (count > 1).then(|| settings.chains[(first + author.rng.usize(1..count)) % count].id);
        author.story(&settings.chains[first], second, *stories)
    }

    /// Sorts the drafts into resources and scopes, and notes what they mean.
    fn assemble(&mut self, drafts: Vec<Draft>, facts: &mut Facts) -> ExportTraceServiceRequest {
        let mut groups: Vec<(Group, Vec<_>)> = Vec::with_capacity(4);
        for draft in drafts {
            facts.spans += 1;
            let key = draft.key();
            facts.tags.push((key, draft.tag));
            match draft.fact {
                // Ids are changed after drafting, so the key is taken here.
                Some(fact) => facts.operations.push(Fact { span: key, ..fact }),
                None => facts.unclassified += 1,
            }
            match groups.iter_mut().find(|(group, _)| *group == draft.group) {
                Some((_, spans)) => spans.push(draft.span),
                None => groups.push((draft.group, vec![draft.span])),
            }
        }
        let mut main = ResourceSpans { resource: Some(self.resource()), ..ResourceSpans::default() };
        let mut others = Vec::new();
        for (group, spans) in groups {
            let mut scope = InstrumentationScope {
                name: if group == Group::Library { "eigensdk" } else { "avs-gateway" }.to_owned(),
                version: "1.4.0".to_owned(),
                ..InstrumentationScope::default()
            };
            if let Group::Scope(chain) = group {
                scope.attributes.push(spelling::valid(&mut self.rng, self.settings.flavour, chain));
            }
            let scope_spans = ScopeSpans { scope: Some(scope), spans, schema_url: String::new() };
            if let Group::Resource(chain) = group {
                let mut resource = self.resource();
                resource.attributes.push(spelling::valid(&mut self.rng, self.settings.flavour, chain));
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
            draft::text("service.name", self.settings.service.as_str()),
            draft::text("deployment.environment.name", self.settings.environment.as_str()),
            draft::text("service.instance.id", self.settings.instance.as_str()),
            draft::text("telemetry.sdk.name", "opentelemetry"),
            draft::text("telemetry.sdk.language", language),
            draft::text("telemetry.sdk.version", version),
        ];
        Resource { attributes, ..Resource::default() }
    }
}
