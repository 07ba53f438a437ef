//! The circuit breaker of a destination (`docs/delivery.md` section 3): when nothing is sent to it, and for how long. Plain
//! data that is told the time; whoever sends asks it first, and tells it the outcome.
//!
//! While it is closed, each connection pauses after its own failures (`backoff`). While it is open, nothing is dialled until
//! its own time is over. RetryInfo holds in both states. After it has closed, one request may be in flight, and each success
//! doubles that.

use std::time::Duration;

use tokio::time::Instant;

use crate::config;
use crate::delivery::status::BreakerState;

/// The time over which attempts are judged together.
const WINDOW: Duration = Duration::from_secs(10);
/// Fewer attempts than this within [`WINDOW`] say nothing about the share that failed.
const MIN_ATTEMPTS: u32 = 20;

/// What changes a breaker: the outcome of an attempt, or time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The destination took a request.
    Succeeded,
    /// It answered, and does not want this data.
    Refused,
    /// It did not answer, or is busy.
    Failed,
    /// It is set up wrongly.
    Misconfigured,
    /// It refuses one request after the other: the data is not at fault.
    RefusesAll,
    /// An open breaker has been open for long enough.
    Elapsed,
}

/// The table of transitions. `tripped`: enough failures to open a closed breaker. `refusing`: it opened because everything
/// was refused, so another refusal is no sign of health.
fn next(state: BreakerState, event: Event, tripped: bool, refusing: bool) -> BreakerState {
    use BreakerState::{Closed, HalfOpen, Open};
    match (state, event) {
        (Closed, Event::Succeeded | Event::Refused | Event::Elapsed) => Closed,
        (Closed, Event::Failed) if !tripped => Closed,
        (Closed, Event::Failed | Event::Misconfigured | Event::RefusesAll) => Open,
        // An attempt that began before it opened: the destination works after all.
        (Open, Event::Succeeded) => Closed,
        (Open, Event::Elapsed) => HalfOpen,
        (Open, Event::Refused | Event::Failed | Event::Misconfigured | Event::RefusesAll) => Open,
        (HalfOpen, Event::Elapsed) => HalfOpen,
        (HalfOpen, Event::Refused) if refusing => Open,
        (HalfOpen, Event::Succeeded | Event::Refused) => Closed,
        (HalfOpen, Event::Failed | Event::Misconfigured | Event::RefusesAll) => Open,
    }
}

/// The breaker of one destination.
#[derive(Debug)]
pub(crate) struct Breaker {
    settings: config::Breaker,
    state: BreakerState,
    /// When an open breaker lets a request through; never before the destination allows it.
    until: Instant,
    /// The connection whose request decides, while half-open.
    probe: Option<usize>,
    refusing: bool,
    /// Failures in a row.
    row: u32,
    recent: Recent,
    /// How often in a row it has opened.
    openings: u32,
    /// Requests that may be in flight while closed.
    allowed: usize,
}

impl Breaker {
    /// A closed breaker.
    pub(crate) fn new(settings: config::Breaker, now: Instant) -> Self {
        Self {
            settings,
            state: BreakerState::Closed,
            until: now,
            probe: None,
            refusing: false,
            row: 0,
            recent: Recent::new(now),
            openings: 0,
            allowed: usize::MAX,
        }
    }

    pub(crate) fn state(&self) -> BreakerState {
        self.state
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state == BreakerState::Closed
    }

    /// Whether it opened because everything was refused.
    pub(crate) fn is_refusing(&self) -> bool {
        self.refusing && !self.is_closed()
    }

    /// When the next change is due that only takes time.
    pub(crate) fn wakes(&self) -> Option<Instant> {
        (self.state == BreakerState::Open).then_some(self.until)
    }

    /// Whether another request may go out while `in_flight` others are.
    pub(crate) fn admits(&self, in_flight: usize) -> bool {
        match self.state {
            BreakerState::Closed => in_flight < self.allowed,
            BreakerState::Open => false,
            BreakerState::HalfOpen => self.probe.is_none(),
        }
    }

    /// A request goes out on `connection`.
    pub(crate) fn started(&mut self, connection: usize) {
        if self.state == BreakerState::HalfOpen {
            self.probe = Some(connection);
        }
    }

    /// Whether the request on `connection` is the one that decides.
    pub(crate) fn is_probe(&self, connection: usize) -> bool {
        self.probe == Some(connection)
    }

    /// The attempt on `connection` has ended, whatever it says.
    pub(crate) fn ended(&mut self, connection: usize) {
        self.probe = self.probe.filter(|probe| *probe != connection);
    }

    /// Half-open now, if it is open; not before `retry_after`, which the destination asked for.
    pub(crate) fn retry_now(&mut self, now: Instant, retry_after: Option<Instant>) {
        if self.state == BreakerState::Open {
            self.until = retry_after.map_or(now, |retry_after| retry_after.max(now));
        }
    }

    /// Tells it the time. `true`: the state has changed.
    pub(crate) fn tick(&mut self, now: Instant) -> bool {
        self.state == BreakerState::Open && self.until <= now && self.on(Event::Elapsed, now, None, 0.0)
    }

    /// Takes note of `event`. The destination wants nothing before `retry_after`. `jitter` is a random number in `0.0..1.0`.
    /// `true`: the state has changed.
    pub(crate) fn on(&mut self, event: Event, now: Instant, retry_after: Option<Instant>, jitter: f64) -> bool {
        match event {
            Event::Failed => {
                self.row = self.row.saturating_add(1);
                self.recent.add(now, true);
            }
            Event::Succeeded | Event::Refused => {
                self.row = 0;
                self.recent.add(now, false);
            }
            Event::Misconfigured | Event::RefusesAll | Event::Elapsed => {}
        }
        let tripped = self.row >= self.settings.consecutive_failures || self.recent.mostly_failed(now);
        let before = self.state;
        self.state = next(before, event, tripped, self.refusing);
        match (before, self.state) {
            (BreakerState::Closed, BreakerState::Closed) if event == Event::Succeeded => {
                self.allowed = self.allowed.saturating_mul(2);
            }
            (BreakerState::Open, BreakerState::Open) => self.until = self.until.max(retry_after.unwrap_or(self.until)),
            (_, BreakerState::Open) => self.open(event, now, retry_after, jitter),
            (BreakerState::Open | BreakerState::HalfOpen, BreakerState::Closed) => self.close(now),
            _ => {}
        }
        before != self.state
    }

    fn open(&mut self, event: Event, now: Instant, retry_after: Option<Instant>, jitter: f64) {
        self.refusing = event == Event::RefusesAll || (self.refusing && event == Event::Refused);
        self.openings = self.openings.saturating_add(1);
        let time = now + self.time(jitter);
        self.until = retry_after.map_or(time, |retry_after| retry_after.max(time));
    }

    /// `open_min` doubled with every opening in a row, a quarter more or less, between `open_min` and `open_max`.
    fn time(&self, jitter: f64) -> Duration {
        let config::Breaker { open_min, open_max, .. } = self.settings;
        let factor = 1_u32.checked_shl(self.openings.saturating_sub(1)).unwrap_or(u32::MAX);
        let middle = open_min.saturating_mul(factor).min(open_max);
        middle.mul_f64(0.75 + 0.5 * jitter.clamp(0.0, 1.0)).clamp(open_min, open_max.max(open_min))
    }

    fn close(&mut self, now: Instant) {
        (self.row, self.openings, self.allowed) = (0, 0, 1);
        self.refusing = false;
        self.recent = Recent::new(now);
    }
}

/// Attempts of the last ten seconds, in steps of one.
#[derive(Debug)]
struct Recent {
    start: Instant,
    /// Of each second: when (seconds since `start`), attempts, failures.
    seconds: [(u64, u32, u32); WINDOW.as_secs() as usize],
}

impl Recent {
    fn new(start: Instant) -> Self {
        Self { start, seconds: Default::default() }
    }

    fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.start).as_secs()
    }

    fn add(&mut self, now: Instant, failed: bool) {
        let second = self.second(now);
        let entry = &mut self.seconds[(second % WINDOW.as_secs()) as usize];
        if entry.0 != second {
            *entry = (second, 0, 0);
        }
        entry.1 = entry.1.saturating_add(1);
        entry.2 = entry.2.saturating_add(u32::from(failed));
    }

    fn mostly_failed(&self, now: Instant) -> bool {
        let since = (self.second(now) + 1).saturating_sub(WINDOW.as_secs());
        let recent = self.seconds.iter().filter(|(second, ..)| *second >= since);
        let (attempts, failures) = recent.fold((0_u32, 0_u32), |(attempts, failures), (_, all, failed)| {
            (attempts.saturating_add(*all), failures.saturating_add(*failed))
        });
        attempts >= MIN_ATTEMPTS && failures.saturating_mul(2) >= attempts
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SETTINGS: config::Breaker = config::Breaker {
        consecutive_failures: 5,
        open_min: Duration::from_secs(1),
        open_max: Duration::from_secs(60),
    };

    fn breaker() -> (Breaker, Instant) {
        let now = Instant::now();
        (Breaker::new(SETTINGS, now), now)
    }

    /// The open times in a row: doubled, within a quarter, between the two limits.
    #[test]
    fn each_opening_in_a_row_lasts_longer_up_to_the_maximum() {
        let (mut breaker, mut now) = breaker();
        breaker.on(Event::Misconfigured, now, None, 0.5);
        let mut times = Vec::new();
        for _ in 0..8 {
            let until = breaker.wakes().expect("open");
            times.push((until - now).as_secs());
            assert!(!breaker.admits(0) && !breaker.tick(until - Duration::from_millis(1)));
            now = until;
            assert!(breaker.tick(now) && breaker.admits(3));
            breaker.started(2);
            assert!(!breaker.admits(0), "one real batch, and no other");
            breaker.ended(2);
            assert!(breaker.on(Event::Failed, now, None, 0.5));
        }
        assert_eq!(times, [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[test]
    fn after_closing_concurrency_doubles_with_each_success() {
        let (mut breaker, now) = breaker();
        assert!(breaker.admits(1_000));
        breaker.on(Event::Misconfigured, now, None, 0.0);
        let now = now + SETTINGS.open_max;
        assert!(breaker.tick(now) && breaker.on(Event::Succeeded, now, None, 0.0));
        let allowed = |breaker: &Breaker| (0..100).take_while(|in_flight| breaker.admits(*in_flight)).count();
        let mut seen = vec![allowed(&breaker)];
        for _ in 0..3 {
            breaker.on(Event::Succeeded, now, None, 0.0);
            seen.push(allowed(&breaker));
        }
        assert_eq!(seen, [1, 2, 4, 8]);
    }

    /// Half of twenty attempts within ten seconds; not half of nineteen, and not what is longer ago.
    #[test]
    fn a_destination_that_fails_half_of_the_time_opens_it_too() {
        let (mut breaker, start) = breaker();
        for attempt in 0..19_u32 {
            let now = start + Duration::from_millis(u64::from(attempt) * 100);
            let event = if attempt % 2 == 0 { Event::Failed } else { Event::Succeeded };
            assert!(!breaker.on(event, now, None, 0.0), "{attempt}");
        }
        assert!(!breaker.on(Event::Failed, start + Duration::from_secs(15), None, 0.0), "the others are long ago");
        for _ in 0..20 {
            breaker.on(Event::Succeeded, start + Duration::from_secs(16), None, 0.0);
        }
        assert!(breaker.is_closed());
    }

    #[test]
    fn what_the_destination_asks_for_is_kept_however_long() {
        let (mut breaker, now) = breaker();
        let retry_after = now + Duration::from_secs(300);
        breaker.on(Event::Misconfigured, now, Some(retry_after), 0.0);
        breaker.retry_now(now, Some(retry_after));
        assert!(!breaker.tick(retry_after - Duration::from_millis(1)) && breaker.tick(retry_after));
    }

    /// A refusal is an answer, so the destination works; unless refusing everything was the complaint.
    #[test]
    fn a_refused_probe_closes_it_unless_it_had_opened_for_that() {
        for (cause, state) in [(Event::Misconfigured, BreakerState::Closed), (Event::RefusesAll, BreakerState::Open)] {
            let (mut breaker, now) = breaker();
            breaker.on(cause, now, None, 0.0);
            breaker.tick(now + SETTINGS.open_max);
            breaker.on(Event::Refused, now + SETTINGS.open_max, None, 0.0);
            assert_eq!(breaker.state(), state);
        }
    }

    fn any_event() -> impl Strategy<Value = Event> {
        prop_oneof![
            4 => Just(Event::Succeeded),
            1 => Just(Event::Refused),
            6 => Just(Event::Failed),
            1 => Just(Event::Misconfigured),
            1 => Just(Event::RefusesAll),
        ]
    }

    proptest! {
        /// A model that keeps the whole history: a closed breaker opens when, and only when, the last N attempts failed, at
        /// least half of twenty within ten seconds, or at once for what cannot be mended by waiting. An open one waits
        /// between `open_min` and `open_max`, and admits nobody.
        #[test]
        fn it_does_what_its_history_says(
            events in proptest::collection::vec((any_event(), 0_u64..800, 0.0..1.0_f64), 1..200),
        ) {
            let (mut breaker, start) = breaker();
            let (mut now, mut closed_at) = (start, start);
            let mut history: Vec<(Instant, bool)> = Vec::new();
            let mut opened = None;
            for (event, pause, jitter) in events {
                now += Duration::from_millis(pause);
                breaker.tick(now);
                let before = breaker.state();
                if let (BreakerState::Open, Some(at)) = (before, opened) {
                    prop_assert!(!breaker.admits(0) && now < at + SETTINGS.open_max);
                }
                if let (BreakerState::HalfOpen, Some(at)) = (before, opened) {
                    prop_assert!(now >= at + SETTINGS.open_min);
                }
                breaker.on(event, now, None, jitter);
                if matches!(event, Event::Failed | Event::Succeeded | Event::Refused) {
                    history.push((now, event == Event::Failed));
                }
                if before == BreakerState::Closed {
                    let row = history.iter().rev().take_while(|(_, failed)| *failed).count();
                    let second = |at: Instant| (at - closed_at).as_secs();
                    let recent = history.iter().filter(|(at, _)| second(*at) + 10 > second(now));
                    let (all, failed) = recent.fold((0, 0), |(all, n), (_, failed)| (all + 1, n + usize::from(*failed)));
                    let tripped = event == Event::Failed && (row >= 5 || (all >= 20 && failed * 2 >= all));
                    let at_once = matches!(event, Event::Misconfigured | Event::RefusesAll);
                    prop_assert_eq!(breaker.state() == BreakerState::Open, tripped || at_once);
                }
                if before != BreakerState::Open && breaker.state() == BreakerState::Open {
                    opened = Some(now);
                }
                if before != BreakerState::Closed && breaker.is_closed() {
                    (closed_at, opened) = (now, None);
                    history.clear();
                }
            }
        }
    }
}
