//! From plans to edits: spans without a chain take their trace's, then every planned span gets its edits.

use super::work::{Plan, PlanChain, Tag, Work};
use crate::chain::{ChainId, Lookup, Source, Traces};
use crate::otlp::EditError;

/// The attribute that chainspan writes.
const TAG: &str = "chain_id";

/// Settles every plan of `work`. Afterwards the work's edits are complete and each observation has its chain.
pub(super) fn settle(work: &mut Work, body: &[u8], traces: &Traces, now_ms: u64) -> Result<(), EditError> {
    let plans = std::mem::take(&mut work.plans);
    let settled = plans.iter().try_for_each(|plan| {
        let chain = match plan.chain {
            PlanChain::Known(chain) => Some(chain),
            PlanChain::Unknown => None,
            PlanChain::OfTrace(trace) => inherit(work, traces, &trace, now_ms, plan),
        };
        edit(work, body, plan, chain)
    });
    work.plans = plans;
    settled
}

/// The chain that the other spans of the trace have shown, here and in earlier requests, if it is one and the same.
fn inherit(work: &mut Work, traces: &Traces, trace: &[u8; 16], now_ms: u64, plan: &Plan) -> Option<ChainId> {
    let chain = match work.traces.get(trace).and(traces.lookup(trace, now_ms)) {
        Lookup::Chain(chain) => Some(chain),
        Lookup::Unknown | Lookup::Ambiguous => None,
    };
    let source = if chain.is_some() { Source::Trace } else { Source::None };
    work.tally.resolved[source.index()] += 1;
    if let Some(observation) = plan.observation {
        work.stage.observations[observation as usize].chain = chain;
    }
    for reading in &mut work.stage.readings[plan.readings.start as usize..plan.readings.end as usize] {
        reading.chain = chain;
    }
    if let Some(call) = plan.call {
        work.stage.calls[call as usize].chain = chain;
    }
    chain
}

fn edit(work: &mut Work, body: &[u8], plan: &Plan, chain: Option<ChainId>) -> Result<(), EditError> {
    let tag = chain.filter(|_| !matches!(plan.tag, Tag::Leave));
    if tag.is_none() && plan.hints.is_empty() {
        return Ok(());
    }
    let mut span = work.edits.span(plan.place)?;
    let canonical = tag.map(ChainId::canonical);
    if let (Some(canonical), Tag::Edit { keep, rewrite, remove }) = (&canonical, &plan.tag) {
        if *rewrite {
            span.replace_with_str(body, *keep, canonical.as_str())?;
        }
        for place in &work.removals[remove.start as usize..remove.end as usize] {
            span.remove(*place)?;
        }
    }
    let appended = canonical.filter(|_| matches!(plan.tag, Tag::Append));
    if appended.is_none() && plan.hints.is_empty() {
        return Ok(());
    }
    span.append_all(|span| {
        if let Some(canonical) = &appended {
            span.str(TAG, canonical.as_str());
        }
        if let Some(name) = plan.hints.operation_name {
            span.str("operation.name", name);
        }
        if plan.hints.measured {
            span.int("_dd.measured", 1);
        }
    })
}
