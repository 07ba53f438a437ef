//! Gauges: the last value seen of each, with the moment it was recorded.

use serde::{Deserialize, Serialize};

/// Identifies one gauge; two processes never share one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GaugeKey {
    /// `service.name`.
    pub service: String,
    /// `deployment.environment.name`.
    pub environment: String,
    /// `service.instance.id`.
    pub instance: String,
    /// The chain; `None` is shown under `unknown`.
    pub chain: Option<u64>,
    /// The signer of a nonce gap; empty for a breaker.
    pub signer: String,
    /// What a breaker guards; empty for a nonce gap.
    pub target: String,
}

/// The last value of a gauge.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GaugeReading {
    /// End of the span that recorded it, nanoseconds since the Unix epoch.
    pub end_unix_nano: u64,
    /// The value.
    pub value: f64,
}
