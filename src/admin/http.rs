//! The HTTP side: which path is answered by what.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::monitor::State;
use super::report::{Question, report};
use super::status::status;

/// How long a client may take to send the head of its request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may last: one request, one answer.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections at once. More wait, for as long as the two timeouts let others be slow.
const MAX_CONNECTIONS: usize = 256;
/// Pause after the system could not give us another socket.
const PAUSE: Duration = Duration::from_millis(100);

const HELP: &str =
    "unknown path; there are /, /health, /health/ready and /status (metrics are on the Prometheus endpoint)\n";

/// Accepts for ever.
pub(super) async fn serve(listener: TcpListener, state: &State) -> Infallible {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = room.clone().acquire_owned().await else {
            // The semaphore is never closed; if it were, there would be no limit to keep.
            continue;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let state = state.clone();
                tokio::spawn(async move {
                    let _ = tokio::time::timeout(CONNECTION_TIMEOUT, connection(stream, state)).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!("health_check: cannot accept a connection, trying again in {PAUSE:?}: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, state: State) {
    let service = service_fn(move |request| {
        let state = state.clone();
        async move { Ok::<_, Infallible>(answer(&request, &state).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!("health_check: a connection ended with an error: {error}");
    }
}

async fn answer(request: &Request<Incoming>, state: &State) -> Response<Full<Bytes>> {
    let question = match request.uri().path() {
        _ if !matches!(*request.method(), Method::GET | Method::HEAD) => return method_not_allowed(),
        "/health" => Question::Alive,
        "/health/ready" => Question::Ready,
        "/status" => {
            return match status(state).await {
                Ok(json) => response(StatusCode::OK, "application/json", json),
                Err(error) => response(StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("{error}\n")),
            };
        }
        "/" => return response(StatusCode::OK, "text/html; charset=utf-8", front_page(state)),
        _ => return response(StatusCode::NOT_FOUND, TEXT, HELP),
    };
    let (health, json) = report(state, question);
    response(health.code(), "application/health+json", json)
}

const TEXT: &str = "text/plain; charset=utf-8";

fn response(code: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn method_not_allowed() -> Response<Full<Bytes>> {
    let mut response = response(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD are answered here\n");
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

fn front_page(state: &State) -> String {
    let metrics = match state.listening().get("prometheus") {
        Some(address) => format!("<a href=\"http://{address}/metrics\">http://{address}/metrics</a>"),
        None => "not served: no pipeline names the prometheus exporter".to_owned(),
    };
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>chainspan</title></head><body>\n\
         <h1>chainspan {version}</h1>\n<ul>\n\
         <li><a href=\"/status\">/status</a>: where every span is</li>\n\
         <li><a href=\"/health\">/health</a>: whether the process works</li>\n\
         <li><a href=\"/health/ready\">/health/ready</a>: whether requests should be sent here</li>\n\
         <li>metrics: {metrics}</li>\n</ul>\n</body></html>\n",
        version = env!("CARGO_PKG_VERSION"),
    )
}
