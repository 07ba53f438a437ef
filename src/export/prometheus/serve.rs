//! `GET /metrics` over HTTP/1.
//!
//! A scrape is rendered on a thread of its own, so that neither its work nor a slow reader takes time from those who carry
//! spans; and there are only so many connections, each with only so long to say what it wants.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ALLOW, CONTENT_TYPE, VARY};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::Format;

/// Connections at the same time; more wait in the system's queue.
const MOST_CONNECTIONS: usize = 32;
/// How long a client may take for its request headers, and how long an idle connection is kept: longer than the usual
/// scrape intervals, so that a server that scrapes keeps its connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a connection may live, so that clients who ask and never read cannot hold all places for ever.
const LIFE: Duration = Duration::from_secs(300);
/// How long an answer under way may take once its connection, or the service, is to end.
const GRACE: Duration = Duration::from_secs(1);
/// How long to leave accepting alone when the system has no room for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// Answers scrapes with what `source` returns until `shutdown` is ready; then finishes the answers under way, for a
/// second at most.
pub async fn serve(
    listener: TcpListener,
    source: impl Fn(Format) -> String + Clone + Send + Sync + 'static,
    shutdown: impl Future<Output = ()> + Send,
) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let (stop, stopped) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = async {
            // The semaphore is never closed, so a permit always comes.
            let place = Arc::clone(&places).acquire_owned().await.ok();
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            accepted = accepted => accepted,
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, _)) => {
                let (source, stopped) = (source.clone(), stopped.clone());
                connections.spawn(async move {
                    connection(stream, source, stopped).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "prometheus: cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    drop(stop);
    let all = async { while connections.join_next().await.is_some() {} };
    // Whoever is not done by then is cut off with the set.
    let _ = tokio::time::timeout(GRACE, all).await;
}

async fn connection(
    stream: TcpStream,
    source: impl Fn(Format) -> String + Clone + Send + Sync + 'static,
    mut stopped: watch::Receiver<()>,
) {
    let service = service_fn(move |request| answer(request, source.clone()));
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(16 * 1024);
    let mut connection = std::pin::pin!(server.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        // The sender sends nothing: it goes away.
        _ = tokio::time::timeout(LIFE, stopped.changed()) => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(GRACE, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "prometheus: a connection ended early");
    }
}

async fn answer(
    request: Request<Incoming>,
    source: impl Fn(Format) -> String + Send + 'static,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() != "/metrics" {
        return Ok(plain(StatusCode::NOT_FOUND, "Nothing here. Metrics are at /metrics.\n"));
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "Only GET and HEAD.\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Ok(response);
    }
    let accept = request.headers().get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let format = Format::negotiate(&accept.collect::<Vec<_>>().join(","));
    // hyper sends the length of the body and not the body when it was asked for HEAD.
    Ok(match tokio::task::spawn_blocking(move || source(format)).await {
        Ok(text) => {
            let mut response = response(StatusCode::OK, format.content_type(), text.into());
            response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
            response
        }
        Err(error) => {
            tracing::error!(%error, "prometheus: the metrics could not be rendered");
            plain(StatusCode::INTERNAL_SERVER_ERROR, "The metrics could not be rendered; the log says why.\n")
        }
    })
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    response(status, PLAIN, Bytes::from_static(text.as_bytes()))
}

fn response(status: StatusCode, content_type: HeaderValue, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
