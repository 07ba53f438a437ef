//! The endpoints, bound before anything else starts.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::error::ServiceError;

/// Listens on `address` and notes what it was bound to.
pub(super) async fn bind(
    component: &'static str,
    address: SocketAddr,
    listening: &mut BTreeMap<String, SocketAddr>,
) -> Result<TcpListener, ServiceError> {
    let failed = |source| ServiceError::Bind { component, address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    // At once: health already answers while the store recovers.
    tracing::info!(component, address = %bound, "listening");
    listening.insert(component.to_owned(), bound);
    Ok(listener)
}

/// The same, if the component is configured.
pub(super) async fn bind_if(
    component: &'static str,
    address: Option<SocketAddr>,
    listening: &mut BTreeMap<String, SocketAddr>,
) -> Result<Option<TcpListener>, ServiceError> {
    match address {
        Some(address) => bind(component, address, listening).await.map(Some),
        None => Ok(None),
    }
}
