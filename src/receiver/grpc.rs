//! The gRPC service: which request it is, what is checked in which order, and what is answered.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::Body;
use tokio::time::Instant;
use tonic::Code;

use super::body::{BodyLimits, FramedMessage, IDLE_TIMEOUT, TOTAL_TIMEOUT, read_message};
use super::deadline;
use super::encoding::Encoding;
use super::failures::FailedRequests;
use super::health::{self, HealthEndpoint};
use super::inflate::inflate;
use super::reply::{Reply, accepted};
use super::status::RequestError;
use crate::delivery::Signal;
use crate::pipeline::Pipeline;

/// The body of a request, as HTTP/2 receives it.
pub(super) trait RequestBody:
    Body<Data = Bytes, Error: Into<tonic::codegen::StdError> + Display> + Unpin + Send + 'static
{
}

impl<B> RequestBody for B where
    B: Body<Data = Bytes, Error: Into<tonic::codegen::StdError> + Display> + Unpin + Send + 'static
{
}

/// Answers every request of every connection. Cloning shares it.
#[derive(Clone, Debug)]
pub(super) struct GrpcService(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pipeline: Pipeline,
    max_request_bytes: usize,
    failed: FailedRequests,
    health: HealthEndpoint,
    draining: AtomicBool,
}

impl GrpcService {
    pub(super) fn new(
        pipeline: Pipeline,
        max_request_bytes: usize,
        failed: FailedRequests,
        health: HealthEndpoint,
    ) -> Self {
        // What can never fit must be refused for good: its client would send it again for ever.
        let max_request_bytes = max_request_bytes.min(pipeline.budget().limit());
        Self(Arc::new(Inner { pipeline, max_request_bytes, failed, health, draining: AtomicBool::new(false) }))
    }

    /// From now on, new requests are told to go elsewhere. Open ones go on.
    pub(super) fn drain(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    /// Answers one request.
    pub(super) async fn answer<B: RequestBody>(self, request: Request<B>) -> Response<Reply> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path();
        let Some(signal) = Signal::ALL.into_iter().find(|signal| signal.grpc_path() == path) else {
            return self.other(Request::from_parts(parts, body)).await;
        };
        if !is_grpc(&parts) {
            return unsupported_media_type();
        }
        let mut counted = CountFailure { inner: &self.0, signal, code: Code::Cancelled };
        match self.0.take(signal, &parts, body).await {
            Ok(()) => {
                counted.code = Code::Ok;
                accepted()
            }
            Err(error) => {
                counted.code = error.code();
                tracing::debug!(signal = signal.name(), code = ?counted.code, "request not accepted: {error}");
                refused(&error)
            }
        }
    }

    /// Answers whatever is not an Export method.
    async fn other<B: RequestBody>(self, request: Request<B>) -> Response<Reply> {
        match request.uri().path() {
            // A watch that began now would only hold up the drain.
            health::WATCH if self.0.draining.load(Ordering::Relaxed) => refused(&RequestError::Draining),
            health::CHECK | health::WATCH => self.0.health.clone().answer(request.map(tonic::body::Body::new)).await,
            path => refused(&RequestError::UnknownMethod(path.to_owned())),
        }
    }
}

impl Inner {
    /// From the headers to the pipeline's answer.
    async fn take<B: RequestBody>(&self, signal: Signal, parts: &Parts, body: B) -> Result<(), RequestError> {
        // Credentials are checked here, before anything of the body is read.
        let encoding = encoding(parts)?;
        if self.draining.load(Ordering::Relaxed) {
            return Err(RequestError::Draining);
        }
        let now = Instant::now();
        let timeout = parts.headers.get("grpc-timeout").and_then(|value| deadline::parse(value.as_bytes()));
        let deadline = timeout.and_then(|timeout| now.checked_add(deadline::within(timeout)));
        let until = deadline.map_or(now + TOTAL_TIMEOUT, |deadline| deadline.min(now + TOTAL_TIMEOUT));
        let (max_message_bytes, budget) = (self.max_request_bytes, self.pipeline.budget());
        let limits = BodyLimits { max_message_bytes, budget, idle: IDLE_TIMEOUT, until };

        let FramedMessage { compressed, bytes } = read_message(body, limits).await?;
        let message = match (compressed, encoding) {
            (false, _) => bytes,
            (true, Encoding::Identity) => return Err(RequestError::NoEncoding),
            (true, encoding) => inflate(encoding, bytes, max_message_bytes, budget).await?,
        };
        Ok(self.pipeline.accept(signal, message, deadline).await?)
    }
}

/// Counts a request that ends without OK, also when its client goes away and the future that answers is dropped.
struct CountFailure<'a> {
    inner: &'a Inner,
    signal: Signal,
    code: Code,
}

impl Drop for CountFailure<'_> {
    fn drop(&mut self) {
        if self.code != Code::Ok {
            self.inner.failed.count(self.signal, self.code);
        }
    }
}

fn encoding(parts: &Parts) -> Result<Encoding, RequestError> {
    let Some(name) = parts.headers.get("grpc-encoding") else { return Ok(Encoding::Identity) };
    Encoding::parse(name.as_bytes())
        .ok_or_else(|| RequestError::UnknownEncoding(String::from_utf8_lossy(name.as_bytes()).into_owned()))
}

/// `application/grpc`, alone or followed by `+proto` or parameters; not `application/grpc-web`.
fn is_grpc(parts: &Parts) -> bool {
    let kind = parts.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    match kind.and_then(|kind| kind.strip_prefix(b"application/grpc")) {
        None => false,
        Some(rest) => matches!(rest.first(), None | Some(b'+' | b';' | b' ')),
    }
}

/// gRPC over HTTP/2: a server answers 415 to a content type that does not begin with `application/grpc`.
fn unsupported_media_type() -> Response<Reply> {
    let mut response = Response::new(Reply::End);
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    response
}

/// A trailers-only answer: everything is in the headers.
fn refused(error: &RequestError) -> Response<Reply> {
    let mut response: Response<Reply> = error.status().into_http();
    if matches!(error, RequestError::UnknownEncoding(_)) {
        response.headers_mut().insert("grpc-accept-encoding", HeaderValue::from_static(Encoding::ACCEPTED));
    }
    response
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Mutex;

    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use http_body_util::Full;
    use tonic_types::StatusExt;

    use super::*;
    use crate::pipeline::{self, Budget};
    use crate::telemetry::Telemetry;

    fn service(failed: FailedRequests) -> GrpcService {
        let (health, _) = HealthEndpoint::new();
        let pipeline = Pipeline::new(pipeline::Parts {
            budget: Budget::new(1 << 20),
            chain: None,
            gateway: None,
            red: None,
            destinations: Vec::new(),
            telemetry: Telemetry::new(),
        });
        GrpcService::new(pipeline, 1 << 20, failed, health)
    }

    async fn call(service: &GrpcService, path: &str) -> tonic::Status {
        let request = Request::post(path).header(header::CONTENT_TYPE, "application/grpc");
        let body = Full::new(Bytes::from_static(&[0; 5]));
        let response = service.clone().answer(request.body(body).unwrap()).await;
        tonic::Status::from_header_map(response.headers()).unwrap_or_else(|| tonic::Status::ok(""))
    }

    /// Scenario: a request's stream was opened before its client heard GOAWAY, as happens to any busy client. Guarantee:
    /// it is told when to send it again, not cut off.
    #[tokio::test]
    async fn a_request_that_crosses_goaway_is_told_when_to_send_it_again() {
        let service = service(FailedRequests::new(&Telemetry::default()));
        for signal in Signal::ALL {
            assert_eq!(call(&service, signal.grpc_path()).await.code(), Code::Ok);
        }
        service.drain();
        for path in Signal::ALL.map(Signal::grpc_path).into_iter().chain([health::WATCH]) {
            let status = call(&service, path).await;
            assert_eq!(status.code(), Code::Unavailable, "{path}");
            assert!(status.get_details_retry_info().is_some(), "{path}");
        }
    }

    /// Scenario: one client goes away in the middle of its body, one sends nonsense, one is accepted. Guarantee: the first
    /// two are counted by signal and code, the third is not.
    #[tokio::test]
    async fn requests_without_an_ok_are_counted() {
        struct Never;
        impl http_body::Body for Never {
            type Data = Bytes;
            type Error = Infallible;

            fn poll_frame(
                self: Pin<&mut Self>,
                _: &mut Context<'_>,
            ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
                Poll::Pending
            }
        }
        let counted = Arc::new(Mutex::new(Vec::new()));
        let failed = FailedRequests::with(|signal, code| {
            struct Noted(Arc<Mutex<Vec<String>>>, String);
            impl metrics::CounterFn for Noted {
                fn increment(&self, _: u64) {
                    self.0.lock().unwrap().push(self.1.clone());
                }
                fn absolute(&self, _: u64) {}
            }
            metrics::Counter::from_arc(Arc::new(Noted(counted.clone(), format!("{signal} {code}"))))
        });
        let service = service(failed);
        let request = |path: &str| Request::post(path).header(header::CONTENT_TYPE, "application/grpc");
        let given_up = service.clone().answer(request(Signal::Logs.grpc_path()).body(Never).unwrap());
        assert!(tokio::time::timeout(std::time::Duration::ZERO, given_up).await.is_err());
        let nonsense = Full::new(Bytes::from_static(&[9, 0, 0, 0, 0]));
        service.clone().answer(request(Signal::Traces.grpc_path()).body(nonsense).unwrap()).await;
        call(&service, Signal::Metrics.grpc_path()).await;
        assert_eq!(*counted.lock().unwrap(), ["logs CANCELLED", "traces INTERNAL"]);
    }
}
