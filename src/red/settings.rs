//! How counting is set up.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::chain_health::Thresholds;
use crate::chain::ChainId;

/// How a [`Red`](super::Red) is made.
#[derive(Clone, Debug, PartialEq)]
pub struct RedSettings {
    /// Prefix of every metric, dotted: `avs.gateway`.
    pub namespace: String,
    /// Resource attributes that are dimensions of every metric, in the order of [`Dims`](super::Dims).
    pub dimensions: Vec<String>,
    /// Chains that always keep their own label.
    pub chains: BTreeSet<ChainId>,
    /// How many more chains get a label of their own; the rest share `other`. With the configured ones at most 65,534.
    pub max_chains: usize,
    /// How many series there may be, series of last resort included: for them, one per metric and chain label is kept
    /// free, or half of the limit if that is less.
    pub max_series: usize,
    /// Whether every span is counted as a [`Call`](super::Call) besides. A quarter of `max_series` is theirs then.
    pub span_metrics: bool,
    /// How many threads commit at the same time: the worker threads. More may, but then they may have to look twice.
    pub committers: usize,
    /// When counting begins, nanoseconds since the Unix epoch. No window begins earlier, so that those of the process
    /// before this one are not touched.
    pub start_unix_nano: u64,
    /// After how long without an update a series is retired.
    pub series_idle: Duration,
    /// How many exemplars a duration's series keeps per window: 0 to 4.
    pub exemplars: usize,
    /// When a chain is not healthy.
    pub health: Thresholds,
    /// The same for the chains that have their own.
    pub chain_health: BTreeMap<ChainId, Thresholds>,
}

impl Default for RedSettings {
    /// What an empty configuration means, for one committing thread; counting begins at the epoch.
    fn default() -> Self {
        Self {
            namespace: "avs.gateway".to_owned(),
            dimensions: vec!["service.name".to_owned(), "deployment.environment.name".to_owned()],
            chains: BTreeSet::new(),
            max_chains: 64,
            max_series: 4_096,
            span_metrics: false,
            committers: 1,
            start_unix_nano: 0,
            series_idle: Duration::from_secs(15 * 60),
            exemplars: 4,
            health: Thresholds::default(),
            chain_health: BTreeMap::new(),
        }
    }
}
