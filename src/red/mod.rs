//! Rate, errors, duration: what is counted, in which series, and when.
//!
//! Observations are *staged* while a request is walked, and *committed* when it is answered with success: a commit
//! takes a shard that is free, adds the whole stage to it, and releases it. No commit waits for another. A snapshot
//! takes each shard's sums away in one move, so that it shows whole requests only.
//!
//! ```text
//! Stage ──commit──► a free shard: key → cell ──collect──► aggregator: totals ──► Snapshot: series by metric
//!                        │ first time a key is met
//!                        ▼
//!                    registry: dimensions, chains and series, each up to its limit
//! ```
//!
//! A *cell* counts one combination of dimensions, chain, operation, outcome, reason and webhook status: one lookup per
//! operation span. The *series* of the [catalogue](Metric) are made from cells when a snapshot is taken. Pure computation: no
//! sockets, no clock, no configuration file; and nothing in here may allocate or take a contended lock per observation
//! once its key is known.

mod aggregator;
mod bounds;
mod calls;
mod catalogue;
mod cell;
mod chain_health;
mod duration_histogram;
mod exemplars;
mod fixed_histogram;
mod gauge;
mod interner;
mod key;
mod labels;
mod latest;
mod ledger;
mod measurements;
mod metric;
mod registry;
mod scale;
mod settings;
mod shard;
mod snapshot;
mod stage;
mod table;
mod window;

pub use aggregator::ChainState;
pub use bounds::{Bounds, decimal};
pub use calls::{
    CALL_LABELS, CALL_METRICS, Call, CallKey, CallMetric, Calls, SpanKind, StatusCode, series_of_calls, with_calls,
};
pub use catalogue::CatalogueEntry;
pub use chain_health::{Cause, ChainHealth, Thresholds};
pub use duration_histogram::DurationHistogram;
pub use fixed_histogram::FixedHistogram;
pub use labels::{Attributes, ChainLabel, OVERFLOW_ATTRIBUTE, OVERFLOW_LABEL, ResultLabel, Subject, is_reserved_label};
pub use metric::{Instrument, Metric, MetricAttribute, SERVICE_INSTANCE_ID};
pub use snapshot::{Exemplar, Family, Series, SeriesValue, Snapshot};
pub use stage::{Dims, Observation, ObservedState, Reading, Stage};
pub use window::{WINDOW_NANO, Window};

pub use measurements::Red;
pub use settings::RedSettings;

#[cfg(test)]
mod tests;
