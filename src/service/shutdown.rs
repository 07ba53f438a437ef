//! The end of a service, in the order in which nothing is lost.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::error::ServiceError;
use super::running::{Service, advance};
use crate::admin::Phase;
use crate::config::Role;
use crate::delivery::Destination;

/// The last part of `shutdown_timeout`, kept for closing connections and the store after the destinations had their time.
const CLOSE_TIME: Duration = Duration::from_millis(500);

/// How long a shutdown waits for debug destinations; what they have not taken by then is discarded.
const DEBUG_DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// The part of `shutdown_timeout` before that, kept for delivering the last windows when requests are still open.
const WINDOW_TIME: Duration = Duration::from_secs(2);

impl Service {
    /// Drains and stops, within the configured `shutdown_timeout`: the process stops being ready and takes no new request.
    /// Open requests are finished and counted; those that are still open two seconds before the end are written to the store
    /// or, without one, handed back to their clients. Then the open windows are sent, what still waits is written to the
    /// store where there is one, and the connections are closed.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotDrained`] when requests had to be handed back, or the error with which the health server ended.
    pub async fn shut_down(self) -> Result<(), ServiceError> {
        let end = Instant::now() + self.shutdown_timeout;
        let deadline = end.checked_sub(CLOSE_TIME.min(self.shutdown_timeout / 4)).unwrap_or(end);
        advance(&self.lifecycle, Phase::Draining);
        self.pipeline.drain();
        self.stop_receiving.send_replace(true);
        self.destinations.iter().for_each(Destination::retry_now);
        // With the last commit the open windows are complete; they need some of the time to be delivered.
        let last_commit = deadline.checked_sub(WINDOW_TIME.min(self.shutdown_timeout / 4)).unwrap_or(deadline);
        let mut left = None;
        if timeout_at(last_commit, self.pipeline.idle()).await.is_err() {
            // Answered later, they would be counted in windows that nobody sends any more.
            left = flush_waiters(&self.destinations).await;
            let _ = timeout_at(deadline, self.pipeline.idle()).await;
        }
        let measured = match self.windows {
            Some(windows) => windows.flush(deadline).await,
            None => None,
        };
        let left = left.or(drain(&self.destinations, Role::Required, deadline).await.into_iter().next());
        // Nothing was promised for these: what they do not take now is discarded by design.
        for exporter in drain(&self.destinations, Role::Debug, deadline.min(Instant::now() + DEBUG_DRAIN_TIMEOUT)).await
        {
            tracing::info!(exporter, "debug destination did not take the rest of its data in time; it is discarded");
        }
        if let Some(measured) = measured {
            let _ = timeout_at(end, measured).await;
        }
        // Connections that clients keep open have had their answers and GOAWAY.
        let _ = timeout_at(end, self.receiver).await;
        self.stop_showing.send_replace(true);
        if let Some(prometheus) = self.prometheus {
            let _ = timeout_at(end, prometheus).await;
        }
        let shown = timeout_at(end, self.admin).await;
        if let Some(store) = self.store {
            // What was promised is on the disk already. This only tidies up, and a disk that hangs must not hold up the end.
            let closed = tokio::task::spawn_blocking(move || store.close());
            let _ = timeout_at(end.max(Instant::now() + CLOSE_TIME), closed).await;
        }
        if let Some(destination) = left {
            return Err(ServiceError::NotDrained { destination, timeout: self.shutdown_timeout });
        }
        if let Ok(Ok(result)) = shown {
            result?;
        }
        Ok(())
    }
}

/// Has everything in flight written to the store or handed back. Returns the name of a destination for which something was
/// handed back.
async fn flush_waiters(destinations: &[Destination]) -> Option<String> {
    let mut name = None;
    for destination in destinations.iter().filter(|destination| destination.role() == Role::Required) {
        if destination.flush_waiters().await {
            name = Some(destination.name().to_owned());
        }
    }
    name
}

/// Drains all destinations of `role` at the same time. Returns the names of those that had to hand something back.
async fn drain(destinations: &[Destination], role: Role, deadline: Instant) -> Vec<String> {
    let mut drains = JoinSet::new();
    for destination in destinations.iter().filter(|destination| destination.role() == role) {
        let destination = destination.clone();
        drains.spawn(async move { (!destination.drain(deadline).await).then(|| destination.name().to_owned()) });
    }
    drains.join_all().await.into_iter().flatten().collect()
}
