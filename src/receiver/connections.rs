//! Connections over HTTP/2, until they are told to go.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::BufReader;
use tokio::net::{TcpListener, TcpStream};

use super::grpc::GrpcService;
use crate::net::{self, AcceptLimits, Drain};

/// Largest HTTP/2 frame that clients may send: a request of 512 spans comes in one piece and is not copied together.
const MAX_FRAME_BYTES: u32 = 256 * 1024;
/// Bytes that are read at once, if there are as many: two requests of 16 spans. h2 reads what is left of a buffer of 8 KiB,
/// so that a small request would often need two calls to the system.
const READ_AHEAD_BYTES: usize = 16 * 1024;
/// Bytes that a client may send on one stream before they are read.
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
/// Bytes that a client may send on one connection before they are read.
const CONNECTION_WINDOW_BYTES: u32 = 2 * 1024 * 1024;
/// Largest header list of a request. Tokens fit; nothing else in it is long.
const MAX_HEADER_BYTES: u32 = 16 * 1024;
/// How often a client is pinged, to find out whether it is still there.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// How long it may take to answer a ping before it is disconnected.
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Serves every connection of `listener` until `shutdown` completes. Then no more are accepted, the open ones are told to
/// go (GOAWAY), and the future is ready when the last of them has been closed.
pub(super) async fn serve(
    listener: TcpListener,
    service: GrpcService,
    streams: u32,
    shutdown: impl Future<Output = ()>,
) {
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new())
        // gRPC has no use for it.
        .auto_date_header(false)
        .max_concurrent_streams(streams)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(MAX_FRAME_BYTES)
        .max_header_list_size(MAX_HEADER_BYTES)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    let limits = AcceptLimits { component: "otlp/grpc", max_connections: None, drain_timeout: None };
    let connection = |stream: TcpStream, mut drain: Drain| {
        let service = service.clone();
        let service = service_fn(move |request| {
            let service = service.clone();
            async move { Ok::<_, Infallible>(service.answer(request).await) }
        });
        let connection =
            http.serve_connection(TokioIo::new(BufReader::with_capacity(READ_AHEAD_BYTES, stream)), service);
        async move {
            let mut connection = pin!(connection);
            let ended = tokio::select! {
                biased;
                ended = connection.as_mut() => ended,
                () = drain.begun() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!("a connection ended: {error}");
            }
        }
    };
    net::run(listener, limits, connection, shutdown).await;
}
