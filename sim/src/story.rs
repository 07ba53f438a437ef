//! One trace: a task from its arrival to its webhook, a batched transaction of no task, or an oddity.
//!
//! Whatever is written, the chain of every span is well defined: the first span of a story bears the chain (or the first
//! two bear two, in an ambiguous one), and a story that is cut in two is continued only after its beginning was
//! acknowledged.

use opentelemetry_proto::tonic::trace::v1::span::{Link, SpanKind};

use super::character::Chain;
use super::draft::{self, Draft, Flavour, Group};
use super::ending::Stage;
use super::fact::{Fact, More, Tag};
use super::spec;
use super::spelling;

/// Where a story writes its chain id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carriage {
    /// On every operation span, under any key, in any spelling.
    Spans,
    /// On the scope.
    Scope,
    /// On the resource.
    Resource,
    /// On the root span only: the others inherit.
    Root,
    /// On two spans that disagree: the others get nothing.
    Ambiguous(u64),
    /// Nowhere.
    Nowhere,
}

/// Makes stories of one gateway.
pub(super) struct Author<'a> {
    pub(super) rng: &'a mut fastrand::Rng,
    pub(super) flavour: Flavour,
    pub(super) ids: &'a mut Ids,
    pub(super) now: u64,
}

/// Trace and span ids: unique over gateways and batches, and the same for the same seed.
#[derive(Clone, Debug)]
pub(super) struct Ids {
    seed: u64,
    next: u64,
}

impl Ids {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, next: 0 }
    }

    /// A span id, never zero. SplitMix64's finisher is a bijection, so counters that differ give ids that differ.
    fn span(&mut self) -> u64 {
        loop {
            self.next += 1;
            let mut z = self.next.wrapping_add(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^= z >> 31;
            if z != 0 {
                return z;
            }
        }
    }

    /// A moment in the millisecond before `end` that no other operation of this gateway ends at: which gauge was seen last
    /// must never be a matter of taste.
    fn moment(&mut self, end: u64) -> u64 {
        const MILLISECOND: u64 = 1_000_000;
        self.next += 1;
        (end - end % MILLISECOND).saturating_sub(MILLISECOND) + self.next % MILLISECOND
    }

    fn trace(&mut self) -> [u8; 16] {
        (u128::from(self.span()) << 64 | u128::from(self.span())).to_be_bytes()
    }
}

impl Author<'_> {
    /// The spans of one story about `chain`, the chain-bearing ones first; `second` is another chain of this gateway.
    pub(super) fn story(&mut self, chain: &Chain, second: Option<u64>, task: u64) -> Vec<Draft> {
        match self.rng.u16(..1000) {
            0..=4 => vec![self.odd_trace_id(chain)],
            5..=9 => vec![self.odd_span_id(chain)],
            10..=14 => vec![self.duplicate_keys(chain)],
            15..=19 => vec![self.two_keys(chain)],
            20..=119 => self.batched_transaction(chain, task),
            _ => self.task(chain, second, task),
        }
    }

    /// A span that says nothing, to fill a batch up.
    pub(super) fn filler(&mut self) -> Draft {
        let trace = self.ids.trace();
        let mut draft = self.library(&trace, 0, self.now);
        draft.tag = Tag::Absent;
        draft
    }

    fn task(&mut self, chain: &Chain, second: Option<u64>, task: u64) -> Vec<Draft> {
        let carriage = match (self.rng.u8(..100), second) {
            (0..=3, _) => Carriage::Nowhere,
            (4..=6, Some(second)) => Carriage::Ambiguous(second),
            (7..=16, _) => Carriage::Scope,
            (17..=26, _) => Carriage::Resource,
            (27..=49, _) => Carriage::Root,
            _ => Carriage::Spans,
        };
        let trace = self.ids.trace();
        let odds = chain.character.odds(task);
        let task_id = format!("0x{:064x}", u128::from_be_bytes(trace));
        let end = self.now.saturating_sub(self.rng.u64(..200_000_000));
        let root = self.ids.span();

        let mut aggregation = self.operation("bls_aggregation", &trace, root, end, 180_000_000);
        let reached = self.stage(odds, |stage, draft, fact| stage.aggregation(draft, fact), &mut aggregation);
        let mut steps = vec![aggregation];
        for round in ["prepare", "evaluate"] {
            let mut broadcast = self.operation("task_broadcast", &trace, root, end, 12_000_000);
            broadcast.span.kind = SpanKind::Producer as i32;
            broadcast.put(draft::text("avs.broadcast.round", round));
            self.stage(odds, |stage, draft, fact| stage.broadcast(draft, fact), &mut broadcast);
            steps.push(broadcast);
        }
        let mut worked = reached;
        if reached {
            let mut transaction = self.transaction(&trace, root, end, chain);
            worked = self.stage(odds, |stage, draft, fact| stage.transaction(draft, fact), &mut transaction);
            steps.push(transaction);
        }
        if !worked || self.rng.u8(..3) == 0 {
            let mut webhook = self.operation("webhook_delivery", &trace, root, end, 90_000_000);
            webhook.span.kind = SpanKind::Client as i32;
            self.stage(odds, |stage, draft, fact| stage.webhook(draft, fact), &mut webhook);
            steps.push(webhook);
        }
        let base = 200_000_000 + chain.block_time.as_nanos() as u64 / 4;
        let mut first = self.operation("task", &trace, 0, end, base);
        first.span.span_id = root.to_be_bytes().to_vec();
        first.span.kind = SpanKind::Server as i32;
        self.stage(odds, |stage, draft, fact| stage.task(draft, fact, worked), &mut first);
        steps.insert(0, first);

        for step in &mut steps {
            step.put(draft::text("avs.task.id", task_id.as_str()));
        }
        if let Carriage::Ambiguous(_) = carriage {
            // The second chain is the destination: its transaction, or whatever comes last.
            let last = steps.len() - 1;
            steps.swap(1, last);
        }
        let flood = match self.flavour {
            Flavour::RustSdk => self.rng.usize(2..9),
            Flavour::Collector => self.rng.usize(..2),
        };
        for _ in 0..flood {
            let library = self.library(&trace, root, end);
            steps.push(library);
        }
        self.carry(&mut steps, carriage, chain.id);
        steps
    }

    /// Writes the chain where `carriage` says, and what every span must be tagged and counted with.
    fn carry(&mut self, steps: &mut [Draft], carriage: Carriage, chain: u64) {
        for (index, step) in steps.iter_mut().enumerate() {
            let operation = step.fact.is_some();
            let (found, own) = match carriage {
                Carriage::Spans => (Some(chain), operation),
                Carriage::Scope => {
                    step.group = Group::Scope(chain);
                    (Some(chain), false)
                }
                Carriage::Resource => {
                    step.group = Group::Resource(chain);
                    (Some(chain), false)
                }
                Carriage::Root => (Some(chain), index == 0),
                Carriage::Ambiguous(_) if index == 0 => (Some(chain), true),
                Carriage::Ambiguous(second) if index == 1 => (Some(second), true),
                Carriage::Ambiguous(_) | Carriage::Nowhere => (None, false),
            };
            if let (Some(id), true) = (found, own) {
                step.put(spelling::valid(self.rng, self.flavour, id));
            }
            step.tag = found.map_or(Tag::Absent, Tag::Canonical);
            if !own && self.rng.u8(..25) == 0 {
                // Something that is no chain id: it must fall to the next source.
                let plain = self.rng.bool();
                let key = if plain { spec::CHAIN_KEYS[0] } else { spec::CHAIN_KEYS[self.rng.usize(1..8)] };
                step.put(spelling::invalid_under(self.rng, key));
                if plain && found.is_none() {
                    step.tag = Tag::Invalid;
                }
            }
            if let Some(fact) = &mut step.fact {
                fact.chain = found;
            }
        }
    }

    /// Runs an ending on an operation span.
    fn stage<T>(
        &mut self,
        odds: super::character::Odds,
        ending: impl FnOnce(&mut Stage<'_>, &mut Draft, &mut Fact) -> T,
        draft: &mut Draft,
    ) -> T {
        let mut fact = draft.fact.take().expect("operations are drafted with a fact");
        let mut stage = Stage { rng: self.rng, flavour: self.flavour, odds };
        let result = ending(&mut stage, draft, &mut fact);
        draft.fact = Some(fact);
        result
    }

    /// An operation span without an ending; the duration varies around `base` nanoseconds.
    fn operation(&mut self, operation: &'static str, trace: &[u8], parent: u64, end: u64, base: u64) -> Draft {
        let (duration, backwards) = self.duration(base);
        let end = self.ids.moment(end);
        let mut draft = Draft::new(trace, self.ids.span(), parent, end, duration);
        if backwards {
            // A clock was set back: the span ends before it starts and lasts no time at all.
            draft.span.start_time_unix_nano = end + 1_500_000;
        }
        let names = spec::names_of(operation);
        let name = names[self.rng.usize(..names.len())];
        match self.rng.u8(..10) {
            0..=3 => {
                draft.put(draft::text("avs.operation", operation));
                draft.span.name =
                    if self.rng.bool() { name.to_owned() } else { format!("gateway {}", &operation[..2]) };
            }
            4 => draft.span.name = name.to_uppercase(),
            _ => draft.span.name = name.to_owned(),
        }
        let attempts = (self.rng.u8(..3) == 0).then(|| self.attempts());
        if let Some(attempts) = attempts {
            draft.put(draft::unsigned(self.flavour, "avs.attempt.count", u64::from(attempts)));
        }
        self.dress(&mut draft);
        draft.fact = Some(Fact {
            span: draft.key(),
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
            more: More::default(),
        });
        draft
    }

    fn transaction(&mut self, trace: &[u8], parent: u64, end: u64, chain: &Chain) -> Draft {
        let base = chain.block_time.as_nanos() as u64 * self.rng.u64(1..4) / 2;
        let mut draft = self.operation("tx_submission", trace, parent, end, base);
        draft.span.kind = SpanKind::Client as i32;
        draft
    }

    /// One transaction for several tasks: a trace of its own, linked to theirs.
    fn batched_transaction(&mut self, chain: &Chain, task: u64) -> Vec<Draft> {
        let trace = self.ids.trace();
        let mut draft = self.transaction(&trace, 0, self.now, chain);
        self.stage(chain.character.odds(task), |stage, draft, fact| stage.transaction(draft, fact), &mut draft);
        for _ in 0..3 {
            draft.span.links.push(Link {
                trace_id: self.ids.trace().to_vec(),
                span_id: self.ids.span().to_be_bytes().to_vec(),
                ..Link::default()
            });
        }
        let mut steps = vec![draft];
        self.carry(&mut steps, Carriage::Spans, chain.id);
        steps
    }

    /// A broadcast that succeeded, in a trace of its own.
    fn lone_broadcast(&mut self, chain: Option<u64>) -> Draft {
        let trace = self.ids.trace();
        let mut draft = self.operation("task_broadcast", &trace, 0, self.now, 12_000_000);
        draft.put(draft::text("avs.outcome", "sent"));
        draft.tag = chain.map_or(Tag::Absent, Tag::Canonical);
        if let Some(fact) = &mut draft.fact {
            fact.chain = chain;
        }
        draft
    }

    fn odd_trace_id(&mut self, chain: &Chain) -> Draft {
        let knows = self.rng.bool();
        let mut draft = self.lone_broadcast(knows.then_some(chain.id));
        if knows {
            draft.put(spelling::valid(self.rng, self.flavour, chain.id));
        }
        draft.span.trace_id = match self.rng.u8(..4) {
            0 => Vec::new(),
            1 => vec![0; 16],
            2 => draft.span.trace_id[..15].to_vec(),
            _ => [draft.span.trace_id.as_slice(), &[7]].concat(),
        };
        draft
    }

    fn odd_span_id(&mut self, chain: &Chain) -> Draft {
        let mut draft = self.lone_broadcast(Some(chain.id));
        draft.put(spelling::valid(self.rng, self.flavour, chain.id));
        let id = self.ids.span().to_be_bytes();
        draft.span.span_id = if self.rng.bool() { [&id[..], &[9]].concat() } else { [&id[..], &id[..]].concat() };
        draft
    }

    /// `chain_id` twice, an invalid one first: one canonical tag remains.
    fn duplicate_keys(&mut self, chain: &Chain) -> Draft {
        let mut draft = self.lone_broadcast(Some(chain.id));
        draft.put(spelling::invalid_under(self.rng, spec::CHAIN_KEYS[0]));
        draft.put(spelling::valid_under(self.rng, self.flavour, spec::CHAIN_KEYS[0], chain.id));
        draft
    }

    /// Two keys that disagree: the order of the keys decides, not the order of the attributes.
    fn two_keys(&mut self, chain: &Chain) -> Draft {
        let mut draft = self.lone_broadcast(Some(chain.id));
        let winner = self.rng.usize(..7);
        let loser = self.rng.usize(winner + 1..8);
        draft.put(spelling::valid_under(self.rng, self.flavour, spec::CHAIN_KEYS[loser], chain.id ^ 2));
        draft.put(spelling::valid_under(self.rng, self.flavour, spec::CHAIN_KEYS[winner], chain.id));
        draft
    }

    /// A span of a library: no fields, no chain, never counted.
    fn library(&mut self, trace: &[u8], parent: u64, end: u64) -> Draft {
        let duration = self.rng.u64(20_000..900_000);
        let mut draft = Draft::new(trace, self.ids.span(), parent, end, duration);
        draft.group = Group::Library;
        draft.span.name = spec::LIBRARY_NAMES[self.rng.usize(..spec::LIBRARY_NAMES.len())].to_owned();
        self.dress(&mut draft);
        draft
    }

    /// What every SDK adds: it means nothing here, and it is most of the bytes.
    fn dress(&mut self, draft: &mut Draft) {
        let thread = self.rng.i64(1..17);
        match self.flavour {
            Flavour::RustSdk => {
                draft.put(draft::text("code.file.path", "crates/gateway/src/aggregate/service.rs"));
                draft.put(draft::text("code.module.name", "avs_gateway::aggregate::service"));
                draft.put(draft::int("code.line.number", self.rng.i64(20..900)));
                draft.put(draft::int("thread.id", thread));
                draft.put(draft::int("busy_ns", self.rng.i64(1_000..900_000)));
            }
            Flavour::Collector => {
                draft.put(draft::text("server.address", "rpc.internal.example"));
                draft.put(draft::int("server.port", 8545));
                draft.put(draft::int("thread.id", thread));
                draft.put(draft::text("avs.quorum.numbers", "0,1"));
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
    fn duration(&mut self, base: u64) -> (u64, bool) {
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
