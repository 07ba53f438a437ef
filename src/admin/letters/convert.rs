//! Converts between the store's types and those of the protocol.

use tonic::Status;

use super::api;
use crate::store::{Count, DeathReason, Filter, Letter, RecordId, StoreError};

impl From<Letter> for api::Letter {
    fn from(letter: Letter) -> Self {
        let Letter { id, destination, signal, spans, bytes, received, death } = letter;
        Self {
            id: id.0,
            destination,
            signal: signal.name().to_owned(),
            spans,
            bytes,
            received_unix_nano: received,
            reason: death.reason.name().to_owned(),
            code: death.code,
            message: death.message,
            attempts: death.attempts,
            first_unix_nano: death.first,
            last_unix_nano: death.last,
            chains: death.chains,
            operations: death.operations,
        }
    }
}

impl From<Count> for api::Count {
    fn from(count: Count) -> Self {
        let Count { records, spans, requests, bytes } = count;
        Self { records, spans, requests, bytes }
    }
}

/// The filter of a request; one without a filter means all letters.
///
/// # Errors
/// INVALID_ARGUMENT: an unknown reason.
pub(super) fn filter(filter: Option<api::Filter>) -> Result<Filter, Status> {
    let api::Filter { ids, chain, reason, destination, since_unix_nano, until_unix_nano, limit } =
        filter.unwrap_or_default();
    let reason = match reason {
        None => None,
        Some(name) => Some(
            DeathReason::parse(&name)
                .ok_or_else(|| Status::invalid_argument(format!("there is no reason {name:?}")))?,
        ),
    };
    Ok(Filter {
        ids: ids.into_iter().map(RecordId).collect(),
        after: None,
        chain,
        reason,
        destination,
        since: since_unix_nano,
        until: until_unix_nano,
        limit,
    })
}

/// The error of a request, in the words of the store.
pub(super) fn failed(error: StoreError) -> Status {
    Status::internal(error.to_string())
}
