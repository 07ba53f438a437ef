//! Whether the event loop that carries requests still runs: a task is spawned there now and then, and while that does not
//! run, nothing else does. A busy loop runs it within milliseconds, between two other polls.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

/// The task last spawned, and what is known by it.
#[derive(Debug, Default)]
pub(super) struct Heartbeat {
    beat: Option<Beat>,
    silent_for: Duration,
}

#[derive(Debug)]
struct Beat {
    asked: Instant,
    answered: Arc<AtomicBool>,
}

impl Heartbeat {
    /// Checks whether the last task has run, and spawns the next one if so.
    pub(super) fn observe(&mut self, event_loop: &Handle) {
        let now = Instant::now();
        if let Some(beat) = &self.beat
            && !beat.answered.load(Ordering::Acquire)
        {
            self.silent_for = now - beat.asked;
            return;
        }
        let answered = Arc::new(AtomicBool::new(false));
        self.beat = Some(Beat { asked: now, answered: answered.clone() });
        self.silent_for = Duration::ZERO;
        event_loop.spawn(async move { answered.store(true, Ordering::Release) });
    }

    /// For how long nothing had run when it was last observed.
    pub(super) fn silent_for(&self) -> Duration {
        self.silent_for
    }
}
