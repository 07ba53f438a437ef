//! What the configuration wants done with every span.

use super::unclassified::Unclassified;
use crate::chain::ChainKeys;
use crate::config::{Chain, Gateway};
use crate::gateway::{Names, Operation};

/// The rules of one pipeline. Read by all workers, changed by none.
#[derive(Debug)]
pub(super) struct Rules {
    /// Spans are tagged; otherwise they stay as they come and belong to no chain.
    pub(super) tagging: Option<Tagging>,
    /// Spans are measured.
    pub(super) measuring: Option<Measuring>,
    /// Which span names are operations.
    pub(super) names: Names,
    /// Span names that are none.
    pub(super) unclassified: Unclassified,
}

/// `processors.chain`.
#[derive(Debug)]
pub(super) struct Tagging {
    pub(super) keys: ChainKeys,
    pub(super) datadog_hints: bool,
}

/// `connectors.gateway`.
#[derive(Debug)]
pub(super) struct Measuring {
    /// Resource attributes that become dimensions.
    pub(super) dimensions: Vec<String>,
    /// Every span is counted as a call as well.
    pub(super) span_metrics: bool,
}

impl Rules {
    pub(super) fn new(chain: Option<&Chain>, gateway: Option<&Gateway>) -> Self {
        let extra = gateway.into_iter().flat_map(|gateway| &gateway.operations).flat_map(|(operation, names)| {
            // The configuration has checked the labels.
            let operation = Operation::from_label(operation.as_bytes());
            names.iter().filter_map(move |name| operation.map(|operation| (operation, name)))
        });
        Self {
            tagging: chain
                .map(|chain| Tagging { keys: ChainKeys::new(&chain.keys), datadog_hints: chain.datadog_hints }),
            measuring: gateway.map(|gateway| Measuring {
                dimensions: gateway.dimensions.clone(),
                span_metrics: gateway.span_metrics,
            }),
            names: Names::new(extra),
            unclassified: Unclassified::new(),
        }
    }
}
