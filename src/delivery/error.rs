//! Why a destination cannot be started.

use super::policy::BackoffError;

/// Why a destination cannot be started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("exporters.{name}: {fault}")]
pub struct DestinationError {
    name: String,
    fault: Fault,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Fault {
    #[error("endpoint {0:?} is not HOST:PORT, such as 127.0.0.1:4317")]
    Endpoint(String),
    #[error("header {0:?} cannot be sent: use lower-case ASCII names and printable ASCII values")]
    Header(String),
    #[error("retry_on_failure: {0}")]
    Backoff(#[from] BackoffError),
    #[error("{0} must be at least 1")]
    Zero(&'static str),
    #[error("cannot read what the store holds for it: {0}")]
    Store(String),
}

impl DestinationError {
    fn new(name: &str, fault: Fault) -> Self {
        Self { name: name.to_owned(), fault }
    }

    /// `endpoint` is not an address.
    pub(crate) fn endpoint(name: &str, endpoint: &str) -> Self {
        Self::new(name, Fault::Endpoint(endpoint.to_owned()))
    }

    /// `header`, by name or by value, cannot be sent.
    pub(crate) fn header(name: &str, header: &str) -> Self {
        Self::new(name, Fault::Header(header.to_owned()))
    }

    /// The intervals of `retry_on_failure` do not fit each other.
    pub(crate) fn backoff(name: &str, error: BackoffError) -> Self {
        Self::new(name, error.into())
    }

    /// The setting `key` is 0.
    pub(crate) fn zero(name: &str, key: &'static str) -> Self {
        Self::new(name, Fault::Zero(key))
    }

    /// The store cannot say what it holds.
    pub(crate) fn store(name: &str, error: &impl std::fmt::Display) -> Self {
        Self::new(name, Fault::Store(error.to_string()))
    }
}
