//! How the configuration wants chains measured.

use std::time::Duration;

use tokio::runtime::Handle;

use crate::clock::unix_nano;
use crate::config::{self, Gateway};
use crate::red;

/// The settings of what is measured, for committers on the current runtime.
pub(super) fn red_settings(gateway: &Gateway) -> red::RedSettings {
    red::RedSettings {
        namespace: gateway.namespace.clone(),
        dimensions: gateway.dimensions.clone(),
        chains: gateway.chains.keys().copied().collect(),
        max_chains: gateway.max_chains,
        max_series: gateway.max_series,
        span_metrics: gateway.span_metrics,
        committers: Handle::current().metrics().num_workers(),
        start_unix_nano: unix_nano(),
        series_idle: gateway.series_idle,
        exemplars: gateway.exemplars,
        health: thresholds(gateway, None),
        chain_health: gateway.chains.iter().map(|(id, info)| (*id, thresholds(gateway, info.block_time))).collect(),
    }
}

/// A chain is not down before it has had five blocks to succeed in.
fn thresholds(gateway: &Gateway, block_time: Option<Duration>) -> red::Thresholds {
    let config::Health { error_ratio, quorum_failure_ratio, no_success } = gateway.health;
    let no_success = block_time.map_or(no_success, |time| no_success.max(time.saturating_mul(5)));
    red::Thresholds { error_ratio, quorum_failure_ratio, no_success }
}
