//! The truth as series: which series of the metrics catalogue must exist, and what each must hold.

mod expected;
mod family;
mod name;

pub use expected::Expected;
pub use family::{FAMILIES, MEASURED, MetricFamily, Shape};
pub(crate) use family::{bounds, named};
pub use name::Series;
