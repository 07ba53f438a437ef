//! The one HTTP/2 service: which request it is, what is checked in which order, and what is answered.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::Body;
use tokio::time::Instant;
use tonic::Code;

use super::body::{Allowance, Framed, IDLE, TOTAL, read_message};
use super::deadline;
use super::health::{self, Health};
use super::inflate::{Encoding, inflate};
use super::reply::{Reply, accepted};
use super::status::Fault;
use super::tally::Tally;
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
pub(super) struct Door(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pipeline: Pipeline,
    max_request_bytes: usize,
    tally: Tally,
    health: Health,
    draining: AtomicBool,
}

impl Door {
    pub(super) fn new(pipeline: Pipeline, max_request_bytes: usize, tally: Tally, health: Health) -> Self {
        // What can never fit must be told to go away, not to come again.
        let max_request_bytes = max_request_bytes.min(pipeline.budget().limit());
        Self(Arc::new(Inner { pipeline, max_request_bytes, tally, health, draining: AtomicBool::new(false) }))
    }

    /// From now on, new requests are told to go elsewhere. Those in hand go on.
    pub(super) fn drain(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    /// Answers one request.
    pub(super) async fn answer<B: RequestBody>(self, request: Request<B>) -> Response<Reply> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path();
        let Some(signal) = Signal::ALL.into_iter().find(|signal| signal.grpc_path() == path) else {
            return self.elsewhere(Request::from_parts(parts, body)).await;
        };
        if !is_grpc(&parts) {
            return unsupported_media_type();
        }
        let mut in_hand = InHand { inner: &self.0, signal, code: Code::Cancelled };
        match self.0.take(signal, &parts, body).await {
            Ok(()) => {
                in_hand.code = Code::Ok;
                accepted()
            }
            Err(fault) => {
                in_hand.code = fault.code();
                tracing::debug!(signal = signal.name(), code = ?in_hand.code, "request not accepted: {fault}");
                refused(&fault)
            }
        }
    }

    /// Whatever is not an Export method.
    async fn elsewhere<B: RequestBody>(self, request: Request<B>) -> Response<Reply> {
        match request.uri().path() {
            // A watch that began now would only hold up the drain.
            health::WATCH if self.0.draining.load(Ordering::Relaxed) => refused(&Fault::Draining),
            health::CHECK | health::WATCH => self.0.health.clone().answer(request.map(tonic::body::Body::new)).await,
            path => refused(&Fault::UnknownMethod(path.to_owned())),
        }
    }
}

impl Inner {
    /// From the headers to the pipeline's answer.
    async fn take<B: RequestBody>(&self, signal: Signal, parts: &Parts, body: B) -> Result<(), Fault> {
        // Credentials are checked here, before anything of the body is read.
        let encoding = encoding(parts)?;
        if self.draining.load(Ordering::Relaxed) {
            return Err(Fault::Draining);
        }
        let now = Instant::now();
        let timeout = parts.headers.get("grpc-timeout").and_then(|value| deadline::parse(value.as_bytes()));
        let deadline = timeout.and_then(|timeout| now.checked_add(deadline::within(timeout)));
        let until = deadline.map_or(now + TOTAL, |deadline| deadline.min(now + TOTAL));
        let (limit, budget) = (self.max_request_bytes, self.pipeline.budget());

        let Framed { compressed, bytes } = read_message(body, Allowance { limit, budget, idle: IDLE, until }).await?;
        let message = match (compressed, encoding) {
            (false, _) => bytes,
            (true, Encoding::Identity) => return Err(Fault::NoEncoding),
            (true, encoding) => inflate(encoding, bytes, limit, budget).await?,
        };
        Ok(self.pipeline.accept(signal, message, deadline).await?)
    }
}

/// Counts a request when it ends without OK, also when its client goes away and the work is dropped half done.
struct InHand<'a> {
    inner: &'a Inner,
    signal: Signal,
    code: Code,
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        if self.code != Code::Ok {
            self.inner.tally.failed(self.signal, self.code);
        }
    }
}

fn encoding(parts: &Parts) -> Result<Encoding, Fault> {
    let Some(name) = parts.headers.get("grpc-encoding") else { return Ok(Encoding::Identity) };
    Encoding::parse(name.as_bytes())
        .ok_or_else(|| Fault::UnknownEncoding(String::from_utf8_lossy(name.as_bytes()).into_owned()))
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
fn refused(fault: &Fault) -> Response<Reply> {
    let mut response: Response<Reply> = fault.status().into_http();
    if matches!(fault, Fault::UnknownEncoding(_)) {
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

    fn door(tally: Tally) -> Door {
        let (health, _) = Health::new();
        Door::new(Pipeline::new(pipeline::Parts::bare(Budget::new(1 << 20), Telemetry::new())), 1 << 20, tally, health)
    }

    async fn call(door: &Door, path: &str) -> tonic::Status {
        let request = Request::post(path).header(header::CONTENT_TYPE, "application/grpc");
        let body = Full::new(Bytes::from_static(&[0; 5]));
        let response = door.clone().answer(request.body(body).unwrap()).await;
        tonic::Status::from_header_map(response.headers()).unwrap_or_else(|| tonic::Status::ok(""))
    }

    /// Scenario: a request's stream was opened before its client heard GOAWAY, as happens to any busy client. Guarantee:
    /// it is told when to come again, not cut off.
    #[tokio::test]
    async fn a_request_that_crosses_goaway_is_told_when_to_come_again() {
        let door = door(Tally::new(&Telemetry::default()));
        for signal in Signal::ALL {
            assert_eq!(call(&door, signal.grpc_path()).await.code(), Code::Ok);
        }
        door.drain();
        for path in Signal::ALL.map(Signal::grpc_path).into_iter().chain([health::WATCH]) {
            let status = call(&door, path).await;
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
        let tally = Tally::with(|signal, code| {
            struct Noted(Arc<Mutex<Vec<String>>>, String);
            impl metrics::CounterFn for Noted {
                fn increment(&self, _: u64) {
                    self.0.lock().unwrap().push(self.1.clone());
                }
                fn absolute(&self, _: u64) {}
            }
            metrics::Counter::from_arc(Arc::new(Noted(counted.clone(), format!("{signal} {code}"))))
        });
        let door = door(tally);
        let request = |path: &str| Request::post(path).header(header::CONTENT_TYPE, "application/grpc");
        let given_up = door.clone().answer(request(Signal::Logs.grpc_path()).body(Never).unwrap());
        assert!(tokio::time::timeout(std::time::Duration::ZERO, given_up).await.is_err());
        let nonsense = Full::new(Bytes::from_static(&[9, 0, 0, 0, 0]));
        door.clone().answer(request(Signal::Traces.grpc_path()).body(nonsense).unwrap()).await;
        call(&door, Signal::Metrics.grpc_path()).await;
        assert_eq!(*counted.lock().unwrap(), ["logs CANCELLED", "traces INTERNAL"]);
    }
}
