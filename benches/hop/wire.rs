//! gRPC with bodies as plain `Bytes`: what the relay, the sink and the load generator have in common. All of them use the
//! same HTTP/2 settings, so that no yardstick is slow for want of a window.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status};
use tower_service::Service;

/// Flow-control window of one stream, bytes: a request of 512 spans (225 KiB) never waits for a window update.
const STREAM_WINDOW: u32 = 1 << 20;
/// Flow-control window of a connection, bytes.
const CONNECTION_WINDOW: u32 = 2 << 20;
/// Largest HTTP/2 frame that a server under test asks its clients for, KiB, unless `HOP_FRAME_KIB` says otherwise: what
/// chainspan's receiver asks for, so that no subject is ahead by a setting. tonic's own default is 16.
const FRAME_KIB: u32 = 256;
/// Largest message any of the yardsticks takes, bytes.
pub(crate) const MAX_MESSAGE: usize = 64 << 20;
/// The method that everything here calls and serves.
pub(crate) const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// Hands message bodies over as they are.
#[derive(Clone, Copy, Default)]
pub(crate) struct BytesCodec;

impl Codec for BytesCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, dst: &mut EncodeBuf<'_>) -> Result<(), Status> {
        dst.reserve(item.len());
        dst.put(item);
        Ok(())
    }
}

impl Decoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, src: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(src.copy_to_bytes(src.remaining())))
    }
}

/// What a server does with a request body.
pub(crate) trait Handler: Clone + Send + Sync + 'static {
    /// Answers `body`.
    fn handle(self, body: Bytes) -> impl Future<Output = Result<Bytes, Status>> + Send;
}

/// A future that a tower service returns.
type Answer<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

/// Serves a [`Handler`] for [`EXPORT`]. Whatever comes by another path (metrics of a peer) is taken and not looked at.
#[derive(Clone)]
pub(crate) struct BytesService<H>(pub(crate) H);

impl<H: Handler> Service<http::Request<tonic::body::Body>> for BytesService<H> {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Answer<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        let handler = self.0.clone();
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(BytesCodec)
                .max_decoding_message_size(MAX_MESSAGE)
                .accept_compressed(CompressionEncoding::Gzip)
                .accept_compressed(CompressionEncoding::Zstd);
            Ok(if request.uri().path() == EXPORT {
                grpc.unary(Unary(handler), request).await
            } else {
                grpc.unary(Unary(Discard), request).await
            })
        })
    }
}

/// Answers at once and does nothing.
#[derive(Clone)]
struct Discard;

impl Handler for Discard {
    async fn handle(self, _: Bytes) -> Result<Bytes, Status> {
        Ok(Bytes::new())
    }
}

/// The shape in which tonic wants a unary method.
struct Unary<H>(H);

impl<H: Handler> Service<Request<Bytes>> for Unary<H> {
    type Response = Response<Bytes>;
    type Error = Status;
    type Future = Answer<Self::Response, Status>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let handler = self.0.clone();
        Box::pin(async move { handler.handle(request.into_inner()).await.map(Response::new) })
    }
}

/// A server with the settings that all yardsticks share.
pub(crate) fn server() -> Server {
    let kib = std::env::var("HOP_FRAME_KIB").ok().and_then(|v| v.parse().ok()).unwrap_or(FRAME_KIB);
    sink_server().max_frame_size(kib << 10)
}

/// The same for the sink, with frames of the default size: that is what the Datadog agent asks for.
pub(crate) fn sink_server() -> Server {
    Server::builder().initial_stream_window_size(STREAM_WINDOW).initial_connection_window_size(CONNECTION_WINDOW)
}

/// A listener on a free port of the loopback, and its address.
pub(crate) fn listener() -> std::io::Result<(TcpIncoming, SocketAddr)> {
    let incoming = TcpIncoming::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?.with_nodelay(Some(true));
    let address = incoming.local_addr()?;
    Ok((incoming, address))
}

/// An open connection with the settings that all yardsticks share.
pub(crate) async fn connect(address: SocketAddr) -> Result<Channel, tonic::transport::Error> {
    Endpoint::from_shared(format!("http://{address}"))?
        .tcp_nodelay(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .connect()
        .await
}

/// Sends one request body and awaits the answer.
pub(crate) async fn export(channel: &Channel, body: Bytes) -> Result<Bytes, Status> {
    export_in(channel, body, None).await
}

/// The same in `encoding`.
pub(crate) async fn export_in(
    channel: &Channel,
    body: Bytes,
    encoding: Option<CompressionEncoding>,
) -> Result<Bytes, Status> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    if let Some(encoding) = encoding {
        client = client.send_compressed(encoding);
    }
    client.ready().await.map_err(|e| Status::unavailable(e.to_string()))?;
    let path = PathAndQuery::from_static(EXPORT);
    Ok(client.unary(Request::new(body), path, BytesCodec).await?.into_inner())
}
