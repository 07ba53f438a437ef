//! Calls: every span, operation or not, by service, name, kind and status, as Jaeger's Monitor tab reads them.
//!
//! Optional, on Prometheus only, and apart from the operations: calls have keys, tables and an [admission](CallAdmission) of their own,
//! so that span names, which any client may invent, take no series from operations. They are staged, committed
//! and collected together with them: a request counts in both or in neither.
//!
//! The names, labels and values are those of the OpenTelemetry Collector's `spanmetrics` connector, which Jaeger's query
//! service expects.

mod admission;
mod key;
mod metrics;
mod table;
mod totals;

pub(super) use admission::CallAdmission;
pub use admission::{series_of_calls, with_calls};
pub use key::{Call, CallKey, SpanKind, StatusCode};
pub use metrics::{CALL_LABELS, CALL_METRICS, CallMetric};
pub(super) use table::CallTable;
pub use totals::Calls;
pub(super) use totals::Totals;
