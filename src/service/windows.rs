//! Closes windows that are over and sends them, once a second; at the end closes and sends those that are still open.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use crate::clock::unix_nano;
use crate::export::otlp::{Encoded, Encoder, Pusher};
use crate::red::{Red, Window};

/// How often it is looked whether a window is over.
const TICK: Duration = Duration::from_secs(1);

/// The task that closes and sends windows.
#[derive(Debug)]
pub(super) struct WindowPush {
    /// Sent with where to say that everything has been handed over.
    flush: oneshot::Sender<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl WindowPush {
    /// Starts it on the current runtime.
    pub(super) fn start(red: Arc<Red>, pusher: Pusher) -> Self {
        let (flush, flushed) = oneshot::channel();
        Self { flush, task: tokio::spawn(run(red, pusher, flushed)) }
    }

    /// Hands over the open windows; to be called after the last commit and before the destinations drain. The task that is
    /// returned ends when it is known what became of every point; `None`: nothing was handed over by `deadline`.
    pub(super) async fn flush(self, deadline: Instant) -> Option<JoinHandle<()>> {
        let (done, handed_over) = oneshot::channel();
        // The task ends only when it receives this, so it is there to receive it.
        let _ = self.flush.send(done);
        timeout_at(deadline, handed_over).await.ok().map(|_| self.task)
    }
}

async fn run(red: Arc<Red>, mut pusher: Pusher, mut flush: oneshot::Receiver<oneshot::Sender<()>>) {
    let mut ticks = interval(TICK);
    // A machine that slept has nothing to catch up with.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let done = loop {
        tokio::select! {
            done = &mut flush => break done,
            _ = ticks.tick() => {}
        }
        let encoded = work(&red, pusher.encoder(), Red::close).await;
        pusher.send(encoded);
    };
    // An error: the service was dropped without a drain, and nobody would carry anything any more.
    let Ok(done) = done else { return };
    let encoded = work(&red, pusher.encoder(), Red::flush).await;
    pusher.send(encoded);
    let _ = done.send(());
    pusher.finish().await;
}

/// Some milliseconds of work, now and then: not for the threads that carry spans.
async fn work(red: &Arc<Red>, encoder: Encoder, close: fn(&Red, u64) -> Vec<Window>) -> Encoded {
    let red = red.clone();
    let encoded = spawn_blocking(move || {
        let now = unix_nano();
        let windows = close(&red, now);
        let totals = (!windows.is_empty() && encoder.wants_totals()).then(|| red.snapshot(now));
        encoder.encode(&windows, totals.as_ref().map(|totals| (totals, now)))
    });
    encoded.await.unwrap_or_else(|error| {
        tracing::error!(%error, "a window could not be closed; this is a bug");
        Encoded::default()
    })
}
