//! What is handed to a destination, and what comes back.

use std::time::Duration;

use bytes::Bytes;

pub use crate::otlp::Signal;

/// One accepted request on its way to one destination: an `ExportXServiceRequest` as bytes. Cloning is cheap; the memory
/// that the body holds (and its share of the memory budget, which lives inside the `Bytes`) is free when the last clone is
/// dropped.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// Which service it is for.
    pub signal: Signal,
    /// The request message, uncompressed, without gRPC's length prefix.
    pub body: Bytes,
    /// How many spans it holds; 0 for metrics and logs, which are counted as requests.
    pub spans: u32,
}

/// Why a parcel was not delivered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undelivered {
    /// The destination did not take it within the time that was left.
    #[error("{destination} did not accept the data in time: {last_error}")]
    Timeout {
        /// Component name.
        destination: String,
        /// What the last attempt ended with.
        last_error: String,
    },
    /// The destination refuses it for good.
    #[error("{destination} refuses the data: {message}")]
    Rejected {
        /// Component name.
        destination: String,
        /// gRPC status code of the refusal.
        code: tonic::Code,
        /// The destination's own words.
        message: String,
    },
    /// It was to be sent at most once, and it is not known whether it arrived.
    #[error("{destination} may or may not have the data: {last_error}")]
    Ambiguous {
        /// Component name.
        destination: String,
        /// What the attempt ended with.
        last_error: String,
    },
    /// The destination does not take it, and the store has no room for it.
    #[error("{destination} does not accept data at the moment, and the store is full or cannot be written")]
    Full {
        /// Component name.
        destination: String,
        /// When to retry.
        retry_after: Duration,
    },
    /// chainspan is shutting down.
    #[error("shutting down")]
    Closed,
}
