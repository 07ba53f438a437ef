//! An HTTP/1 server for what is only read: GET and HEAD, small requests, nothing kept for slow clients.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::accept::{AcceptLimits, Drain, run};

/// Largest head of a request, in bytes; a longer one is answered 431.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// How long an answer under way may take once its connection's lifetime is over, or the server drains.
const GRACE: Duration = Duration::from_secs(1);

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// What a server allows its clients.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Http1Limits {
    /// Component name, for the log.
    pub(crate) component: &'static str,
    /// Connections open at the same time; more wait in the system's queue.
    pub(crate) max_connections: usize,
    /// How long a client may take to send the head of a request, and how long an idle connection is kept.
    pub(crate) head_timeout: Duration,
    /// Whether a connection may carry another request after the first.
    pub(crate) keep_alive: bool,
    /// How long a connection may last, so that clients who ask and never read cannot hold all of them for ever. An answer
    /// under way then has one second more.
    pub(crate) lifetime: Duration,
}

/// Answers every GET and HEAD request with what `answer` returns, until `shutdown` completes; then finishes the answers
/// under way, for a second at most. Other methods are refused. HEAD is answered without the body.
pub(crate) async fn serve<A, F>(
    listener: TcpListener,
    limits: Http1Limits,
    answer: A,
    shutdown: impl Future<Output = ()>,
) where
    A: Fn(Parts) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let Http1Limits { component, max_connections, .. } = limits;
    let accept = AcceptLimits { component, max_connections: Some(max_connections), drain_timeout: Some(GRACE) };
    let connection = |stream, drain| connection(stream, limits, answer.clone(), drain);
    run(listener, accept, connection, shutdown).await;
}

async fn connection<A, F>(stream: TcpStream, limits: Http1Limits, answer: A, mut drain: Drain)
where
    A: Fn(Parts) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answer.clone();
        async move {
            let (head, _) = request.into_parts();
            Ok::<_, Infallible>(match head.method {
                Method::GET | Method::HEAD => answer(head).await,
                _ => method_not_allowed(),
            })
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .keep_alive(limits.keep_alive)
        .max_buf_size(MAX_HEAD_BYTES);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = timeout(limits.lifetime, drain.begun()) => {
            connection.as_mut().graceful_shutdown();
            timeout(GRACE, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(component = limits.component, %error, "a connection ended early");
    }
}

/// An answer of the content type `kind`.
pub(crate) fn response(status: StatusCode, kind: HeaderValue, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// An answer for people to read.
pub(crate) fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    response(status, TEXT, body)
}

fn method_not_allowed() -> Response<Full<Bytes>> {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered here\n");
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::SocketAddr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::oneshot;
    use tokio::task::JoinHandle;

    use super::*;

    const TEST_TIMEOUT: Duration = Duration::from_secs(20);
    const LIMITS: Http1Limits = Http1Limits {
        component: "test",
        max_connections: 4,
        head_timeout: TEST_TIMEOUT,
        keep_alive: true,
        lifetime: Duration::from_secs(60),
    };

    /// Answers with the path.
    async fn server(limits: Http1Limits) -> (SocketAddr, oneshot::Sender<()>, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let answer = |head: Parts| async move { text(StatusCode::OK, head.uri.path().to_owned()) };
        (address, stop, tokio::spawn(serve(listener, limits, answer, async { drop(stopped.await) })))
    }

    /// Everything that the server says until it closes the connection.
    async fn said(address: SocketAddr, request: &str) -> String {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(request.as_bytes()).await.unwrap();
        let mut said = String::new();
        timeout(TEST_TIMEOUT, client.read_to_string(&mut said)).await.expect("the server ends it").unwrap();
        said
    }

    #[tokio::test]
    async fn get_and_head_are_answered_and_other_methods_refused() {
        let (address, _stop, _served) = server(Http1Limits { keep_alive: false, ..LIMITS }).await;
        let get = said(address, "GET /x HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert!(get.starts_with("HTTP/1.1 200") && get.ends_with("\r\n\r\n/x"), "{get}");
        let head = said(address, "HEAD /x HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
        let post = said(address, "POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n").await;
        assert!(post.starts_with("HTTP/1.1 405") && post.contains("allow: GET, HEAD"), "{post}");
        let long = said(address, &format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(2 * MAX_HEAD_BYTES))).await;
        assert!(long.starts_with("HTTP/1.1 4"), "{long}");
    }

    #[tokio::test]
    async fn slow_heads_and_old_connections_are_ended() {
        let brief = Duration::from_millis(50);
        let (address, _stop, _served) = server(Http1Limits { head_timeout: brief, ..LIMITS }).await;
        said(address, "GET /x HTTP/1.1\r\nhost").await;
        let (address, _stop, _served) = server(Http1Limits { lifetime: brief, ..LIMITS }).await;
        let answered = said(address, "GET /x HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert!(answered.ends_with("/x"), "{answered}");
    }

    #[tokio::test]
    async fn a_drain_ends_idle_connections() {
        let (address, stop, served) = server(LIMITS).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET /x HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        assert_eq!(timeout(TEST_TIMEOUT, client.read_u8()).await.unwrap().unwrap(), b'H');
        stop.send(()).unwrap();
        timeout(TEST_TIMEOUT, served).await.unwrap().unwrap();
    }
}
