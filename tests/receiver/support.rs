//! A receiver of its own for each test, and a raw HTTP/2 client that can do what no gRPC client would.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use chainspan::admin::Readiness;
use chainspan::config;
use chainspan::pipeline::{Budget, Parts, Pipeline};
use chainspan::receiver;
use chainspan::telemetry::Telemetry;
use http::HeaderMap;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tonic::{Code, Status};
use tonic_types::StatusExt;

pub(crate) const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
pub(crate) const METRICS: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
pub(crate) const LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
pub(crate) const MIB: usize = 1024 * 1024;

pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    pub(crate) budget: Budget,
    pub(crate) readiness: watch::Sender<Readiness>,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
}

impl Receiver {
    /// A receiver whose requests may be `max_request_bytes` large and take `memory` bytes together.
    pub(crate) async fn start(max_request_bytes: usize, memory: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let budget = Budget::new(memory);
        let pipeline = Pipeline::new(Parts {
            budget: budget.clone(),
            chain: None,
            gateway: None,
            red: None,
            destinations: Vec::new(),
            telemetry: Telemetry::new(),
        });
        let mut settings = config::Receiver::default();
        settings.protocols.grpc.max_request_bytes = max_request_bytes;
        let (readiness, ready) = watch::channel(Readiness::Serving);
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(async move {
            let shutdown = async move {
                let _ = stopped.await;
            };
            receiver::serve(listener, pipeline, &settings, &Telemetry::default(), ready, shutdown).await;
        });
        Self { address, budget, readiness, stop: Some(stop), served }
    }

    pub(crate) fn begin_drain(&mut self) {
        let _ = self.stop.take().expect("draining begins once").send(());
    }

    pub(crate) async fn drained(self) {
        within(self.served).await.unwrap();
    }

    /// Waits until nothing of the budget is taken.
    pub(crate) async fn at_rest(&self) {
        let budget = self.budget.clone();
        until(move || budget.used() == 0).await;
    }
}

/// Fails the test, where it would otherwise hang.
pub(crate) async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), work).await.expect("within 30 s")
}

/// Waits until `condition` holds.
pub(crate) async fn until(mut condition: impl FnMut() -> bool) {
    within(async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

#[derive(Clone)]
pub(crate) struct Client(h2::client::SendRequest<Bytes>);

pub(crate) struct Answer {
    pub(crate) http: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let socket = tokio::net::TcpStream::connect(address).await.unwrap();
        let (client, connection) =
            h2::client::Builder::new().max_concurrent_reset_streams(100).handshake::<_, Bytes>(socket).await.unwrap();
        tokio::spawn(connection);
        Self(client)
    }

    /// Begins a request; the body is sent by whoever holds the stream.
    pub(crate) async fn begin(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        end: bool,
    ) -> (h2::client::ResponseFuture, h2::SendStream<Bytes>) {
        let mut request = http::Request::post(format!("http://chainspan{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut client = self.0.clone().ready().await.unwrap();
        client.send_request(request.body(()).unwrap(), end).unwrap()
    }

    /// A whole request: each of `pieces` in DATA frames of its own.
    pub(crate) async fn call(&self, path: &str, headers: &[(&str, &str)], pieces: &[Bytes]) -> Answer {
        let (response, mut stream) = self.begin(path, headers, pieces.is_empty()).await;
        for (index, piece) in pieces.iter().enumerate() {
            // A server that has answered already may refuse the rest.
            let _ = stream.send_data(piece.clone(), index + 1 == pieces.len());
        }
        answer(response).await
    }

    /// As [`Self::call`] with a gRPC content type, and `encoding` if it is not empty.
    pub(crate) async fn grpc(&self, path: &str, encoding: &str, pieces: &[Bytes]) -> Answer {
        let mut headers = vec![("content-type", "application/grpc"), ("te", "trailers")];
        if !encoding.is_empty() {
            headers.push(("grpc-encoding", encoding));
        }
        self.call(path, &headers, pieces).await
    }
}

/// Reads an answer to its end.
pub(crate) async fn answer(response: h2::client::ResponseFuture) -> Answer {
    let (parts, mut body) = within(response).await.expect("an answer, not a reset").into_parts();
    let mut bytes = Vec::new();
    while let Some(data) = within(body.data()).await {
        bytes.extend_from_slice(&data.unwrap());
    }
    let trailers = within(body.trailers()).await.unwrap();
    Answer { http: parts.status.as_u16(), headers: parts.headers, body: bytes, trailers }
}

impl Answer {
    pub(crate) fn status(&self) -> Status {
        let headers = self.trailers.as_ref().unwrap_or(&self.headers);
        Status::from_header_map(headers).expect("a grpc-status")
    }

    pub(crate) fn code(&self) -> Code {
        self.status().code()
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.status().get_details_retry_info().and_then(|info| info.retry_delay)
    }
}

/// A message behind its prefix.
pub(crate) fn framed(flag: u8, message: &[u8]) -> Bytes {
    let mut bytes = vec![flag];
    bytes.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(message);
    bytes.into()
}

/// A prefix alone.
pub(crate) fn prefix(length: u32) -> Bytes {
    let mut bytes = vec![0];
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.into()
}

pub(crate) fn request(spans: usize) -> ExportTraceServiceRequest {
    let span = |n: usize| Span {
        trace_id: vec![1; 16],
        span_id: (n as u64 + 1).to_be_bytes().to_vec(),
        name: format!("process task {n}"),
        start_time_unix_nano: 1,
        end_time_unix_nano: 2,
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans { spans: (0..spans).map(span).collect(), ..ScopeSpans::default() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] }
}

pub(crate) fn encoded(spans: usize) -> Vec<u8> {
    request(spans).encode_to_vec()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}
