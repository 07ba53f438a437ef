//! What health and status ask, and where the measurements went.

use std::sync::Arc;

use crate::delivery::DestinationStatus;
use crate::red::ChainState;
use crate::store::StoreStatus;

/// Whom to ask. Each is called on a thread where it may block; while it does, its last answer is shown.
#[derive(Clone)]
pub struct Sources {
    /// Every destination's status; none while starting.
    pub destinations: Arc<dyn Fn() -> Vec<DestinationStatus> + Send + Sync>,
    /// What is measured of each chain.
    pub chains: Arc<dyn Fn() -> Vec<ChainState> + Send + Sync>,
    /// How the store is; `None`: there is none, or it is not open yet.
    pub store: Arc<dyn Fn() -> Option<StoreStatus> + Send + Sync>,
    /// What became of the measurements, for each destination that takes them.
    pub exported: Arc<dyn Fn() -> Vec<ExportedPoints> + Send + Sync>,
}

/// Metric points for one destination of `metrics/gateway`, counted from the start of the process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportedPoints {
    /// Component name.
    pub exporter: String,
    /// Points that arrived.
    pub sent: u64,
    /// Points that were lost.
    pub lost: u64,
}
