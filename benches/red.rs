//! What counting costs per observation: shards against plain shared atomics, one thread against two, few series against
//! many, all in the current window against spread over both open ones. Two threads beside one: the time for the same work
//! should fall to 1 / 1.8 or less on a machine with two cores to spare. `cargo bench --bench red`.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chainspan::chain::ChainId;
use chainspan::gateway::{Measured, Operation, OutcomeClass};
use chainspan::red::{Dims, Observation, Red, RedSettings, Stage};
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime};

const SPANS: usize = 512;
const SECOND: u64 = 1_000_000_000;

/// The wall clock: nine seconds into a window.
const NOW: u64 = 1_700_000_009_000_000_000;

/// Requests whose spans spread evenly over `chains` × `services` × 4 combinations, of two series each, and ended within the
/// last `before` nanoseconds.
fn stages(chains: u64, services: u64, before: u64) -> Vec<Stage> {
    let dims: Vec<_> = (0..services).map(|n| Arc::new(Dims(vec![format!("gateway-{n}").into()].into()))).collect();
    let mut random = fastrand::Rng::with_seed(7);
    let mut observation = || {
        let measured = Measured {
            operation: Operation::ALL[random.usize(..2)],
            outcome: [OutcomeClass::Success, OutcomeClass::Cancelled][random.usize(..2)],
            reason: None,
            status_conflict: false,
            attempts: None,
            signed_stake_ratio: None,
            threshold: None,
            webhook: None,
            detail: chainspan::gateway::Detail::Nothing,
        };
        Observation {
            dims: random.u32(..services as u32),
            chain: ChainId::new(random.u64(1..=chains)),
            measured,
            end_unix_nano: NOW - random.u64(..before),
            duration_nano: (1e9 * (random.f64() * 4.0 - 3.0).exp2()) as u64,
            trace_id: [1; 16],
            span_id: [1; 8],
        }
    };
    (0..64)
        .map(|_| Stage {
            dims: dims.clone(),
            observations: (0..SPANS).map(|_| observation()).collect(),
            ..Stage::default()
        })
        .collect()
}

fn red() -> Red {
    Red::new(RedSettings {
        namespace: "avs.gateway".to_owned(),
        dimensions: vec!["service.name".to_owned()],
        chains: Default::default(),
        max_chains: 64,
        max_series: 8_192,
        committers: 2,
        ..RedSettings::default()
    })
}

/// The alternative: one table of atomics for all threads, complete from the start, with a cheaper and less exact index.
struct Atomics(HashMap<(u32, u64, usize, usize), AtomicCell>);

struct AtomicCell {
    classic: [AtomicU64; 25],
    exponential: Box<[AtomicU64]>,
    sum: AtomicU64,
    min: AtomicU64,
    max: AtomicU64,
}

impl Atomics {
    fn new(stages: &[Stage]) -> Self {
        let all = stages.iter().flat_map(|stage| &stage.observations);
        let cell = || AtomicCell {
            classic: [const { AtomicU64::new(0) }; 25],
            exponential: (0..2_048).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
            min: AtomicU64::new(u64::MAX),
            max: AtomicU64::new(0),
        };
        Self(all.map(|observation| (Self::key(observation), cell())).collect())
    }

    fn key(observation: &Observation) -> (u32, u64, usize, usize) {
        let measured = &observation.measured;
        let chain = observation.chain.map_or(0, ChainId::get);
        (observation.dims, chain, measured.operation as usize, measured.outcome as usize)
    }

    fn commit(&self, stage: &Stage) {
        const BOUNDS: [u64; 24] = [
            5, 10, 25, 50, 100, 250, 500, 1000, 2000, 4000, 6000, 8000, 10000, 12000, 15000, 20000, 24000, 30000,
            45000, 60000, 120000, 240000, 360000, 600000,
        ];
        for observation in &stage.observations {
            let cell = &self.0[&Self::key(observation)];
            let duration = observation.duration_nano;
            let bits = (duration as f64).to_bits() >> 46;
            cell.exponential[bits as usize % 2_048].fetch_add(1, Ordering::Relaxed);
            cell.classic[BOUNDS.partition_point(|bound| bound * 1_000_000 < duration)].fetch_add(1, Ordering::Relaxed);
            cell.sum.fetch_add(duration, Ordering::Relaxed);
            if duration < cell.min.load(Ordering::Relaxed) {
                cell.min.fetch_min(duration, Ordering::Relaxed);
            }
            if duration > cell.max.load(Ordering::Relaxed) {
                cell.max.fetch_max(duration, Ordering::Relaxed);
            }
        }
    }
}

/// Time for `requests` commits shared by `threads`.
fn run(threads: u64, requests: u64, stages: &[Stage], commit: &(impl Fn(&Stage) + Sync)) -> Duration {
    let start = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let share = requests / threads + u64::from(thread < requests % threads);
            scope.spawn(move || (0..share).for_each(|n| commit(black_box(&stages[(n + thread * 31) as usize % 64]))));
        }
    });
    start.elapsed()
}

fn measure(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, stages: &[Stage], commit: impl Fn(&Stage) + Sync) {
    stages.iter().for_each(&commit);
    for threads in [1, 2] {
        group.bench_function(format!("{name}/{threads} threads"), |bencher| {
            bencher.iter_custom(|requests| run(threads, requests, stages, &commit));
        });
    }
}

fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("commit");
    group.throughput(Throughput::Elements(SPANS as u64)).measurement_time(Duration::from_secs(3)).sample_size(20);
    let cases =
        [("64 series", 4, 2, SECOND), ("64 series in two windows", 4, 2, 15 * SECOND), ("4096 series", 64, 8, SECOND)];
    for (series, chains, services, before) in cases {
        let stages = stages(chains, services, before);
        let red = red();
        measure(&mut group, &format!("shards/{series}"), &stages, |stage| red.commit(stage, NOW));
        let atomics = Atomics::new(&stages);
        measure(&mut group, &format!("atomics/{series}"), &stages, |stage| atomics.commit(stage));
    }
    group.finish();

    let mut group = criterion.benchmark_group("snapshot");
    let red = red();
    let stages = stages(64, 8, SECOND);
    stages.iter().for_each(|stage| red.commit(stage, NOW));
    group.sample_size(20).bench_function("4096 series, with its text", |bencher| {
        bencher.iter(|| {
            chainspan::export::prometheus::render(
                chainspan::export::prometheus::Format::Text,
                Some(&red.snapshot(0)),
                &[],
            )
        });
    });
    group.bench_function("4096 series, counted and closed as a window", |bencher| {
        let mut now = NOW;
        bencher.iter_custom(|rounds| {
            let mut closing = Duration::ZERO;
            for _ in 0..rounds {
                now += 30 * SECOND;
                stages.iter().for_each(|stage| red.commit(stage, now));
                let start = Instant::now();
                black_box(red.close(now + 30 * SECOND));
                closing += start.elapsed();
            }
            closing
        });
    });
    group.finish();
}

criterion_group!(red_benches, benches);
criterion_main!(red_benches);
