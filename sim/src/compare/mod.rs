//! Measurements compared with the truth: a Prometheus page series by series ([`Truth::compare`](crate::Truth::compare)), OTLP
//! exports window by window ([`check_windows`]).

mod difference;
mod exposition;
mod page;
mod point;
mod read;
mod windows;

pub use difference::Difference;
pub use exposition::{ExpositionError, parse as parse_exposition};
pub use windows::{WindowReport, WindowScope, check as check_windows};
