//! From the disk to the destination: what waits there is read again by itself, oldest first, at most one request's worth
//! ahead of what is being sent, the signals in turns. While the destination, or a signal, is paused nothing of it is read,
//! except for the one request that tries it.

use super::cursor::ReplayCursor;
use super::store_client::StoreClient;
use crate::delivery::command::{Aim, Read};
use crate::delivery::inflight::InFlight;
use crate::delivery::policy::Policy;
use crate::delivery::status::BreakerState;
use crate::otlp::{PerSignal, Signal};

/// A read that the store has answered.
#[derive(Debug)]
struct Arrived {
    /// The last put when it arrived. A record that is just being put may be among what was read: who it belongs to is only
    /// known when the puts up to this one are answered.
    fence: u64,
    signal: Signal,
    aim: Aim,
    read: Read,
}

/// What has been read, what is next, and whether a read is under way.
#[derive(Debug)]
pub(crate) struct Replay {
    pub(crate) cursors: PerSignal<ReplayCursor>,
    /// Which signal was read last.
    turn: Signal,
    reading: bool,
    arrived: Option<Arrived>,
}

impl Replay {
    /// Nothing is known but whether something waits.
    pub(crate) fn new(something_waits: bool) -> Self {
        let cursors = PerSignal::from_fn(|_| ReplayCursor::new(something_waits));
        Self { cursors, turn: Signal::Logs, reading: false, arrived: None }
    }

    /// Whether a read is under way.
    pub(crate) fn is_reading(&self) -> bool {
        self.reading
    }

    /// Asks for more of one of the `wanted` signals, in turns.
    pub(crate) fn read(&mut self, client: &mut StoreClient, wanted: PerSignal<bool>, max_bytes: usize) {
        let Some(signal) = self.next_turn(wanted) else { return };
        let Some((aim, after)) = self.cursors[signal].next() else { return };
        if client.read(signal, aim, after, max_bytes) {
            (self.reading, self.turn) = (true, signal);
        }
    }

    /// Whose turn it is to be read. What was sent in vain goes after everything else, of whatever signal.
    fn next_turn(&self, wanted: PerSignal<bool>) -> Option<Signal> {
        let [first, second, third] = match self.turn {
            Signal::Traces => [Signal::Metrics, Signal::Logs, Signal::Traces],
            Signal::Metrics => [Signal::Logs, Signal::Traces, Signal::Metrics],
            Signal::Logs => Signal::ALL,
        };
        let turns = [first, second, third].into_iter().filter(|signal| wanted[*signal]);
        let find = |has: fn(&ReplayCursor) -> bool| turns.clone().find(|signal| has(&self.cursors[*signal]));
        find(ReplayCursor::waits).or_else(|| find(ReplayCursor::has_deferred))
    }

    /// A read has been answered, after the put `last_put` was asked for.
    pub(crate) fn arrived(&mut self, signal: Signal, aim: Aim, read: Read, last_put: u64) {
        self.arrived = Some(Arrived { fence: last_put, signal, aim, read });
    }

    /// What was read, as soon as it is known whose it is.
    pub(crate) fn take(&mut self, client: &StoreClient) -> Option<(Signal, Aim, Read)> {
        if client.is_putting(self.arrived.as_ref()?.fence) {
            return None;
        }
        self.reading = false;
        self.arrived.take().map(|Arrived { signal, aim, read, .. }| (signal, aim, read))
    }
}

/// Of which signals there is somebody to send it to.
pub(crate) fn wanted(inflight: &InFlight, policy: &Policy, max_request_bytes: usize) -> PerSignal<bool> {
    use BreakerState::{Closed, HalfOpen, Open};
    let room = inflight.replayed.bytes() < max_request_bytes;
    let working = |signal| {
        let mut work = inflight.connections.iter().flat_map(|connection| &connection.work);
        work.any(|batch| batch.signal == signal)
    };
    let idle = || {
        let busy = inflight.connections.iter().any(|connection| !connection.work.is_empty());
        let admitted = policy.admitted(inflight.requests());
        !busy && inflight.replayed.is_empty() && !inflight.live.has_any(admitted)
    };
    PerSignal::from_fn(|signal| match (policy.breaker.state(), policy.signals.state(signal)) {
        (Open, _) | (_, Open) => false,
        (HalfOpen, Closed | HalfOpen) => idle(),
        (Closed, Closed) => room,
        (Closed, HalfOpen) => {
            let alone = PerSignal::from_fn(|other| other == signal);
            !working(signal) && !inflight.replayed.has_any(alone) && !inflight.live.has_any(alone)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::RecordId;

    /// The signals take turns, one that is not wanted is passed over, and what was sent in vain comes last.
    #[test]
    fn signals_are_read_in_turns_and_what_was_deferred_last() {
        let mut replay = Replay::new(true);
        let all = PerSignal::from_fn(|_| true);
        let mut turns = Vec::new();
        for _ in 0..4 {
            replay.turn = replay.next_turn(all).expect("something waits");
            turns.push(replay.turn);
        }
        assert_eq!(turns, [Signal::Traces, Signal::Metrics, Signal::Logs, Signal::Traces]);
        let without_metrics = PerSignal::from_fn(|signal| signal != Signal::Metrics);
        assert_eq!(replay.next_turn(without_metrics), Some(Signal::Logs));
        assert_eq!(replay.next_turn(PerSignal::default()), None);
        let mut replay = Replay::new(false);
        replay.cursors[Signal::Metrics].release(RecordId(1), true);
        assert_eq!(replay.next_turn(all), Some(Signal::Metrics));
        replay.cursors[Signal::Logs].added();
        replay.turn = Signal::Traces;
        assert_eq!(replay.next_turn(all), Some(Signal::Logs));
    }
}
