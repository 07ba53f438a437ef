//! Limits that must fit each other: each is in range by itself, but together they could not keep what they promise.

use crate::red::{Metric, series_of_calls, with_calls};

/// What other requests may hold while the largest one is being tagged, MiB.
const OTHERS_MIB: usize = 8;

/// Whether a request of `request` bytes can be taken with `limit` bytes for all: one that is compressed or gets tags is
/// held twice for a moment.
///
/// # Errors
/// What to change. With a smaller limit clients would be told forever to retry a request that never fits.
pub(super) fn memory(request: usize, limit: usize) -> Result<(), String> {
    let (request, limit) = (request >> 20, limit >> 20);
    let least = 2 * request + OTHERS_MIB;
    if limit >= least {
        return Ok(());
    }
    let fits = limit.saturating_sub(OTHERS_MIB) / 2;
    let lower = if fits > 0 { format!(", or lower max_recv_msg_size_mib to {fits}") } else { String::new() };
    Err(format!(
        "a request of {request} MiB (max_recv_msg_size_mib) may be held twice and would never fit into {limit} MiB \
         (memory_limit_mib); raise memory_limit_mib to {least}{lower}"
    ))
}

/// Whether `max_series` leaves room for every series of last resort, one per metric and chain label: `red` keeps them
/// free from the start, but no more than half of all series. With `span_metrics` a part of them belongs to calls.
///
/// # Errors
/// What to change. With fewer, somebody who invents names could leave a chain without any series.
pub(super) fn series(named: usize, max_chains: usize, max_series: usize, span_metrics: bool) -> Result<(), String> {
    // "other" and "unknown" are labels too.
    let labels = named.saturating_add(max_chains).saturating_add(2);
    let least = labels.saturating_mul(2 * Metric::COUNT);
    let (calls, and_calls) = if span_metrics { (series_of_calls(max_series), ", and span_metrics") } else { (0, "") };
    if max_series - calls >= least {
        return Ok(());
    }
    let least = if span_metrics { with_calls(least) } else { least };
    Err(format!(
        "{max_series} series (max_series) are too few for {named} named chains and {max_chains} others (max_chains), each with \
         an overflow series for each of {} metrics{and_calls}; raise max_series to {least}, or lower max_chains",
        Metric::COUNT
    ))
}
