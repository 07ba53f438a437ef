//! Connections: accepted, served over HTTP/2, and at the end told to go.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;

use super::door::Door;
use super::incoming::accept;
use super::socket::Socket;

/// Largest HTTP/2 frame we ask for: a request of 512 spans comes in one piece and is not copied together.
const MAX_FRAME_BYTES: u32 = 256 * 1024;
/// How much a client may send on one stream before we have read it.
const STREAM_WINDOW: u32 = 1024 * 1024;
/// How much a client may send on one connection before we have read it.
const CONNECTION_WINDOW: u32 = 2 * 1024 * 1024;
/// Largest header list of a request. Tokens fit; nothing else is long.
const MAX_HEADER_BYTES: u32 = 16 * 1024;
/// How often a client is asked whether it is still there.
const PING_EVERY: Duration = Duration::from_secs(30);
/// How long it may take to answer.
const PING_PATIENCE: Duration = Duration::from_secs(20);

/// Serves every connection of `listener` until `shutdown` completes. Then no more are accepted, the open ones are told to
/// go (GOAWAY), and the future is ready when the last of them has been closed.
pub(super) async fn serve(listener: TcpListener, door: Door, streams: u32, shutdown: impl Future<Output = ()>) {
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new())
        // gRPC has no use for it.
        .auto_date_header(false)
        .max_concurrent_streams(streams)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(MAX_FRAME_BYTES)
        .max_header_list_size(MAX_HEADER_BYTES)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_PATIENCE);
    let open = GracefulShutdown::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let stream = tokio::select! {
            biased;
            () = &mut shutdown => break,
            stream = accept(&listener) => stream,
        };
        let door = door.clone();
        let service = service_fn(move |request| {
            let door = door.clone();
            async move { Ok::<_, Infallible>(door.answer(request).await) }
        });
        let connection = open.watch(http.serve_connection(TokioIo::new(Socket::new(stream)), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!("a connection ended: {error}");
            }
        });
    }
    drop(listener);
    open.shutdown().await;
}
