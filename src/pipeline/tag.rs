//! From plans to edits: spans without a chain take their trace's, then every planned span gets its edits.

use super::plan::{SpanChain, SpanPlan, TagEdit};
use super::scratch::RequestScratch;
use crate::chain::{ChainId, ChainSource, Lookup, TAG_KEY, Traces};
use crate::gateway::{MEASURED_KEY, OPERATION_NAME_KEY};
use crate::otlp::EditError;

/// Settles every plan of `scratch`. Afterwards its edits are complete and each observation has its chain.
pub(super) fn settle(scratch: &mut RequestScratch, body: &[u8], traces: &Traces, now_ms: u64) -> Result<(), EditError> {
    let plans = std::mem::take(&mut scratch.plans);
    let settled = plans.iter().try_for_each(|plan| {
        let chain = match plan.chain {
            SpanChain::Known(chain) => Some(chain),
            SpanChain::Unknown => None,
            SpanChain::OfTrace(trace) => inherit(scratch, traces, &trace, now_ms, plan),
        };
        edit(scratch, body, plan, chain)
    });
    scratch.plans = plans;
    settled
}

/// The chain that the other spans of the trace have shown, here and in earlier requests, if it is one and the same.
fn inherit(
    scratch: &mut RequestScratch,
    traces: &Traces,
    trace: &[u8; 16],
    now_ms: u64,
    plan: &SpanPlan,
) -> Option<ChainId> {
    let chain = match scratch.traces.get(trace).and(traces.lookup(trace, now_ms)) {
        Lookup::Chain(chain) => Some(chain),
        Lookup::Unknown | Lookup::Ambiguous => None,
    };
    let source = if chain.is_some() { ChainSource::Trace } else { ChainSource::None };
    scratch.counts.resolved[source.index()] += 1;
    if let Some(observation) = plan.observation {
        scratch.stage.observations[observation as usize].chain = chain;
    }
    for reading in &mut scratch.stage.readings[plan.readings.start as usize..plan.readings.end as usize] {
        reading.chain = chain;
    }
    if let Some(call) = plan.call {
        scratch.stage.calls[call as usize].chain = chain;
    }
    chain
}

fn edit(scratch: &mut RequestScratch, body: &[u8], plan: &SpanPlan, chain: Option<ChainId>) -> Result<(), EditError> {
    let tag = chain.filter(|_| !matches!(plan.tag, TagEdit::Leave));
    if tag.is_none() && plan.hints.is_empty() {
        return Ok(());
    }
    let mut span = scratch.edits.span(plan.place)?;
    let canonical = tag.map(ChainId::canonical);
    if let (Some(canonical), TagEdit::Edit { keep, rewrite, remove }) = (&canonical, &plan.tag) {
        if *rewrite {
            span.replace_with_str(body, *keep, canonical.as_str())?;
        }
        for place in &scratch.removals[remove.start as usize..remove.end as usize] {
            span.remove(*place)?;
        }
    }
    let appended = canonical.filter(|_| matches!(plan.tag, TagEdit::Append));
    if appended.is_none() && plan.hints.is_empty() {
        return Ok(());
    }
    span.append(|span| {
        if let Some(canonical) = &appended {
            span.str(TAG_KEY, canonical.as_str());
        }
        if let Some(name) = plan.hints.operation_name {
            span.str(OPERATION_NAME_KEY, name);
        }
        if plan.hints.measured {
            span.int(MEASURED_KEY, 1);
        }
    })
}
