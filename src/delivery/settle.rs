//! What the end of an attempt means: for the parcels in it, for the connection, for the destination.
//!
//! | the destination | parcels | connection | breaker |
//! |---|---|---|---|
//! | has it | settled, oldest bear what was turned away | goes on | succeeded |
//! | is busy, or silent | sent again | pauses | failed |
//! | is set up wrongly | wait behind others | pauses | opens at once |
//! | has no such service | their signal waits | goes on with other signals | it answered |
//! | refuses the data | divided until the offender stands alone | goes on | it answered |
//! | refuses everything | wait behind others | pauses | opens at once |

use tokio::time::Instant;

use super::client::{Acknowledgement, Finished};
use super::inflight::{Batch, Division};
use super::parts::Parts;
use super::policy::{Event, Failure, Judgement};
use super::spool::Spool;

/// Takes note of the end of the attempt on connection `index`.
pub(crate) fn settle<S: Spool>(parts: &mut Parts<S>, index: usize, end: Finished, now: Instant) {
    let connection = &mut parts.inflight.connections[index];
    (connection.link, connection.sending) = (end.link, None);
    parts.policy.ended(index);
    let Some(mut batch) = connection.work.pop() else { return };
    let failure = match end.outcome {
        Ok(answer) => return acknowledged(parts, index, batch, &answer, now),
        Err(failure) => failure,
    };
    if S::KEEPS {
        // Dead letters say how often they were tried.
        parts.inflight.attempted(&batch);
    }
    match failure.judgement() {
        Judgement::Retry => {
            if failure.is_ambiguous() {
                batch.pieces = parts.inflight.without_ambiguous(batch.pieces, &failure);
            }
            parts.inflight.send_again(index, batch);
            parts.failed(index, &failure, Event::Failed, now);
        }
        Judgement::Misconfigured => {
            // Other signals may be taken: they go first the next time.
            parts.inflight.put_back(batch.signal, batch.pieces, true);
            parts.failed(index, &failure, Event::Misconfigured, now);
        }
        Judgement::Unimplemented => unimplemented(parts, batch, &failure, now),
        Judgement::TooLarge | Judgement::Permanent => refused(parts, index, batch, &failure, now),
    }
}

fn acknowledged<S: Spool>(parts: &mut Parts<S>, index: usize, batch: Batch, answer: &Acknowledgement, now: Instant) {
    let (signal, items) = (batch.signal, batch.items());
    let rejected = answer.rejected.min(items);
    parts.meters.acknowledged(signal, items, rejected, &answer.message);
    parts.inflight.acknowledge(batch, rejected);
    if parts.policy.signals.taken(signal, now) {
        parts.inflight.entries.accounting.unimplemented[signal] = None;
        parts.meters.implemented(signal);
    }
    succeeded(parts, index, now);
}

/// The destination works. If it had been down, the other connections need not sit out their pauses.
fn succeeded<S: Spool>(parts: &mut Parts<S>, index: usize, now: Instant) {
    parts.inflight.connections[index].failures = 0;
    parts.policy.refusals.reset(now);
    if parts.policy.breaker.is_refusing() {
        parts.policy.refusals.rehabilitate(now);
    }
    parts.policy.limit.grow(now);
    parts.tell_breaker(Event::Succeeded, now, None);
    parts.spool.promote_deferred();
    let accounting = &mut parts.inflight.entries.accounting;
    let failures = std::mem::take(&mut accounting.failures);
    if failures == 0 {
        return;
    }
    accounting.last_error = None;
    parts.meters.recovered(failures);
    if failures > 1 {
        parts.end_pauses_of_our_own();
    }
}

/// "There is no such service": that signal waits, on the disk where there is one, and stands in nobody's way. Its connection
/// is free for others, and the destination's own breaker hears that it answered.
fn unimplemented<S: Spool>(parts: &mut Parts<S>, batch: Batch, failure: &Failure, now: Instant) {
    let signal = batch.signal;
    parts.meters.failed(failure, Judgement::Unimplemented);
    let retry_after = failure.retry_after.map(|delay| now + delay);
    if parts.policy.signals.refused(signal, now, retry_after, fastrand::f64()) {
        parts.meters.unimplemented(signal, failure);
    }
    parts.inflight.entries.accounting.unimplemented[signal] = Some(failure.to_string().into());
    parts.tell_breaker(Event::Refused, now, None);
    parts.inflight.put_back(signal, batch.pieces, false);
    parts.inflight.pause(|paused| paused == signal);
    parts.spool.write_soon(now);
}

/// The destination does not want this: it is divided, or it is the offender. Unless it wants nothing at all.
fn refused<S: Spool>(parts: &mut Parts<S>, index: usize, batch: Batch, failure: &Failure, now: Instant) {
    let judgement = failure.judgement();
    parts.meters.failed(failure, judgement);
    let blamed = S::KEEPS && (parts.policy.refusals.add(batch.items()) || parts.policy.breaker.is_refusing());
    if blamed {
        parts.inflight.put_back(batch.signal, batch.pieces, true);
        parts.failed(index, failure, Event::RefusesAll, now);
        return;
    }
    parts.tell_breaker(Event::Refused, now, None);
    let bytes = batch.bytes();
    match parts.inflight.divide(batch, judgement, S::KEEPS) {
        Division::Halves(first, second) => {
            if judgement == Judgement::TooLarge {
                parts.policy.limit.shrink(bytes, now);
            }
            parts.inflight.connections[index].work.extend([second, first]);
        }
        Division::Alone(batch) => parts.inflight.reject(batch, failure, S::KEEPS),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    use bytes::Bytes;
    use tonic::Code;

    use super::*;
    use crate::config;
    use crate::delivery::inflight::InFlight;
    use crate::delivery::meters::Meters;
    use crate::delivery::policy::{Backoff, Policy, RequestLimit};
    use crate::delivery::spool::NoSpool;
    use crate::delivery::status::BreakerState;
    use crate::otlp::{self, Signal};
    use crate::telemetry::Telemetry;

    const SECOND: Duration = Duration::from_secs(1);

    fn parts(connections: usize, now: Instant) -> Parts<NoSpool> {
        let breaker = config::Breaker { consecutive_failures: 3, open_min: SECOND, open_max: 60 * SECOND };
        let limit = RequestLimit::new(1 << 20, Arc::new(AtomicUsize::new(1 << 20)));
        Parts {
            policy: Policy::new(Backoff::new(SECOND, 8 * SECOND).expect("valid"), breaker, limit, now),
            inflight: InFlight::new("otlp/a", connections),
            spool: NoSpool,
            meters: Meters::new("otlp/a", &Telemetry::new()),
        }
    }

    /// A parcel in the hands of connection `index`, as if it had been sent.
    fn sent(parts: &mut Parts<NoSpool>, index: usize, signal: Signal, now: Instant) {
        let pieces = vec![otlp::Piece { body: Bytes::from_static(b"body"), items: 1 }];
        let entry = parts.inflight.entries.accept(None, (signal, 1, false), None, &pieces);
        parts.inflight.enqueue(entry, signal, pieces, None);
        let admitted = parts.admitted(true);
        parts.inflight.prepare(index, admitted, now).expect("it waits");
    }

    fn end(failure: Option<Failure>) -> Finished {
        Finished { link: None, outcome: failure.map_or(Ok(Acknowledgement::default()), Err) }
    }

    /// Failures in a row open the breaker; the parcel stays with its connection, and a success ends all pauses but those that
    /// the destination asked for.
    #[test]
    fn a_destination_that_is_down_pauses_and_comes_back() {
        let now = Instant::now();
        let mut parts = parts(2, now);
        sent(&mut parts, 0, Signal::Traces, now);
        sent(&mut parts, 1, Signal::Traces, now);
        settle(&mut parts, 1, end(Some(Failure::transport("refused"))), now);
        assert!(parts.inflight.connections[1].pause.is_some() && parts.inflight.connections[1].has_work());
        settle(&mut parts, 0, end(Some(Failure::transport("refused"))), now);
        assert_eq!(
            (parts.policy.breaker.state(), parts.inflight.entries.accounting.failures),
            (BreakerState::Closed, 2)
        );
        settle(&mut parts, 0, end(None), now);
        assert!(
            parts.inflight.connections.iter().all(|connection| connection.pause.is_none_or(|pause| pause.until <= now))
        );
        let accounting = &parts.inflight.entries.accounting;
        assert_eq!((accounting.failures, accounting.spans.delivered, &accounting.last_error), (0, 1, &None));
    }

    /// One signal is not served: its parcels wait, and neither connection nor destination is blamed.
    #[test]
    fn a_signal_without_a_service_waits_by_itself() {
        let now = Instant::now();
        let mut parts = parts(1, now);
        sent(&mut parts, 0, Signal::Logs, now);
        settle(&mut parts, 0, end(Some(Failure::status(Code::Unimplemented, "no logs"))), now);
        assert!(parts.policy.is_paused(Signal::Logs) && !parts.policy.is_paused(Signal::Traces));
        let connection = &parts.inflight.connections[0];
        assert!(connection.pause.is_none() && !connection.has_work() && !parts.inflight.live.is_empty());
        let accounting = &parts.inflight.entries.accounting;
        assert_eq!(
            (accounting.failures, accounting.unimplemented[Signal::Logs].as_deref()),
            (0, Some("UNIMPLEMENTED: no logs"))
        );
    }

    /// Without a store a refused parcel goes back as a whole, and the destination has answered.
    #[test]
    fn a_refused_parcel_ends_and_the_destination_is_not_blamed() {
        let now = Instant::now();
        let mut parts = parts(1, now);
        sent(&mut parts, 0, Signal::Traces, now);
        settle(&mut parts, 0, end(Some(Failure::status(Code::InvalidArgument, "no"))), now);
        let accounting = &parts.inflight.entries.accounting;
        assert_eq!((accounting.spans.discarded, accounting.failures, accounting.queue_bytes()), (1, 0, 0));
        assert!(parts.policy.breaker.is_closed() && parts.inflight.is_empty());
    }
}
