//! The gRPC server of the stand-in agent.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::body::Body;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use tower_service::Service;

use super::received::{Received, Verification};
use crate::codec::Raw;
use crate::truth::Truth;

/// The largest request in bytes, as the Datadog agent has it. A larger one is refused.
const MAX_REQUEST_BYTES: usize = 4 << 20;

/// A running stand-in for the Datadog agent. Dropping it stops it.
#[derive(Debug)]
pub struct Agent {
    address: SocketAddr,
    received: Arc<Mutex<Received>>,
    away: Arc<AtomicBool>,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<Result<(), tonic::transport::Error>>,
}

impl Agent {
    /// Listens on `address` (port 0: any free one).
    pub fn start(address: SocketAddr) -> std::io::Result<Self> {
        let incoming = TcpIncoming::bind(address)?.with_nodelay(Some(true));
        let address = incoming.local_addr()?;
        let received = Arc::new(Mutex::new(Received::default()));
        let (stop, stopped) = oneshot::channel::<()>();
        let away = Arc::new(AtomicBool::new(false));
        let service = ExportService { received: Arc::clone(&received), away: Arc::clone(&away) };
        let server = tokio::spawn(
            tonic::transport::Server::builder()
                .initial_stream_window_size(1 << 20)
                .initial_connection_window_size(4 << 20)
                .serve_with_incoming_shutdown(service, incoming, async {
                    // Also when the sender is dropped.
                    let _ = stopped.await;
                }),
        );
        Ok(Self { address, received, away, stop: Some(stop), server })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// While `available` is false every request is answered UNAVAILABLE and nothing of it is kept.
    pub fn set_available(&self, available: bool) {
        self.away.store(!available, Ordering::SeqCst);
    }

    fn received(&self) -> MutexGuard<'_, Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Spans received, repetitions included.
    pub fn spans(&self) -> u64 {
        self.received().span_count
    }

    /// Requests of each signal: traces, metrics, logs.
    pub fn requests(&self) -> (u64, u64, u64) {
        let received = self.received();
        (received.trace_requests, received.metrics.len() as u64, received.log_requests)
    }

    /// Every metric export so far, in the order of arrival.
    pub fn metrics(&self) -> Vec<ExportMetricsServiceRequest> {
        self.received().metrics.clone()
    }

    /// Looks up every acknowledged span. `truth` must keep tags.
    pub fn verify(&self, truth: &Truth) -> Verification {
        self.received().verify(truth)
    }

    /// Stops listening and waits for the connections to end.
    pub async fn stop(mut self) {
        self.stop.take();
        let _ = (&mut self.server).await;
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The three export methods.
#[derive(Clone, Debug)]
struct ExportService {
    received: Arc<Mutex<Received>>,
    away: Arc<AtomicBool>,
}

impl Service<http::Request<Body>> for ExportService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let method = match request.uri().path() {
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => Method::Traces,
            "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => Method::Metrics,
            "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => Method::Logs,
            _ => Method::Unknown,
        };
        let handler = Handler { method, received: Arc::clone(&self.received), away: Arc::clone(&self.away) };
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(Raw).max_decoding_message_size(MAX_REQUEST_BYTES);
            Ok(grpc.unary(handler, request).await)
        })
    }
}

#[derive(Clone, Copy, Debug)]
enum Method {
    Traces,
    Metrics,
    Logs,
    Unknown,
}

struct Handler {
    method: Method,
    received: Arc<Mutex<Received>>,
    away: Arc<AtomicBool>,
}

impl tonic::server::UnaryService<Bytes> for Handler {
    type Response = Bytes;
    type Future = Ready<Result<Response<Bytes>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        if self.away.load(Ordering::SeqCst) {
            return ready(Err(Status::unavailable("the agent is away")));
        }
        let body = request.into_inner();
        let received = || self.received.lock().unwrap_or_else(PoisonError::into_inner);
        // Decoded before the lock is taken.
        let taken = match self.method {
            Method::Traces => ExportTraceServiceRequest::decode(body).map(|request| received().add_traces(&request)),
            Method::Metrics => {
                ExportMetricsServiceRequest::decode(body).map(|request| received().metrics.push(request))
            }
            Method::Logs => {
                received().log_requests += 1;
                Ok(())
            }
            Method::Unknown => {
                return ready(Err(Status::unimplemented("only the OTLP export methods are served")));
            }
        };
        // An empty message: accepted, nothing rejected.
        ready(taken.map(|()| Response::new(Bytes::new())).map_err(|error| Status::invalid_argument(error.to_string())))
    }
}
