//! One measurement: a fresh process, a load, and what came of it.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tonic::codec::CompressionEncoding;

use crate::arrivals::Mark;
use crate::bodies::Shape;
use crate::load::{Load, Outcome};
use crate::process::{self, Role};
use crate::subject::{Running, Subject};
use crate::{Plan, bodies};

/// One subject, one size of request, one round.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Cell {
    pub(crate) round: usize,
    pub(crate) subject: &'static str,
    pub(crate) spans_per_request: usize,
    /// User and system time of the process, nanoseconds per span.
    pub(crate) cpu_ns_per_span: f64,
    /// Spans acknowledged per second of wall time, with load generator and sink on the same cores.
    pub(crate) spans_per_second: f64,
    pub(crate) idle_mib: f64,
    pub(crate) peak_mib: f64,
    /// Latency at the paced rate.
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// Requests that arrived at the sink per request sent: below 1 where requests are joined on the way.
    pub(crate) requests_out_per_in: f64,
}

/// What is sent to the process under test.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) shape: Shape,
    pub(crate) connections: usize,
    pub(crate) encoding: Option<CompressionEncoding>,
    /// How often each span is to arrive at the sink.
    pub(crate) copies: usize,
    pub(crate) promises_tags: bool,
}

/// What a saturated stretch came to.
pub(crate) struct Stretch {
    pub(crate) cpu_ns_per_span: f64,
    pub(crate) spans_per_second: f64,
    pub(crate) requests_out_per_in: f64,
    pub(crate) idle_mib: f64,
    load: Load,
    end: Mark,
}

/// Sends to the process `pid` at `address`, as fast as it answers, and waits until everything has arrived.
pub(crate) async fn saturate(
    plan: &Plan,
    sink: &mut Role,
    (pid, address): (u32, SocketAddr),
    sent: Sent,
) -> Result<Stretch, Box<dyn Error>> {
    let start = Mark::at_rest(pid, sink).await?;
    let idle_mib = process::memory_mib(pid, "VmRSS")?;
    let bodies = Arc::new(bodies::make(sent.shape));
    let load = Load::connect(address, sent.connections, bodies, sent.encoding).await?;
    let arriving = |outcome: &Outcome| outcome.ok * (sent.shape.spans * sent.copies) as u64;

    let outcome = ok(load.saturate(plan.warm_up).await)?;
    let before = start.after(arriving(&outcome), pid, sink).await?;
    // So short a stretch may go by without a request that the sink looks into; so may the paced one.
    before.check(&start, arriving(&outcome), false)?;
    let outcome = ok(load.saturate(plan.time).await)?;
    let end = before.after(arriving(&outcome), pid, sink).await?;
    end.check(&before, arriving(&outcome), sent.promises_tags)?;

    let spans = (outcome.ok * sent.shape.spans as u64) as f64;
    Ok(Stretch {
        cpu_ns_per_span: (end.cpu - before.cpu).as_nanos() as f64 / spans,
        spans_per_second: spans / outcome.elapsed.as_secs_f64(),
        requests_out_per_in: end.requests_since(&before) as f64 / outcome.ok as f64,
        idle_mib,
        load,
        end,
    })
}

/// Measures `subject` with requests of `spans` spans, in a process of its own.
pub(crate) async fn measure(
    plan: &Plan,
    sink: &mut Role,
    subject: Subject,
    spans: usize,
    round: usize,
) -> Result<Cell, Box<dyn Error>> {
    let running = Running::start(subject, sink.address)?;
    let pid = running.pid();
    let sent = Sent {
        shape: Shape::usual(spans, subject.wants_tagged_input()),
        connections: plan.connections,
        encoding: None,
        copies: 1,
        promises_tags: subject.promises_tags(),
    };
    let stretch = saturate(plan, sink, (pid, running.address()), sent).await?;
    let mut paced = ok(stretch.load.pace(plan.spans_per_second / spans as f64, plan.pace).await)?;
    let arriving = paced.ok * spans as u64;
    let end = stretch.end.after(arriving, pid, sink).await?;
    end.check(&stretch.end, arriving, false)?;
    Ok(Cell {
        round,
        subject: subject.name(),
        spans_per_request: spans,
        cpu_ns_per_span: stretch.cpu_ns_per_span,
        spans_per_second: stretch.spans_per_second,
        idle_mib: stretch.idle_mib,
        peak_mib: process::memory_mib(pid, "VmHWM")?,
        p50_ms: paced.quantile(0.5).as_secs_f64() * 1e3,
        p99_ms: paced.quantile(0.99).as_secs_f64() * 1e3,
        requests_out_per_in: stretch.requests_out_per_in,
    })
}

/// `outcome`, unless a request went wrong or none was sent.
pub(crate) fn ok(outcome: Outcome) -> Result<Outcome, Box<dyn Error>> {
    match outcome.error {
        Some(error) => Err(format!("a request was not answered OK: {error}").into()),
        None if outcome.ok == 0 => Err("no request was answered".into()),
        None => Ok(outcome),
    }
}

/// How long each part of a cell takes, for the estimate that the header shows.
pub(crate) fn seconds_per_cell(plan: &Plan) -> f64 {
    (plan.warm_up + plan.time + plan.pace + Duration::from_millis(500)).as_secs_f64()
}
