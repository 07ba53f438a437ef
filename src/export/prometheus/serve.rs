//! `GET /metrics` over HTTP/1.
//!
//! A scrape is rendered on a thread of its own, so that neither its work nor a slow reader takes time from those who carry
//! spans; and there are only so many connections, each with only so long to say what it wants.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, VARY};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use tokio::net::TcpListener;

use super::Format;
use crate::net::{self, Http1Limits};

/// An idle connection is kept for longer than the usual scrape intervals, so that a server that scrapes keeps its own.
const LIMITS: Http1Limits = Http1Limits {
    component: "prometheus",
    max_connections: 32,
    head_timeout: Duration::from_secs(30),
    keep_alive: true,
    lifetime: Duration::from_secs(300),
};

/// Answers scrapes with what `source` returns until `shutdown` is ready; then finishes the answers under way, for a
/// second at most.
pub async fn serve(
    listener: TcpListener,
    source: impl Fn(Format) -> String + Clone + Send + Sync + 'static,
    shutdown: impl Future<Output = ()> + Send,
) {
    net::serve(listener, LIMITS, move |request| answer(request, source.clone()), shutdown).await;
}

async fn answer(request: Parts, source: impl Fn(Format) -> String + Send + 'static) -> Response<Full<Bytes>> {
    if request.uri.path() != "/metrics" {
        return net::text(StatusCode::NOT_FOUND, "nothing here; metrics are at /metrics\n");
    }
    let accept = request.headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let format = Format::negotiate(&accept.collect::<Vec<_>>().join(","));
    match tokio::task::spawn_blocking(move || source(format)).await {
        Ok(text) => {
            let mut response = net::response(StatusCode::OK, format.content_type(), text);
            response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
            response
        }
        Err(error) => {
            tracing::error!(%error, "prometheus: the metrics could not be rendered");
            net::text(StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be rendered; the log says why\n")
        }
    }
}
