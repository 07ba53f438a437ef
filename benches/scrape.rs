//! What a scrape of 4,096 series costs, and what it costs those who count: the time to take a snapshot and to write it in
//! either format, and what a thread commits a second without scrapes and with ten of them. `cargo bench --bench scrape`.
//!
//! Not criterion: two threads that stand in each other's way are no closure that can be repeated. Rounds with and without
//! scrapes alternate, so that both see the same machine; medians are printed. Where the cores are busy with something else a
//! scrape takes time from the committer as everybody does; the committer's own CPU time per span tells that apart from what
//! a scrape really costs it: after a collection it meets every key for the first time again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use chainspan::chain::ChainId;
use chainspan::export::prometheus::{Format, render};
use chainspan::gateway::{Detail, Measured, Operation, OutcomeClass};
use chainspan::red::{Call, Dims, Observation, Red, RedSettings, SpanKind, Stage, StatusCode};

const SPANS: usize = 512;
const CHAINS: u64 = 64;
const SERVICES: u64 = 6;
const NOW: u64 = 1_700_000_009_000_000_000;

/// How often somebody scrapes in the rounds with scrapes: a hundred times as often as a Prometheus would.
const PAUSE: Duration = Duration::from_millis(100);
const ROUND: Duration = Duration::from_secs(2);
const ROUNDS: usize = 9;

fn observation(random: &mut fastrand::Rng) -> Observation {
    let measured = Measured {
        operation: [Operation::Task, Operation::TaskBroadcast][random.usize(..2)],
        outcome: [OutcomeClass::Success, OutcomeClass::Cancelled][random.usize(..2)],
        reason: None,
        status_conflict: false,
        attempts: None,
        signed_stake_ratio: None,
        threshold: None,
        webhook: None,
        detail: Detail::Nothing,
    };
    Observation {
        dims: random.u32(..SERVICES as u32),
        chain: ChainId::new(random.u64(1..=CHAINS)),
        measured,
        end_unix_nano: NOW - random.u64(..1_000_000_000),
        duration_nano: (1e9 * (random.f64() * 4.0 - 3.0).exp2()) as u64,
        trace_id: random.u128(1..).to_be_bytes(),
        span_id: random.u64(1..).to_be_bytes(),
    }
}

/// Requests that spread over 64 chains × 6 services × 2 operations × 2 outcomes: 1,536 counters, 1,536 durations and 1,152
/// gauges.
fn stages() -> Vec<Stage> {
    let dims: Vec<_> = (0..SERVICES).map(|n| Arc::new(Dims(vec![format!("gateway-{n}").into()].into()))).collect();
    let mut random = fastrand::Rng::with_seed(7);
    let stage = |_| Stage {
        dims: dims.clone(),
        observations: (0..SPANS).map(|_| observation(&mut random)).collect(),
        ..Stage::default()
    };
    (0..64).map(stage).collect()
}

/// The same as calls: 1,536 combinations of two series each.
fn calls() -> Vec<Stage> {
    let mut random = fastrand::Rng::with_seed(8);
    let mut call = || Call {
        service: format!("gateway-{}", random.u64(..SERVICES)).into(),
        name: ["process task", "broadcast task"][random.usize(..2)].into(),
        kind: SpanKind::Server,
        status: [StatusCode::Unset, StatusCode::Error][random.usize(..2)],
        chain: ChainId::new(random.u64(1..=CHAINS)),
        duration_nano: random.u64(1..10_000_000_000),
    };
    (0..64).map(|_| Stage { calls: (0..SPANS).map(|_| call()).collect(), ..Stage::default() }).collect()
}

fn red(span_metrics: bool) -> Red {
    Red::new(RedSettings {
        dimensions: vec!["service.name".to_owned()],
        max_series: 32_768,
        span_metrics,
        committers: 2,
        start_unix_nano: NOW,
        ..RedSettings::default()
    })
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_unstable_by(f64::total_cmp);
    all[all.len() / 2]
}

/// Median milliseconds of what `work` does.
fn time(mut work: impl FnMut()) -> f64 {
    let one = |_| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64() * 1e3
    };
    median((0..31).map(one).collect())
}

fn scrape(name: &str, red: &Red) {
    let snapshot = red.snapshot(NOW);
    let taking = time(|| drop(red.snapshot(NOW)));
    for format in [Format::Text, Format::OpenMetrics] {
        let text = render(format, Some(&snapshot), &[]);
        let writing = time(|| drop(render(format, Some(&snapshot), &[])));
        println!(
            "{name}, {} series, {format:?}: snapshot {taking:.1} ms + text {writing:.1} ms = {:.1} ms, {:.1} MB",
            snapshot.series_count(),
            taking + writing,
            text.len() as f64 / 1e6
        );
    }
}

/// Nanoseconds for which the calling thread has been on a CPU; 0 where the system does not say.
fn on_cpu() -> f64 {
    let all = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    all.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0.0)
}

/// What one thread does while nobody or somebody scrapes.
struct Round {
    /// Spans that it commits a second.
    rate: f64,
    /// Its CPU time per span, nanoseconds.
    cost: f64,
    /// Milliseconds of every second that scrapes took.
    scrapes: f64,
}

fn round(red: &Red, stages: &[Stage], scraping: bool) -> Round {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let committer = scope.spawn(|| {
            let (start, cpu, mut requests) = (Instant::now(), on_cpu(), 0usize);
            while !over.load(Ordering::Relaxed) {
                red.commit(&stages[requests % stages.len()], NOW);
                requests += 1;
            }
            let spans = (requests * SPANS) as f64;
            (spans / start.elapsed().as_secs_f64(), (on_cpu() - cpu) / spans)
        });
        let (start, mut spent) = (Instant::now(), Duration::ZERO);
        while start.elapsed() < ROUND {
            if scraping {
                let begun = Instant::now();
                drop(render(Format::OpenMetrics, Some(&red.snapshot(NOW)), &[]));
                spent += begun.elapsed();
            }
            thread::sleep(PAUSE);
        }
        over.store(true, Ordering::Relaxed);
        let (rate, cost) = committer.join().expect("it counts and nothing else");
        Round { rate, cost, scrapes: spent.as_secs_f64() * 1e3 / ROUND.as_secs_f64() }
    })
}

fn main() {
    // `cargo test --benches` asks whether it runs, not how fast.
    let rounds = if std::env::args().any(|argument| argument == "--bench") { ROUNDS } else { 1 };
    let stages = stages();
    let measured = red(false);
    stages.iter().for_each(|stage| measured.commit(stage, NOW));
    scrape("operations", &measured);
    let with_calls = red(true);
    calls().iter().for_each(|stage| with_calls.commit(stage, NOW));
    scrape("calls", &with_calls);

    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        without.push(round(&measured, &stages, false));
        with.push(round(&measured, &stages, true));
    }
    let of = |rounds: &[Round], figure: fn(&Round) -> f64| median(rounds.iter().map(figure).collect());
    for (name, rounds) in [("no scrapes", &without), ("one every 100 ms", &with)] {
        let (rate, cost) = (of(rounds, |round| round.rate), of(rounds, |round| round.cost));
        let scrapes = of(rounds, |round| round.scrapes);
        let rate = rate / 1e6;
        println!(
            "commit, {name}: {rate:.2} million spans/s, {cost:.0} ns of CPU a span; scrapes took {scrapes:.0} ms/s"
        );
    }
}
