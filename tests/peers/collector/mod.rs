//! The same spans through chainspan and through the OpenTelemetry Collector's `spanmetrics`: what each reports, beside the
//! truth. The table in `docs/metrics.md` is what this prints:
//!
//! ```sh
//! CHAINSPAN_PEERS=require cargo test --test peers collector -- --nocapture
//! ```
//!
//! Only chainspan's figures are asserted; the Collector's are printed as they are. Its flush interval is set to three
//! seconds, so that the test need not take minutes; by default it is sixty.
#![allow(clippy::unwrap_used)]

mod read;
mod subject;
mod truth;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use chainspan_sim::{Agent, now_unix_nano};
use chainspan_testing::{otlp, peer};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use read::{Reading, read};
use subject::Subject;
use truth::{OPERATIONS, Truth};

const FLUSH: Duration = Duration::from_secs(3);
const LATE: Duration = Duration::from_secs(600);

/// What one subject made of the scenario.
struct Outcome {
    name: &'static str,
    /// Operations counted beside those that were sent and, in the end, answered with OK: retried, late, last.
    counts: [(u64, u64); 3],
    /// Requests answered with OK that nobody but the subject had at that moment.
    unsafe_ok: u32,
    /// How much younger the late spans look than they are, in seconds, and how many were called late.
    late: (f64, u64),
    /// Largest relative error of the p99 of an operation; and of spans that all took 11 to 14 ms.
    p99: [f64; 2],
    /// The same from the classic buckets on Prometheus, where the subject has them.
    on_prometheus: Option<[f64; 2]>,
}

/// Sends until it is answered with OK, as a client does, without the pauses. The destination comes back after two refusals
/// or when the client is done. How often OK was said while the destination was away.
fn insist(agent: &Agent, to: SocketAddr, request: &ExportTraceServiceRequest) -> u32 {
    agent.set_available(false);
    let mut unsafe_ok = 0;
    for attempt in 0..5 {
        if attempt == 2 {
            agent.set_available(true);
        }
        if otlp::send_traces(to, request.clone()).is_ok() {
            unsafe_ok = u32::from(attempt < 2);
            break;
        }
        assert!(attempt < 4, "not accepted, although the destination is there");
    }
    agent.set_available(true);
    unsafe_ok
}

fn scenario(agent: &Agent, mut subject: Subject) -> Outcome {
    let to = subject.address();
    // On a machine that is busy with other things the destination may be too slow for an attempt.
    let send = |truth: &Truth| peer::eventually("it is accepted", || otlp::send_traces(to, truth.request.clone()).ok());
    let now = now_unix_nano();
    let steady = Truth::simulated("steady", 4_000, now, 1);
    let fast = Truth::fast("fast", now);
    let retried = Truth::simulated("retried", 1_000, now, 2);
    let late = Truth::simulated("late", 1_000, now - LATE.as_nanos() as u64, 3);
    send(&steady);
    send(&fast);
    let unsafe_ok = insist(agent, to, &retried.request);
    // What ended before chainspan began, a moment ago, may be late as well.
    let late_before = subject.late_spans();
    send(&late);
    let told_late = subject.late_spans() - late_before;
    let on_prometheus = subject.page().map(|page| {
        let p99 = |truth: &Truth| truth.worst_p99(|operation| read::on_page(&page, &truth.service, operation));
        [p99(&steady), p99(&fast)]
    });

    // The last batch comes just after an export, so that the next one would be almost an interval away.
    if subject.waits_for_a_timer() {
        peer::eventually("the late spans are exported", || (reading(agent, &late).count > 0).then_some(()));
        let exports = agent.requests().1;
        peer::eventually("another export", || (agent.requests().1 > exports).then_some(()));
    }
    let last = Truth::simulated("last", 1_000, now_unix_nano(), 4);
    send(&last);
    subject.terminate();

    let counted = |truth: &Truth| (reading(agent, truth).count, truth.operations());
    let p99 = |truth: &Truth| {
        truth.worst_p99(|operation| read(&agent.metrics(), &truth.service, &[operation]).quantile(0.99).unwrap())
    };
    let shown_at = reading(agent, &late).first_time_unix_nano;
    let looks_younger = shown_at.saturating_sub(late.newest_end()) as f64 / 1e9;
    Outcome {
        name: subject.name(),
        counts: [counted(&retried), counted(&late), counted(&last)],
        unsafe_ok,
        late: (looks_younger, told_late),
        p99: [p99(&steady), p99(&fast)],
        on_prometheus,
    }
}

/// All operations of the truth's service, as exported so far.
fn reading(agent: &Agent, truth: &Truth) -> Reading {
    read(&agent.metrics(), &truth.service, &OPERATIONS)
}

fn table(outcomes: &[Outcome]) -> String {
    let row = |title: &str, cell: &dyn Fn(&Outcome) -> String| {
        let cells: Vec<String> = outcomes.iter().map(cell).collect();
        format!("| {title} | {} |\n", cells.join(" | "))
    };
    let of = |(counted, sent): (u64, u64)| format!("{counted} of {sent}");
    let percent = |[steady, fast]: [f64; 2]| format!("{:.1} %, {:.1} %", steady * 100.0, fast * 100.0);
    let names: Vec<&str> = outcomes.iter().map(|outcome| outcome.name).collect();
    format!("| | {} |\n|---|{}\n", names.join(" | "), "---|".repeat(outcomes.len()))
        + &row("refused twice, then accepted: counted", &|o| of(o.counts[0]))
        + &row("answered OK while the destination had nothing", &|o| o.unsafe_ok.to_string())
        + &row("spans ten minutes late: counted", &|o| of(o.counts[1]))
        + &row("they look younger by", &|o| format!("{:.0} s", o.late.0))
        + &row("and are called late", &|o| o.late.1.to_string())
        + &row("sent after the last export, before SIGTERM: counted", &|o| of(o.counts[2]))
        + &row("p99 over OTLP, error at most: all operations, 11–14 ms", &|o| percent(o.p99))
        + &row("p99 on Prometheus, the same", &|o| o.on_prometheus.map_or("not measured".to_owned(), percent))
}

/// chainspan counts what was answered with OK, once; says which spans were late; loses nothing at shutdown; and its p99 over
/// OTLP is within the width of its buckets. What the Collector does is printed beside it.
#[test]
fn the_same_spans_through_both() {
    let Some(collector) = peer::find("collector") else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let _inside = runtime.enter();
    let subjects: [&(dyn Fn(SocketAddr) -> Subject + Sync); 3] = [
        &Subject::chainspan,
        &|agent| Subject::collector("Collector, defaults", &collector, agent, "", ""),
        &|agent| {
            let exporter = "sending_queue: {enabled: false}, retry_on_failure: {enabled: false}, ";
            let exponential = ", histogram: {exponential: {max_size: 160}}";
            Subject::collector("Collector, no queue, exponential", &collector, agent, exporter, exponential)
        },
    ];
    let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
        let runs = subjects.map(|start| {
            let agent = Agent::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
            scope.spawn(move || scenario(&agent, start(agent.address())))
        });
        runs.into_iter().map(|run| run.join().expect("a scenario ends")).collect()
    });
    println!("\n{}", table(&outcomes));
    let chainspan = &outcomes[0];
    for (counted, sent) in chainspan.counts {
        assert_eq!(counted, sent);
    }
    assert_eq!((chainspan.unsafe_ok, chainspan.late.1), (0, chainspan.counts[1].1));
    assert!(chainspan.p99.iter().all(|error| *error <= 0.005_416 + 1e-9), "{:?}", chainspan.p99);
}
