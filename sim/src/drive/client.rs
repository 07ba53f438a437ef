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

use crate::codec::Raw;

const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// How long a client keeps trying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryLimits {
    /// How long one attempt may take.
    pub attempt_timeout: Duration,
    /// No attempt starts later than this after the first one.
    pub max_elapsed_time: Duration,
}

impl Default for RetryLimits {
    /// 30 s for an attempt, 60 s for a batch.
    fn default() -> Self {
        Self { attempt_timeout: Duration::from_secs(30), max_elapsed_time: Duration::from_secs(60) }
    }
}

/// What became of a batch.
#[derive(Clone, Debug)]
pub enum ExportResult {
    /// Accepted, and every earlier attempt was certainly refused: it counts exactly once.
    Acknowledged,
    /// It cannot be known how often it counts: an attempt was sent and got no answer.
    Ambiguous {
        /// The last answer.
        status: Status,
        /// Attempts that were certainly accepted: 0 or 1.
        at_least: u32,
        /// The same plus the attempts without an answer.
        at_most: u32,
    },
    /// Refused permanently, or until the time was up: it does not count.
    Refused(Status),
}

/// A target that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// Not an address.
    #[error("{target:?} is not an OTLP endpoint; write HOST:PORT or http://HOST:PORT")]
    Address {
        /// As it was given.
        target: String,
        /// What is wrong with it.
        source: tonic::transport::Error,
    },
    /// Nothing answers there.
    #[error("cannot connect to {target}: {reason}; is an OTLP gRPC receiver running there?")]
    Unreachable {
        /// As it was given.
        target: String,
        /// The error of the system.
        reason: String,
    },
}

/// An exporter with several connections, used in turn.
#[derive(Debug)]
pub struct Client {
    target: String,
    endpoint: Endpoint,
    channels: Vec<Channel>,
    next: AtomicUsize,
    limits: RetryLimits,
}

impl Client {
    /// A client for `target` (`HOST:PORT`, or with `http://`). Nothing is dialled before the first batch.
    /// Must be called inside a tokio runtime.
    pub fn new(target: &str, connections: usize, limits: RetryLimits) -> Result<Self, TargetError> {
        let url = if target.contains("://") { target.to_owned() } else { format!("http://{target}") };
        let endpoint = Endpoint::from_shared(url)
            .map_err(|source| TargetError::Address { target: target.to_owned(), source })?
            .connect_timeout(Duration::from_secs(5))
            .tcp_nodelay(true);
        let channels = (0..connections.max(1)).map(|_| endpoint.connect_lazy()).collect();
        let target = target.to_owned();
        Ok(Self { target, endpoint, channels, next: AtomicUsize::new(0), limits })
    }

    /// Connects once: distinguishes a wrong address from a slow receiver before anything is sent.
    pub async fn reach(&self) -> Result<(), TargetError> {
        let connected = self.endpoint.connect().await.map(drop);
        connected.map_err(|error| TargetError::Unreachable { target: self.target.clone(), reason: root_cause(&error) })
    }

    /// Sends one encoded `ExportTraceServiceRequest` until the answer is final or the time is up.
    pub async fn export(&self, body: Bytes) -> ExportResult {
        let begun = Instant::now();
        let mut uncertain = 0;
        let mut backoff = Duration::from_millis(100);
        loop {
            let status = match self.attempt(body.clone()).await {
                Ok(()) if uncertain > 0 => {
                    let status = Status::ok("accepted, after an attempt without an answer");
                    return ExportResult::Ambiguous { status, at_least: 1, at_most: 1 + uncertain };
                }
                Ok(()) => return ExportResult::Acknowledged,
                Err(status) => status,
            };
            uncertain += u32::from(unanswered(&status));
            let retry_after = status.get_details_retry_info().and_then(|info| info.retry_delay);
            let retryable = match status.code() {
                Code::Unavailable
                | Code::Cancelled
                | Code::DeadlineExceeded
                | Code::Aborted
                | Code::OutOfRange
                | Code::DataLoss => true,
                Code::ResourceExhausted => retry_after.is_some(),
                _ => unanswered(&status) || never_sent(&status),
            };
            let jitter = backoff.mul_f64(fastrand::f64());
            let pause = retry_after.map_or(jitter, |delay| delay + jitter / 4);
            if !retryable || begun.elapsed() + pause > self.limits.max_elapsed_time {
                return match uncertain {
                    0 => ExportResult::Refused(status),
                    at_most => ExportResult::Ambiguous { status, at_least: 0, at_most },
                };
            }
            tokio::time::sleep(pause).await;
            backoff = (backoff * 2).min(Duration::from_secs(2));
        }
    }

    async fn attempt(&self, body: Bytes) -> Result<(), Status> {
        let channel = self.next.fetch_add(1, Ordering::Relaxed) % self.channels.len();
        let mut grpc = Grpc::new(self.channels[channel].clone());
        let call = async {
            grpc.ready().await.map_err(|error| Status::from_error(error.into()))?;
            grpc.unary(Request::new(body), PathAndQuery::from_static(EXPORT), Raw).await
        };
        let response: Bytes = match tokio::time::timeout(self.limits.attempt_timeout, call).await {
            Ok(result) => result?.into_inner(),
            Err(_) => return Err(lost("no answer within the attempt's time")),
        };
        let response = ExportTraceServiceResponse::decode(response)
            .map_err(|error| Status::internal(format!("the answer is not an ExportTraceServiceResponse: {error}")))?;
        match response.partial_success {
            Some(partial) if partial.rejected_spans > 0 => Err(Status::failed_precondition(format!(
                "{} spans rejected: {}",
                partial.rejected_spans, partial.error_message
            ))),
            _ => Ok(()),
        }
    }
}

/// The text of the innermost error: those around it only say that it happened while connecting.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// A status for an answer that did not come.
fn lost(text: &'static str) -> Status {
    Status::from_error(Box::new(std::io::Error::new(std::io::ErrorKind::TimedOut, text)))
}

/// Whether no connection could be made, so that nothing was sent.
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

/// Whether the status was produced on this side after something may have been sent: one that came over the wire has no
/// source, unless the stream ended before its trailers.
fn unanswered(status: &Status) -> bool {
    let cut_off = status.code() == Code::Unknown && status.message().starts_with("grpc-status header missing");
    cut_off || (std::error::Error::source(status).is_some() && !never_sent(status))
}
