//! Runs the checks in the background, and passes their outcome on to the gRPC health service.

use std::convert::Infallible;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::time::{MissedTickBehavior, interval};

use super::check::Finding;
use super::findings::{self, CHAIN_PREFIX, EXPORT_PREFIX, RECEIVER, SPILL};
use super::monitor::Monitor;
use super::sources::ExportedPoints;
use crate::lock::lock;

/// Checks for ever. `event_loop` is the one whose heartbeat is watched.
pub(super) async fn run(monitor: &Monitor, event_loop: &Handle) -> Infallible {
    // Before this first result, the process counts as starting.
    monitor.results().note(RECEIVER, receiver(monitor));
    tokio::select! {
        never = keep_checking(monitor, event_loop) => never,
        never = keep_telling(monitor) => never,
    }
}

async fn keep_checking(monitor: &Monitor, event_loop: &Handle) -> Infallible {
    let mut tick = interval(monitor.timing().interval);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick.tick().await;
    let mut exported = Arc::default();
    loop {
        lock(monitor.heartbeat()).observe(event_loop);
        check_destinations(monitor).await;
        check_store(monitor).await;
        check_chains(monitor).await;
        exported = check_exports(monitor, exported).await;
        tick.tick().await;
        monitor.results().note(RECEIVER, receiver(monitor));
    }
}

/// The phase is passed on at once, everything else when it has been found.
async fn keep_telling(monitor: &Monitor) -> Infallible {
    let mut phase = monitor.phases();
    let mut tick = interval(monitor.timing().interval / 4);
    loop {
        monitor.tell_readiness();
        tokio::select! {
            // The sender lives in the monitor.
            _ = phase.changed() => {}
            _ = tick.tick() => {}
        }
    }
}

/// Fails while less than a twentieth of the memory for request bodies is free: then requests are being refused.
fn receiver(monitor: &Monitor) -> Finding {
    let (used, limit) = (monitor.budget().used(), monitor.budget().limit());
    let full = used >= limit - limit / 20;
    let output = full.then(|| format!("open requests take {used} of {limit} bytes"));
    Finding { failures: u32::from(full), observed: used as u64, output }
}

async fn check_destinations(monitor: &Monitor) {
    let timeout = monitor.timing().timeout;
    match monitor.destinations().ask(timeout).await {
        Ok(destinations) => {
            let all = destinations.iter().map(findings::destination);
            all.chain([findings::dead_letters(&destinations)])
                .for_each(|(name, finding)| monitor.results().note(&name, finding));
        }
        Err(last) => last.iter().for_each(|status| {
            monitor.results().note(&findings::name_of(status), findings::unanswered(timeout));
        }),
    }
}

async fn check_store(monitor: &Monitor) {
    let timeout = monitor.timing().timeout;
    match monitor.store().ask(timeout).await.as_deref() {
        Ok(Some(status)) => {
            findings::store(status).into_iter().for_each(|(name, finding)| monitor.results().note(name, finding));
        }
        Ok(None) => {}
        Err(_) => monitor.results().note(SPILL, findings::unanswered(timeout)),
    }
}

/// Chains come and go, so what is not reported any more is forgotten.
async fn check_chains(monitor: &Monitor) {
    if let Ok(states) = monitor.chains().ask(monitor.timing().timeout).await {
        monitor.results().replace(CHAIN_PREFIX, findings::chains(&states));
    }
}

async fn check_exports(monitor: &Monitor, before: Arc<Vec<ExportedPoints>>) -> Arc<Vec<ExportedPoints>> {
    let Ok(now) = monitor.exported().ask(monitor.timing().timeout).await else { return before };
    for exported in now.iter() {
        let nothing = ExportedPoints::default();
        let before = before.iter().find(|before| before.exporter == exported.exporter).unwrap_or(&nothing);
        if let Some(finding) = findings::exported(before, exported) {
            monitor.results().note(&format!("{EXPORT_PREFIX}{}", exported.exporter), finding);
        }
    }
    now
}
