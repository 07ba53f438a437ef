//! What must have been measured: what each batch means, added up over the batches that were acknowledged.
//!
//! [`OperationFact`] is one operation, [`BatchFacts`] one request. [`Truth`] sums them by label ([`OperationKey`],
//! [`OperationTotals`]), keeps what each gauge showed last, and bounds what cannot be known from outside ([`Timing`],
//! ambiguous batches).

mod fact;
mod gauge;
mod ground_truth;
mod histogram;
mod timing;
mod totals;

pub use fact::{BatchFacts, ExpectedTag, Identity, Measurements, OperationFact, SpanKey};
pub use gauge::{GaugeKey, GaugeReading};
pub use ground_truth::Truth;
pub use histogram::{Durations, ExplicitHistogram, FineHistogram};
pub use timing::{Timing, WINDOW_NANO};
pub use totals::{OperationKey, OperationTotals};
