//! Whether the workers of the runtime that carries requests still get on.
//!
//! Two observations, because neither sees all. A task is spawned now and then: while it does not run, no worker is free.
//! And each worker's own figures are read: one that is not parked, and whose figures stand still, sits in a single poll.
//! (The runtime publishes them whenever a worker parks or unparks, and after every few dozen polls in between, so a busy
//! worker's figures move.)

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

/// What was seen of the workers so far.
#[derive(Debug, Default)]
pub(super) struct Workers {
    beat: Option<Heartbeat>,
    each: Vec<Worker>,
    silent_for: Duration,
}

#[derive(Debug)]
struct Heartbeat {
    asked: Instant,
    answered: Arc<AtomicBool>,
}

#[derive(Clone, Copy, Debug)]
struct Worker {
    figures: (u64, Duration),
    since: Instant,
}

impl Workers {
    /// Looks at them again.
    pub(super) fn observe(&mut self, runtime: &Handle) {
        let now = Instant::now();
        self.silent_for = self.beat(runtime, now).max(self.longest_poll(runtime, now));
    }

    /// For how long one of them had done nothing when they were last looked at.
    pub(super) fn silent_for(&self) -> Duration {
        self.silent_for
    }

    fn beat(&mut self, runtime: &Handle, now: Instant) -> Duration {
        if let Some(beat) = &self.beat
            && !beat.answered.load(Ordering::Acquire)
        {
            return now - beat.asked;
        }
        let answered = Arc::new(AtomicBool::new(false));
        self.beat = Some(Heartbeat { asked: now, answered: answered.clone() });
        runtime.spawn(async move { answered.store(true, Ordering::Release) });
        Duration::ZERO
    }

    fn longest_poll(&mut self, runtime: &Handle, now: Instant) -> Duration {
        let metrics = runtime.metrics();
        let mut longest = Duration::ZERO;
        for index in 0..metrics.num_workers() {
            let parked_and_unparked = metrics.worker_park_unpark_count(index);
            let figures = (parked_and_unparked, metrics.worker_total_busy_duration(index));
            match self.each.get_mut(index) {
                None => self.each.push(Worker { figures, since: now }),
                Some(worker) if worker.figures != figures => *worker = Worker { figures, since: now },
                // Odd: parked, which is what a worker without work does.
                Some(_) if parked_and_unparked % 2 == 1 => {}
                Some(worker) => longest = longest.max(now - worker.since),
            }
        }
        longest
    }
}
