//! The parts of a destination, and the moves that concern several of them.

use tokio::time::Instant;

use super::inflight::{Admitted, InFlight};
use super::meters::Meters;
use super::policy::{Event, Failure, Policy};
use super::spool::Spool;

/// What the actor owns beside its loop.
#[derive(Debug)]
pub(crate) struct Parts<S> {
    pub(crate) policy: Policy,
    pub(crate) inflight: InFlight,
    pub(crate) spool: S,
    pub(crate) meters: Meters,
}

impl<S: Spool> Parts<S> {
    /// What may be sent now; `replayed`: also what was read back from the disk.
    pub(crate) fn admitted(&self, replayed: bool) -> Admitted {
        let signals = self.policy.admitted(self.inflight.requests());
        Admitted { signals, replayed, max_bytes: self.policy.limit.bytes() }
    }

    /// The destination does not work, or not now: its connection `index` pauses.
    pub(crate) fn failed(&mut self, index: usize, failure: &Failure, event: Event, now: Instant) {
        if event != Event::RefusesAll {
            self.meters.failed(failure, failure.judgement());
        }
        let accounting = &mut self.inflight.entries.accounting;
        accounting.failures = accounting.failures.saturating_add(1);
        accounting.last_error = Some(failure.to_string().into());
        let connection = &mut self.inflight.connections[index];
        connection.failures = connection.failures.saturating_add(1);
        connection.pause = Some(self.policy.pause(connection.failures, failure, now, fastrand::f64()));
        self.tell_breaker(event, now, failure.retry_after.map(|delay| now + delay));
    }

    /// Tells the breaker what an attempt came to, and does what its new state means. The destination wants nothing before
    /// `retry_after`.
    pub(crate) fn tell_breaker(&mut self, event: Event, now: Instant, retry_after: Option<Instant>) {
        if self.policy.breaker.on(event, now, retry_after, fastrand::f64()) {
            self.breaker_changed(now);
        }
    }

    /// The breaker has changed.
    pub(crate) fn breaker_changed(&mut self, now: Instant) {
        let state = self.policy.breaker.state();
        self.meters.breaker_changed(state, &self.inflight.entries.accounting, S::KEEPS, now);
        if self.policy.breaker.wakes().is_none() {
            return;
        }
        // Its time holds now, not those of the connections. What the disk has, or will have soon, need not wait in memory.
        self.policy.refusals.reset(now);
        self.end_pauses_of_our_own();
        if S::KEEPS {
            self.inflight.pause(|_| true);
            self.spool.write_soon(now);
        }
    }

    /// Connections do not sit out pauses that the destination did not ask for.
    pub(crate) fn end_pauses_of_our_own(&mut self) {
        for connection in &mut self.inflight.connections {
            connection.pause = connection.pause.filter(|pause| pause.requested);
        }
    }
}
