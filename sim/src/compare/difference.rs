//! A disagreement between truth and measurement, as it is reported.

use crate::series::Series;

/// One series in which truth and measurement disagree.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Which series.
    pub series: Series,
    /// The least that must have been measured; `None`: the series must not exist.
    pub expected: Option<f64>,
    /// The most that may have been measured: the same, unless batches are ambiguous.
    pub at_most: Option<f64>,
    /// What was measured; `None`: the series is missing.
    pub measured: Option<f64>,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.expected, self.measured) {
            (Some(least), Some(measured)) if self.at_most.is_some_and(|most| most != least) => write!(
                f,
                "different: {}: expected {least} to {}, measured {measured}",
                self.series,
                self.at_most.unwrap_or(least)
            ),
            (Some(expected), Some(measured)) => write!(
                f,
                "different: {}: expected {expected}, measured {measured} ({:+})",
                self.series,
                measured - expected
            ),
            (Some(expected), None) => write!(f, "missing: {}: expected {expected}", self.series),
            (None, Some(measured)) => write!(f, "surplus: {}: measured {measured}, expected none", self.series),
            (None, None) => write!(f, "{}: nothing expected, nothing measured", self.series),
        }
    }
}
