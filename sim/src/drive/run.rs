//! Sends what a fleet makes, at a rate or as fast as it is accepted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::client::Client;
use super::fault_plan::FaultPlan;
use super::fleet::Fleet;
use super::progress::Progress;
use crate::clock::now_unix_nano;

/// How much load for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoadPlan {
    /// Spans a second; `None`: as fast as they are accepted.
    pub rate: Option<f64>,
    /// How long requests are started; those in flight at the end are waited for.
    pub duration: Duration,
    /// The most requests in flight. At this limit a run with a rate falls behind its schedule, which its latencies show.
    pub in_flight: usize,
}

/// Runs `fleet` against `client` by `plan`, keeping `progress` up to date. Returns when every request is answered.
pub async fn drive(fleet: Fleet, client: Arc<Client>, plan: LoadPlan, progress: Arc<Progress>) {
    drive_with_faults(fleet, client, plan, progress, &FaultPlan::default()).await;
}

/// Like [`drive`], and sends some acknowledged batches again, as `faults` says. The other faults are
/// [applied to the gateways](FaultPlan::apply_to) and to a [`Relay`](crate::Relay).
pub async fn drive_with_faults(
    mut fleet: Fleet,
    client: Arc<Client>,
    plan: LoadPlan,
    progress: Arc<Progress>,
    faults: &FaultPlan,
) {
    let begun = tokio::time::Instant::now();
    let slots = Arc::new(Semaphore::new(plan.in_flight.max(1)));
    let mut requests = JoinSet::new();
    let mut due = begun;
    while begun.elapsed() < plan.duration && due < begun + plan.duration {
        let Some(batch) = fleet.next().await else { break };
        tokio::time::sleep_until(due).await;
        let Ok(permit) = Arc::clone(&slots).acquire_owned().await else { break };
        let scheduled: Instant = match plan.rate {
            Some(rate) => {
                let scheduled = due;
                due += Duration::from_secs_f64(batch.facts.spans as f64 / rate);
                scheduled.into_std()
            }
            None => Instant::now(),
        };
        progress.start(batch.facts.spans, false);
        let (client, progress, acks) = (Arc::clone(&client), Arc::clone(&progress), fleet.acks());
        let again = faults.resends(batch.gateway, batch.id);
        requests.spawn(async move {
            let sent = now_unix_nano();
            let result = client.export(batch.body.clone()).await;
            if progress.record(&batch, result, sent, scheduled.elapsed(), &acks) && again {
                progress.start(batch.facts.spans, true);
                let (sent, begun) = (now_unix_nano(), Instant::now());
                let result = client.export(batch.body.clone()).await;
                progress.record(&batch, result, sent, begun.elapsed(), &acks);
            }
            drop(permit);
        });
        while requests.try_join_next().is_some() {}
    }
    while requests.join_next().await.is_some() {}
}
