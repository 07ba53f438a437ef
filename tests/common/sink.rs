//! A destination that takes everything and remembers the spans.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::runtime::Runtime;
use tonic::codec::CompressionEncoding;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// A running sink; it ends when this is dropped.
pub struct Sink {
    /// Where it takes OTLP over gRPC.
    pub address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    runtime: Option<Runtime>,
}

/// What has arrived.
#[derive(Default)]
struct Seen {
    count: usize,
    /// `None`: only counted.
    spans: Option<Vec<Span>>,
}

struct Taker(Arc<Mutex<Seen>>);

#[tonic::async_trait]
impl TraceService for Taker {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let resources = request.into_inner().resource_spans.into_iter();
        let spans: Vec<_> = resources.flat_map(|r| r.scope_spans).flat_map(|s| s.spans).collect();
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.count += spans.len();
        if let Some(all) = &mut seen.spans {
            all.extend(spans);
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Sink {
    /// Starts one on a free port.
    pub fn start() -> Self {
        Self::start_with(Seen { spans: Some(Vec::new()), ..Seen::default() })
    }

    /// Starts one that only counts the spans.
    pub fn forgetful() -> Self {
        Self::start_with(Seen::default())
    }

    fn start_with(seen: Seen) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let seen = Arc::new(Mutex::new(seen));
        let service = TraceServiceServer::new(Taker(seen.clone())).max_decoding_message_size(64 << 20);
        let service = service.accept_compressed(CompressionEncoding::Gzip);
        let inside = runtime.enter();
        let incoming = TcpIncoming::bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("the loopback has a free port");
        let address = incoming.local_addr().expect("a bound listener has an address");
        runtime.spawn(Server::builder().serve_with_incoming(service, incoming));
        drop(inside);
        Self { address, seen, runtime: Some(runtime) }
    }

    /// How many spans it has received.
    pub fn count(&self) -> usize {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).count
    }

    /// Every span it has received; none if it is a forgetful one.
    pub fn spans(&self) -> Vec<Span> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).spans.clone().unwrap_or_default()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
