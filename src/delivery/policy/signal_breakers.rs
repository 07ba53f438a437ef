//! Which signals a destination takes: a breaker for each signal, beside the one of the destination. UNIMPLEMENTED ("no such
//! service") concerns one signal: the others go on, and from time to time one request tries whether the signal is taken by
//! now.

use tokio::time::Instant;

use super::breaker::{Breaker, Event};
use crate::config;
use crate::delivery::status::BreakerState;
use crate::otlp::{PerSignal, Signal};

/// The breakers of the three signals.
#[derive(Debug)]
pub(crate) struct SignalBreakers {
    breakers: PerSignal<Breaker>,
    /// RetryInfo: the signal is not tried before.
    retry_after: PerSignal<Option<Instant>>,
}

impl SignalBreakers {
    /// Every signal is taken until we hear otherwise.
    pub(crate) fn new(settings: config::Breaker, now: Instant) -> Self {
        Self { breakers: PerSignal::from_fn(|_| Breaker::new(settings, now)), retry_after: PerSignal::default() }
    }

    pub(crate) fn state(&self, signal: Signal) -> BreakerState {
        self.breakers[signal].state()
    }

    /// Whether `signal` is taken, as far as we know.
    pub(crate) fn is_closed(&self, signal: Signal) -> bool {
        self.breakers[signal].is_closed()
    }

    /// Whether another request of `signal` may go out while `in_flight` others of it are.
    pub(crate) fn admits(&self, signal: Signal, in_flight: usize) -> bool {
        self.breakers[signal].admits(in_flight)
    }

    /// A request of `signal` goes out on `connection`.
    pub(crate) fn started(&mut self, signal: Signal, connection: usize) {
        self.breakers[signal].started(connection);
    }

    /// Whether the request on `connection` tries a signal.
    pub(crate) fn is_probe(&self, connection: usize) -> bool {
        self.breakers.values().any(|breaker| breaker.is_probe(connection))
    }

    /// The attempt on `connection` has ended, whatever it says.
    pub(crate) fn ended(&mut self, connection: usize) {
        self.breakers.values_mut().for_each(|breaker| breaker.ended(connection));
    }

    /// A request of `signal` was taken. `true`: that is news.
    pub(crate) fn taken(&mut self, signal: Signal, now: Instant) -> bool {
        self.retry_after[signal] = None;
        self.breakers[signal].on(Event::Succeeded, now, None, 0.0)
    }

    /// The destination does not take `signal`, and wants none of it before `retry_after`. `jitter` as for a breaker. `true`:
    /// it did until now.
    pub(crate) fn refused(&mut self, signal: Signal, now: Instant, retry_after: Option<Instant>, jitter: f64) -> bool {
        let news = self.is_closed(signal);
        let known = &mut self.retry_after[signal];
        *known = retry_after.max(*known);
        self.breakers[signal].on(Event::Misconfigured, now, retry_after, jitter);
        news
    }

    /// Tells them the time: a signal that has paused for long enough is tried.
    pub(crate) fn tick(&mut self, now: Instant) {
        for breaker in self.breakers.values_mut() {
            breaker.tick(now);
        }
    }

    /// What is not taken may be tried now, or when the destination allows it.
    pub(crate) fn retry_now(&mut self, now: Instant) {
        for (breaker, retry_after) in self.breakers.values_mut().zip(self.retry_after.values()) {
            breaker.retry_now(now, *retry_after);
        }
    }

    /// When the next changes are due that only take time.
    pub(crate) fn wakes(&self) -> impl Iterator<Item = Instant> {
        self.breakers.values().filter_map(Breaker::wakes)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// One signal is not taken: the others do not notice. It is tried by one request at a time, and closed by a success.
    #[test]
    fn a_signal_that_is_not_taken_rests_alone_and_is_tried_by_itself() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        let settings = config::Breaker { consecutive_failures: 5, open_min: second, open_max: 60 * second };
        let mut breakers = SignalBreakers::new(settings, now);
        let admitted = |breakers: &SignalBreakers| Signal::ALL.map(|signal| breakers.admits(signal, 3));
        assert!(breakers.refused(Signal::Logs, now, None, 0.5));
        assert!(!breakers.refused(Signal::Logs, now, None, 0.5), "known already");
        assert_eq!(admitted(&breakers), [true, true, false]);
        assert_eq!(breakers.wakes().collect::<Vec<_>>(), [now + second]);
        breakers.tick(now + second);
        assert_eq!(breakers.state(Signal::Logs), BreakerState::HalfOpen);
        breakers.started(Signal::Traces, 0);
        breakers.started(Signal::Logs, 1);
        assert_eq!(admitted(&breakers), [true, true, false]);
        assert!(!breakers.is_probe(0) && breakers.is_probe(1));
        breakers.ended(1);
        assert_eq!(admitted(&breakers), [true, true, true]);
        assert!(breakers.taken(Signal::Logs, now + second) && !breakers.taken(Signal::Traces, now + second));
        assert!(breakers.is_closed(Signal::Logs));
    }

    /// A pause that the destination asked for is not cut short.
    #[test]
    fn retry_now_ends_pauses_of_our_own_alone() {
        let now = Instant::now();
        let minute = Duration::from_secs(60);
        let settings = config::Breaker { consecutive_failures: 5, open_min: minute, open_max: minute };
        let mut breakers = SignalBreakers::new(settings, now);
        breakers.refused(Signal::Metrics, now, Some(now + 2 * minute), 0.5);
        breakers.refused(Signal::Logs, now, None, 0.5);
        breakers.retry_now(now);
        breakers.tick(now);
        assert_eq!(Signal::ALL.map(|signal| breakers.admits(signal, 0)), [true, false, true]);
    }
}
