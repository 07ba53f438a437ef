//! From memory to the disk. What a destination has not taken within `spill_after`, or at once while it is paused, is
//! written, whole but for what has arrived already; it may still be delivered meanwhile. When the disk has it, its client
//! hears OK, and what is not on its way is dropped from memory.
//!
//! There is one alarm for the oldest parcel, and while everything is taken in time it finds nothing to do.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use crate::clock::unix_nano;
use crate::delivery::command::EntryId;
use crate::delivery::inflight::{Dead, Entries, InFlight};
use crate::otlp::{PerSignal, Signal};
use crate::store::NewRecord;

/// What is to be written of a parcel: its pieces in order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Overdue {
    pub(crate) entry: EntryId,
    pub(crate) pieces: Vec<(Bytes, u32)>,
    sequence: u64,
}

/// What a look at everything in memory has found.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// To be written, in the order in which it came: it is the order of replay.
    pub(crate) overdue: Vec<Overdue>,
    /// The store has turned these down, and nobody will take them soon: to be handed back.
    pub(crate) hopeless: Vec<EntryId>,
    /// When the next parcel will be overdue.
    pub(crate) next: Option<Instant>,
}

/// What has been in memory alone for longer than `spill_after`, or is of a signal that is `paused`; with `all`, everything.
pub(crate) fn plan(
    inflight: &InFlight,
    paused: &PerSignal<bool>,
    all: bool,
    spill_after: Duration,
    now: Instant,
) -> Plan {
    let mut plan = Plan::default();
    let mut places: HashMap<EntryId, usize> = HashMap::new();
    for piece in inflight.live_pieces() {
        let entry = inflight.entries.get(piece.entry);
        let paused = paused[entry.signal()];
        let Some(since) = entry.not_durable_since() else {
            if paused && entry.was_turned_down() {
                plan.hopeless.push(piece.entry);
            }
            continue;
        };
        let due = since + if paused || all { Duration::ZERO } else { spill_after };
        if due > now {
            plan.next = plan.next.into_iter().chain([due]).min();
            continue;
        }
        let body = (piece.body.clone(), piece.items);
        let place = *places.entry(piece.entry).or_insert(plan.overdue.len());
        match plan.overdue.get_mut(place) {
            Some(known) => known.pieces.push(body),
            None => plan.overdue.push(Overdue { entry: piece.entry, pieces: vec![body], sequence: piece.sequence }),
        }
    }
    plan.overdue.sort_by_key(|overdue| overdue.sequence);
    plan
}

/// The record of `pieces` of `entry`.
pub(crate) fn record(
    entries: &Entries,
    destination: &Arc<str>,
    entry: EntryId,
    pieces: Vec<(Bytes, u32)>,
) -> NewRecord {
    let (body, items) = join(pieces);
    let entry = entries.get(entry);
    let signal = entry.signal();
    NewRecord {
        destination: destination.clone(),
        signal,
        body,
        spans: if signal == Signal::Traces { items } else { 0 },
        received: entry.received(unix_nano()),
        death: None,
    }
}

/// The dead letters of `entry`. Metrics and logs are counted by the request, so theirs are one.
pub(crate) fn letters(entries: &Entries, destination: &Arc<str>, entry: EntryId, dead: Vec<Dead>) -> Vec<NewRecord> {
    let record = |pieces| record(entries, destination, entry, pieces);
    if entries.get(entry).signal() == Signal::Traces {
        let letter = |Dead { body, items, death, .. }| NewRecord { death: Some(death), ..record(vec![(body, items)]) };
        return dead.into_iter().map(letter).collect();
    }
    let Some(death) = dead.first().map(|dead| dead.death.clone()) else { return Vec::new() };
    let pieces = dead.into_iter().map(|dead| (dead.body, dead.items)).collect();
    vec![NewRecord { death: Some(death), ..record(pieces) }]
}

/// Requests of one signal, one after the other, are a request.
fn join(mut pieces: Vec<(Bytes, u32)>) -> (Bytes, u32) {
    if pieces.len() == 1 {
        return pieces.swap_remove(0);
    }
    let mut joined = BytesMut::with_capacity(pieces.iter().map(|(body, _)| body.len()).sum());
    pieces.iter().for_each(|(body, _)| joined.extend_from_slice(body));
    (joined.freeze(), pieces.iter().map(|(_, items)| items).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp;
    use crate::store::NotKept;

    const SPILL_AFTER: Duration = Duration::from_secs(1);

    fn hand_over(inflight: &mut InFlight, signal: Signal, at_most_once: bool, bodies: &[&'static str]) -> EntryId {
        let piece = |body: &&'static str| otlp::Piece { body: Bytes::from_static(body.as_bytes()), items: 1 };
        let pieces: Vec<otlp::Piece> = bodies.iter().map(piece).collect();
        let entry = inflight.entries.accept(None, (signal, 1, at_most_once), None, &pieces);
        inflight.enqueue(entry, signal, pieces, None);
        entry
    }

    fn written(plan: &Plan) -> Vec<(EntryId, usize)> {
        plan.overdue.iter().map(|overdue| (overdue.entry, overdue.pieces.len())).collect()
    }

    /// Whole parcels, oldest first; a paused signal at once, the others when they have waited, what is sent once never.
    #[test]
    fn what_has_waited_or_is_paused_is_written_in_order() {
        let mut inflight = InFlight::new("otlp/a", 1);
        let logs = hand_over(&mut inflight, Signal::Logs, false, &["a", "b"]);
        let traces = hand_over(&mut inflight, Signal::Traces, false, &["c"]);
        hand_over(&mut inflight, Signal::Logs, true, &["d"]);
        let now = Instant::now();
        let paused = PerSignal::from_fn(|signal| signal == Signal::Logs);
        let first = plan(&inflight, &paused, false, SPILL_AFTER, now);
        assert_eq!(written(&first), [(logs, 2)]);
        let next = first.next.expect("the traces wait");
        let second = plan(&inflight, &PerSignal::default(), false, SPILL_AFTER, next);
        assert_eq!((written(&second), second.next), (vec![(logs, 2), (traces, 1)], None));
        let everything = plan(&inflight, &PerSignal::default(), true, SPILL_AFTER, now);
        assert_eq!(written(&everything), [(logs, 2), (traces, 1)]);
        // What is being written is not written again.
        inflight.entries.begin_write(logs, true);
        assert_eq!(written(&plan(&inflight, &paused, true, SPILL_AFTER, now)), [(traces, 1)]);
    }

    /// What the store turned down waits for the destination, unless that is paused.
    #[test]
    fn what_can_be_neither_written_nor_sent_is_hopeless() {
        let mut inflight = InFlight::new("otlp/a", 1);
        let entry = hand_over(&mut inflight, Signal::Logs, false, &["a"]);
        inflight.entries.begin_write(entry, true);
        inflight.entries.written(entry, Err(NotKept::Full), 1);
        let now = Instant::now();
        assert!(plan(&inflight, &PerSignal::default(), true, SPILL_AFTER, now).hopeless.is_empty());
        let paused = PerSignal::from_fn(|_| true);
        assert_eq!(plan(&inflight, &paused, false, SPILL_AFTER, now).hopeless, [entry]);
    }

    /// Dead letters of traces are one each; those of a request of logs are one, as the request is counted.
    #[test]
    fn letters_are_counted_as_their_signal_is() {
        let mut inflight = InFlight::new("otlp/a", 1);
        let destination: Arc<str> = "otlp/a".into();
        for (signal, count, first) in [(Signal::Traces, 2, "a"), (Signal::Logs, 1, "ab")] {
            let entry = hand_over(&mut inflight, signal, false, &["a", "b"]);
            let death = crate::store::Death {
                reason: crate::store::DeathReason::Rejected,
                code: String::new(),
                message: String::new(),
                attempts: 1,
                first: 1,
                last: 1,
                chains: Vec::new(),
                operations: Vec::new(),
            };
            let why = crate::delivery::parcel::Undelivered::Closed;
            let dead = |body: &'static str| Dead {
                body: Bytes::from_static(body.as_bytes()),
                items: 1,
                death: death.clone(),
                why: why.clone(),
            };
            let letters = letters(&inflight.entries, &destination, entry, vec![dead("a"), dead("b")]);
            assert_eq!((letters.len(), &letters[0].body[..]), (count, first.as_bytes()));
        }
    }
}
