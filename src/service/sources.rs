//! What a running service tells the admin room about itself.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use crate::admin;
use crate::delivery::Destination;
use crate::red::Red;
use crate::store::Store;
use crate::telemetry::{LOST_POINTS, SENT_POINTS, Telemetry};

/// What is there once the service has started.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) destinations: Vec<Destination>,
    pub(super) store: Option<Store>,
}

/// What health and status ask. Destinations and store have nothing to say before `opened` is set.
pub(super) fn sources(opened: Arc<OnceLock<Opened>>, red: Option<Arc<Red>>, telemetry: Telemetry) -> admin::Sources {
    let store = opened.clone();
    admin::Sources {
        destinations: Arc::new(move || {
            opened.get().map_or_else(Vec::new, |opened| opened.destinations.iter().map(Destination::status).collect())
        }),
        chains: Arc::new(move || red.as_ref().map_or_else(Vec::new, |red| red.health())),
        store: Arc::new(move || store.get()?.store.as_ref().map(Store::status)),
        exported: Arc::new(move || exported(&telemetry)),
    }
}

/// Points of measurements that arrived and that were lost, by destination.
fn exported(telemetry: &Telemetry) -> Vec<admin::ExportedPoints> {
    let mut all: BTreeMap<String, admin::ExportedPoints> = BTreeMap::new();
    for sample in telemetry.samples() {
        let exporter = sample.labels.iter().find(|(name, _)| name == "exporter").map(|(_, exporter)| exporter.clone());
        let (Some(exporter), SENT_POINTS | LOST_POINTS) = (exporter, sample.name.as_str()) else { continue };
        let of = all.entry(exporter.clone()).or_default();
        of.exporter = exporter;
        // Counted in whole points.
        let points = sample.value as u64;
        if sample.name == SENT_POINTS { of.sent += points } else { of.lost += points }
    }
    all.into_values().collect()
}
