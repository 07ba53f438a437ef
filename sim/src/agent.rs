//! A stand-in for the Datadog agent: a real gRPC server that takes traces, metrics and logs, and remembers of every span
//! which tag it came with.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use hashbrown::HashMap;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::body::Body;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use tower_service::Service;

use super::codec::Raw;
use super::fact::{SpanKey, Tag};
use super::truth::Truth;

/// The agent's own limit on a request, bytes.
const MAX_REQUEST: usize = 4 << 20;

/// The running stand-in. Dropping it stops it.
#[derive(Debug)]
pub struct Agent {
    address: SocketAddr,
    log: Arc<Mutex<Log>>,
    away: Arc<AtomicBool>,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<Result<(), tonic::transport::Error>>,
}

/// What arrived.
#[derive(Clone, Debug, Default)]
struct Log {
    spans: HashMap<SpanKey, Seen>,
    received: u64,
    trace_requests: u64,
    metrics: Vec<ExportMetricsServiceRequest>,
    log_requests: u64,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    tag: Tag,
    times: u32,
}

/// The truth beside what arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Spans that were acknowledged and looked up.
    pub checked: u64,
    /// Acknowledged and never seen.
    pub missing: u64,
    /// Seen with another tag than the truth says.
    pub mistagged: u64,
    /// Seen more than once.
    pub repeated: u64,
    /// Seen though no acknowledged batch holds them (batches that were refused or ambiguous).
    pub unasked: u64,
    /// A few of the missing and mistagged, in words.
    pub examples: Vec<String>,
}

impl Delivery {
    /// Every acknowledged span is there, with the right tag.
    pub fn is_complete(&self) -> bool {
        self.missing == 0 && self.mistagged == 0
    }
}

impl Agent {
    /// Listens on `address` (port 0: any free one).
    pub fn start(address: SocketAddr) -> std::io::Result<Self> {
        let incoming = TcpIncoming::bind(address)?.with_nodelay(Some(true));
        let address = incoming.local_addr()?;
        let log = Arc::new(Mutex::new(Log::default()));
        let (stop, stopped) = oneshot::channel::<()>();
        let away = Arc::new(AtomicBool::new(false));
        let door = Door { log: Arc::clone(&log), away: Arc::clone(&away) };
        let server = tokio::spawn(
            tonic::transport::Server::builder()
                .initial_stream_window_size(1 << 20)
                .initial_connection_window_size(4 << 20)
                .serve_with_incoming_shutdown(door, incoming, async {
                    // Also when the sender is dropped.
                    let _ = stopped.await;
                }),
        );
        Ok(Self { address, log, away, stop: Some(stop), server })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// While `available` is false every request is answered UNAVAILABLE and nothing of it is kept.
    pub fn set_available(&self, available: bool) {
        self.away.store(!available, Ordering::SeqCst);
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Spans received, repetitions included.
    pub fn spans(&self) -> u64 {
        self.log().received
    }

    /// Requests of each signal: traces, metrics, logs.
    pub fn requests(&self) -> (u64, u64, u64) {
        let log = self.log();
        (log.trace_requests, log.metrics.len() as u64, log.log_requests)
    }

    /// Every metric export so far, in the order of arrival.
    pub fn metrics(&self) -> Vec<ExportMetricsServiceRequest> {
        self.log().metrics.clone()
    }

    /// Looks up every acknowledged span. `truth` must keep tags.
    pub fn verify(&self, truth: &Truth) -> Delivery {
        let log = self.log();
        let mut delivery = Delivery::default();
        for (key, expected) in truth.tags() {
            delivery.checked += 1;
            let trouble = match log.spans.get(key) {
                None => {
                    delivery.missing += 1;
                    "never arrived".to_owned()
                }
                Some(seen) => {
                    delivery.repeated += u64::from(seen.times > 1);
                    if seen.tag == *expected {
                        continue;
                    }
                    delivery.mistagged += 1;
                    format!("chain_id is {:?}, must be {expected:?}", seen.tag)
                }
            };
            if delivery.examples.len() < 5 {
                delivery.examples.push(format!("span {:016x}: {trouble}", key.0));
            }
        }
        delivery.unasked = log.spans.keys().filter(|key| !truth.tags().contains_key(*key)).count() as u64;
        delivery
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

impl Log {
    fn traces(&mut self, request: &ExportTraceServiceRequest) {
        self.trace_requests += 1;
        for resource in &request.resource_spans {
            for span in resource.scope_spans.iter().flat_map(|scope| &scope.spans) {
                self.received += 1;
                let tag = tag_of(span);
                let seen = self.spans.entry(SpanKey::of(&span.span_id)).or_insert(Seen { tag, times: 0 });
                seen.times += 1;
                if seen.tag != tag {
                    seen.tag = Tag::Broken;
                }
            }
        }
    }
}

/// What a span carries under `chain_id`.
fn tag_of(span: &Span) -> Tag {
    let mut tags = span.attributes.iter().filter(|attribute| attribute.key == "chain_id");
    let (Some(tag), None) = (tags.next(), tags.next()) else {
        let any = span.attributes.iter().any(|attribute| attribute.key == "chain_id");
        return if any { Tag::Broken } else { Tag::Absent };
    };
    match tag.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => match text.parse::<u64>() {
            Ok(id) if id > 0 && id <= 9_223_372_036_854_775_771 && id.to_string() == *text => Tag::Canonical(id),
            _ => Tag::Invalid,
        },
        _ => Tag::Invalid,
    }
}

/// The three export methods.
#[derive(Clone, Debug)]
struct Door {
    log: Arc<Mutex<Log>>,
    away: Arc<AtomicBool>,
}

impl Service<http::Request<Body>> for Door {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let method = match request.uri().path() {
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => Signal::Traces,
            "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => Signal::Metrics,
            "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => Signal::Logs,
            _ => Signal::Unknown,
        };
        let handler = Handler { method, log: Arc::clone(&self.log), away: Arc::clone(&self.away) };
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(Raw).max_decoding_message_size(MAX_REQUEST);
            Ok(grpc.unary(handler, request).await)
        })
    }
}

#[derive(Clone, Copy, Debug)]
enum Signal {
    Traces,
    Metrics,
    Logs,
    Unknown,
}

struct Handler {
    method: Signal,
    log: Arc<Mutex<Log>>,
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
        let log = || self.log.lock().unwrap_or_else(PoisonError::into_inner);
        // Decoded before the lock is taken.
        let taken = match self.method {
            Signal::Traces => ExportTraceServiceRequest::decode(body).map(|request| log().traces(&request)),
            Signal::Metrics => ExportMetricsServiceRequest::decode(body).map(|request| log().metrics.push(request)),
            Signal::Logs => {
                log().log_requests += 1;
                Ok(())
            }
            Signal::Unknown => {
                return ready(Err(Status::unimplemented("only the OTLP export methods are served here")));
            }
        };
        // An empty message: accepted, nothing rejected.
        ready(taken.map(|()| Response::new(Bytes::new())).map_err(|error| Status::invalid_argument(error.to_string())))
    }
}
