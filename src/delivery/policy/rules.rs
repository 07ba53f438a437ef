//! All that decides whether, when and how much is sent to a destination.

use tokio::time::Instant;

use super::backoff::Backoff;
use super::breaker::Breaker;
use super::failure::Failure;
use super::refusals::Refusals;
use super::request_limit::RequestLimit;
use super::signal_breakers::SignalBreakers;
use crate::config;
use crate::otlp::{PerSignal, Signal};

/// A pause of one connection after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pause {
    pub(crate) until: Instant,
    /// The destination asked for it (RetryInfo): it is not cut short.
    pub(crate) requested: bool,
}

/// The rules for one destination, and what they have learnt of it.
#[derive(Debug)]
pub(crate) struct Policy {
    backoff: Backoff,
    pub(crate) breaker: Breaker,
    pub(crate) signals: SignalBreakers,
    pub(crate) refusals: Refusals,
    pub(crate) limit: RequestLimit,
    /// RetryInfo: nothing is sent before this time, on any connection.
    not_before: Option<Instant>,
}

impl Policy {
    /// Everything is sent until the destination fails.
    pub(crate) fn new(backoff: Backoff, breaker: config::Breaker, limit: RequestLimit, now: Instant) -> Self {
        Self {
            backoff,
            breaker: Breaker::new(breaker, now),
            signals: SignalBreakers::new(breaker, now),
            refusals: Refusals::default(),
            limit,
            not_before: None,
        }
    }

    /// Whether nothing of `signal` is sent at the moment, but for a probe.
    pub(crate) fn is_paused(&self, signal: Signal) -> bool {
        !self.breaker.is_closed() || !self.signals.is_closed(signal)
    }

    /// Whether the destination has asked not to be called yet (RetryInfo).
    pub(crate) fn is_held(&self, now: Instant) -> bool {
        self.not_before.is_some_and(|allowed| now < allowed)
    }

    /// Of which signals something may go out, as far as they are concerned, while so many `requests` of each are.
    pub(crate) fn admitted(&self, requests: PerSignal<usize>) -> PerSignal<bool> {
        PerSignal::from_fn(|signal| self.signals.admits(signal, requests[signal]))
    }

    /// A request of `signal` goes out on `connection`.
    pub(crate) fn started(&mut self, signal: Signal, connection: usize) {
        self.breaker.started(connection);
        self.signals.started(signal, connection);
    }

    /// The attempt on `connection` has ended, whatever it says.
    pub(crate) fn ended(&mut self, connection: usize) {
        self.breaker.ended(connection);
        self.signals.ended(connection);
    }

    /// Whether the request on `connection` tries the destination, or a signal.
    pub(crate) fn is_probe(&self, connection: usize) -> bool {
        self.breaker.is_probe(connection) || self.signals.is_probe(connection)
    }

    /// How long a connection pauses that has failed so many times in a row, and until when the destination wants nothing.
    /// `jitter` is a random number in `0.0..1.0`.
    pub(crate) fn pause(&mut self, failures: u32, failure: &Failure, now: Instant, jitter: f64) -> Pause {
        let pause = now + self.backoff.pause(failures, jitter);
        let retry_after = failure.retry_after.map(|delay| now + delay);
        self.not_before = self.not_before.max(retry_after);
        Pause { until: retry_after.map_or(pause, |allowed| allowed.max(pause)), requested: retry_after.is_some() }
    }

    /// Ends pauses of our own; those that the destination asked for go on.
    pub(crate) fn retry_now(&mut self, now: Instant) {
        self.breaker.retry_now(now, self.not_before);
        self.signals.retry_now(now);
    }

    /// Tells them the time. `true`: the breaker has changed.
    pub(crate) fn tick(&mut self, now: Instant) -> bool {
        self.signals.tick(now);
        self.not_before = self.not_before.filter(|allowed| now < *allowed);
        self.breaker.tick(now)
    }

    /// When the next changes are due that only take time.
    pub(crate) fn wakes(&self) -> impl Iterator<Item = Instant> {
        self.not_before.into_iter().chain(self.breaker.wakes()).chain(self.signals.wakes())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    use super::*;
    use crate::delivery::policy::Event;

    const SECOND: Duration = Duration::from_secs(1);

    fn policy(now: Instant) -> Policy {
        let breaker = config::Breaker { consecutive_failures: 1, open_min: SECOND, open_max: 60 * SECOND };
        let limit = RequestLimit::new(1 << 20, Arc::new(AtomicUsize::new(1 << 20)));
        Policy::new(Backoff::new(SECOND, 8 * SECOND).expect("valid"), breaker, limit, now)
    }

    /// What the destination asks for holds for all connections, is never cut short, and ends by itself.
    #[test]
    fn a_requested_pause_holds_for_everything() {
        let now = Instant::now();
        let mut policy = policy(now);
        let mut failure = Failure::transport("busy");
        assert_eq!(policy.pause(2, &failure, now, 1.0), Pause { until: now + 2 * SECOND, requested: false });
        assert!(!policy.is_held(now));
        failure.retry_after = Some(5 * SECOND);
        assert_eq!(policy.pause(1, &failure, now, 1.0), Pause { until: now + 5 * SECOND, requested: true });
        policy.breaker.on(Event::Failed, now, Some(now + 5 * SECOND), 0.0);
        policy.retry_now(now);
        assert!(policy.is_held(now) && !policy.tick(now + 4 * SECOND) && policy.is_held(now + 4 * SECOND));
        assert!(policy.tick(now + 5 * SECOND) && !policy.is_held(now + 5 * SECOND));
    }

    /// A signal that is not taken pauses alone; an open breaker pauses all of them.
    #[test]
    fn signals_pause_alone_and_with_their_destination() {
        let now = Instant::now();
        let mut policy = policy(now);
        let paused = |policy: &Policy| Signal::ALL.map(|signal| policy.is_paused(signal));
        policy.signals.refused(Signal::Logs, now, None, 0.5);
        assert_eq!(paused(&policy), [false, false, true]);
        policy.breaker.on(Event::Failed, now, None, 0.5);
        assert_eq!(paused(&policy), [true; 3]);
    }
}
