//! The scenarios that run for seconds in the tests and for hours by hand.

pub mod kills;
pub mod outage;
pub mod terms;
