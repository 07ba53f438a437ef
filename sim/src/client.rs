//! Sends batches as an OpenTelemetry SDK does: gRPC, with retries, over a few connections.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::uri::PathAndQuery;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, ConnectError, Request, Status};
use tonic_types::StatusExt;

use super::codec::Raw;

const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// How patient a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How long one attempt may take.
    pub attempt: Duration,
    /// How long a batch is tried; no attempt begins later.
    pub batch: Duration,
}

impl Default for Patience {
    /// 30 s an attempt, 60 s a batch.
    fn default() -> Self {
        Self { attempt: Duration::from_secs(30), batch: Duration::from_secs(60) }
    }
}

/// What became of a batch.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Accepted; every earlier attempt was refused for certain, so it counts exactly once.
    Acknowledged,
    /// Nobody can know how often it counts: an attempt ended without an answer after it had been sent.
    Ambiguous {
        /// The last answer.
        status: Status,
        /// Attempts that were accepted for certain: 0 or 1.
        at_least: u32,
        /// The same, and those without an answer.
        at_most: u32,
    },
    /// Refused for good, or until the patience ended: it does not count.
    Refused(Status),
}

/// A target that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// It is no address.
    #[error("{target:?} is no OTLP endpoint; write HOST:PORT or http://HOST:PORT")]
    Address {
        /// As it was given.
        target: String,
        /// What is wrong with it.
        source: tonic::transport::Error,
    },
    /// Nobody answers there.
    #[error("cannot connect to {target}; is an OTLP gRPC receiver running there?")]
    Unreachable {
        /// As it was given.
        target: String,
        /// What the system said.
        source: tonic::transport::Error,
    },
}

/// An exporter with several connections, used in turn.
#[derive(Debug)]
pub struct Client {
    target: String,
    endpoint: Endpoint,
    channels: Vec<Channel>,
    next: AtomicUsize,
    patience: Patience,
}

impl Client {
    /// A client for `target` (`HOST:PORT`, or with `http://`). Nothing is dialled before the first batch.
    /// Must be called inside a tokio runtime.
    pub fn new(target: &str, connections: usize, patience: Patience) -> Result<Self, TargetError> {
        let url = if target.contains("://") { target.to_owned() } else { format!("http://{target}") };
        let endpoint = Endpoint::from_shared(url)
            .map_err(|source| TargetError::Address { target: target.to_owned(), source })?
            .connect_timeout(Duration::from_secs(5))
            .tcp_nodelay(true);
        let channels = (0..connections.max(1)).map(|_| endpoint.connect_lazy()).collect();
        let target = target.to_owned();
        Ok(Self { target, endpoint, channels, next: AtomicUsize::new(0), patience })
    }

    /// Connects once, to tell a wrong address from a slow receiver before anything is sent.
    pub async fn reach(&self) -> Result<(), TargetError> {
        let connected = self.endpoint.connect().await.map(drop);
        connected.map_err(|source| TargetError::Unreachable { target: self.target.clone(), source })
    }

    /// Sends one encoded `ExportTraceServiceRequest` until it is answered for good or the patience ends.
    pub async fn export(&self, body: Bytes) -> Answer {
        let begun = Instant::now();
        let mut uncertain = 0;
        let mut bound = Duration::from_millis(100);
        loop {
            let status = match self.attempt(body.clone()).await {
                Ok(()) if uncertain > 0 => {
                    let status = Status::ok("accepted, after an attempt without an answer");
                    return Answer::Ambiguous { status, at_least: 1, at_most: 1 + uncertain };
                }
                Ok(()) => return Answer::Acknowledged,
                Err(status) => status,
            };
            uncertain += u32::from(unanswered(&status));
            let told = status.get_details_retry_info().and_then(|info| info.retry_delay);
            let retryable = match status.code() {
                Code::Unavailable
                | Code::Cancelled
                | Code::DeadlineExceeded
                | Code::Aborted
                | Code::OutOfRange
                | Code::DataLoss => true,
                Code::ResourceExhausted => told.is_some(),
                _ => unanswered(&status) || never_sent(&status),
            };
            let jitter = bound.mul_f64(fastrand::f64());
            let pause = told.map_or(jitter, |told| told + jitter / 4);
            if !retryable || begun.elapsed() + pause > self.patience.batch {
                return match uncertain {
                    0 => Answer::Refused(status),
                    at_most => Answer::Ambiguous { status, at_least: 0, at_most },
                };
            }
            tokio::time::sleep(pause).await;
            bound = (bound * 2).min(Duration::from_secs(2));
        }
    }

    async fn attempt(&self, body: Bytes) -> Result<(), Status> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.channels.len();
        let mut grpc = Grpc::new(self.channels[turn].clone());
        let call = async {
            grpc.ready().await.map_err(|error| Status::from_error(error.into()))?;
            grpc.unary(Request::new(body), PathAndQuery::from_static(EXPORT), Raw).await
        };
        let response: Bytes = match tokio::time::timeout(self.patience.attempt, call).await {
            Ok(result) => result?.into_inner(),
            Err(_) => return Err(lost("no answer within the attempt's time")),
        };
        let response = ExportTraceServiceResponse::decode(response)
            .map_err(|error| Status::internal(format!("the answer is no ExportTraceServiceResponse: {error}")))?;
        match response.partial_success {
            Some(partial) if partial.rejected_spans > 0 => Err(Status::failed_precondition(format!(
                "{} spans rejected: {}",
                partial.rejected_spans, partial.error_message
            ))),
            _ => Ok(()),
        }
    }
}

/// A failure of ours that stands for a missing answer.
fn lost(text: &'static str) -> Status {
    Status::from_error(Box::new(std::io::Error::new(std::io::ErrorKind::TimedOut, text)))
}

/// Whether the connection could not be made: then nothing was sent.
fn never_sent(status: &Status) -> bool {
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        if error.is::<ConnectError>() {
            return true;
        }
        source = error.source();
    }
    false
}

/// Whether the status was made up on this side after something may have been sent: one that came over the wire has no
/// source, unless the stream ended before its trailers.
fn unanswered(status: &Status) -> bool {
    let cut_off = status.code() == Code::Unknown && status.message().starts_with("grpc-status header missing");
    cut_off || (std::error::Error::source(status).is_some() && !never_sent(status))
}
