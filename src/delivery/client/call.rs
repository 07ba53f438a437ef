//! One attempt to deliver a batch: a unary gRPC call over a [`Link`]. The bodies are sent without being joined.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, TE, USER_AGENT};
use http::{Method, Request, Uri};
use tokio::time::timeout;
use tonic::Code;

use super::chunks::Chunks;
use super::connection::Link;
use super::frame;
use super::response::Acknowledgement;
use super::response::read;
use crate::config::{self, Compression};
use crate::delivery::error::DestinationError;
use crate::delivery::policy::Failure;
use crate::otlp::{PerSignal, Signal};

/// Time to connect, unless the timeout of an attempt is shorter.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The gRPC client of one destination.
#[derive(Debug)]
pub(crate) struct Client {
    authority: String,
    templates: PerSignal<Request<()>>,
    compression: Compression,
    timeout: Duration,
}

/// How an attempt ended. The connection is returned only if it can carry another request.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) link: Option<Link>,
    pub(crate) outcome: Result<Acknowledgement, Failure>,
}

impl Client {
    /// Prepares a request for each signal.
    ///
    /// # Errors
    /// An endpoint that is not `HOST:PORT`, or a header that cannot be sent.
    pub(crate) fn new(settings: &config::Destination) -> Result<Self, DestinationError> {
        let template = |signal: Signal| -> Result<Request<()>, DestinationError> {
            let uri: Uri = format!("http://{}{}", settings.endpoint, signal.grpc_path())
                .parse()
                .map_err(|_| DestinationError::endpoint(&settings.name, &settings.endpoint))?;
            if uri.port_u16().is_none() || uri.path() != signal.grpc_path() {
                return Err(DestinationError::endpoint(&settings.name, &settings.endpoint));
            }
            let mut request = Request::new(());
            *request.method_mut() = Method::POST;
            *request.uri_mut() = uri;
            *request.version_mut() = http::Version::HTTP_2;
            let headers = request.headers_mut();
            for (name, value) in &settings.headers {
                let wrong = || DestinationError::header(&settings.name, name);
                let mut value = HeaderValue::from_str(value.expose()).map_err(|_| wrong())?;
                value.set_sensitive(true);
                headers.append(HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?, value);
            }
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            headers.insert(TE, HeaderValue::from_static("trailers"));
            headers.insert(USER_AGENT, HeaderValue::from_static(concat!("chainspan/", env!("CARGO_PKG_VERSION"))));
            let milliseconds = settings.timeout.as_millis().clamp(1, 99_999_999);
            let timeout = HeaderValue::from_str(&format!("{milliseconds}m"));
            headers
                .insert("grpc-timeout", timeout.map_err(|_| DestinationError::header(&settings.name, "grpc-timeout"))?);
            if let Some(encoding) = frame::grpc_encoding(settings.compression) {
                headers.insert("grpc-encoding", HeaderValue::from_static(encoding));
            }
            Ok(request)
        };
        Ok(Self {
            authority: settings.endpoint.clone(),
            templates: PerSignal::try_from_fn(template)?,
            compression: settings.compression,
            timeout: settings.timeout,
        })
    }

    /// Sends `bodies` as one request and waits for the answer, no longer than the attempt timeout.
    pub(crate) async fn attempt(self: Arc<Self>, link: Option<Link>, signal: Signal, bodies: Vec<Bytes>) -> Finished {
        let sent = AtomicBool::new(false);
        match timeout(self.timeout, self.exchange(link, signal, bodies, &sent)).await {
            Ok(finished) => finished,
            Err(_) => {
                let message = format!("no answer within {:?}", self.timeout);
                let failure = Failure::status(Code::DeadlineExceeded, message);
                Finished { link: None, outcome: Err(Failure { sent: sent.into_inner(), ..failure }) }
            }
        }
    }

    /// Sets `sent` as soon as the destination may have seen part of the request.
    async fn exchange(
        &self,
        mut link: Option<Link>,
        signal: Signal,
        bodies: Vec<Bytes>,
        sent: &AtomicBool,
    ) -> Finished {
        loop {
            let reused = link.is_some();
            let mut open = match self.connected(link.take()).await {
                Ok(open) => open,
                Err(failure) => return Finished { link: None, outcome: Err(failure) },
            };
            let message = match self.message(bodies.clone()).await {
                Ok(message) => message,
                Err(failure) => return Finished { link: Some(open), outcome: Err(failure) },
            };
            let request = self.templates[signal].clone();
            sent.store(true, Ordering::Relaxed);
            let response = match open.send(request, message) {
                Ok(response) => response.await,
                Err(error) => Err(error),
            };
            match response {
                Ok(response) => {
                    let outcome = read(response).await;
                    let fit = outcome.as_ref().err().is_none_or(|failure| failure.code.is_some());
                    if fit {
                        open.rest();
                    }
                    return Finished { link: fit.then_some(open), outcome };
                }
                // The destination closed the idle connection, and says that it has not processed the request: try a new one.
                Err(error) if reused && untouched(&error) => sent.store(false, Ordering::Relaxed),
                Err(error) => {
                    let failure = Failure::broken(format!("the connection failed: {error}"));
                    let outcome = Err(Failure { sent: !untouched(&error), ..failure });
                    return Finished { link: None, outcome };
                }
            }
        }
    }

    async fn connected(&self, link: Option<Link>) -> Result<Link, Failure> {
        if let Some(mut link) = link
            && link.ready().await.is_ok()
        {
            return Ok(link);
        }
        let limit = CONNECT_TIMEOUT.min(self.timeout);
        let mut link = timeout(limit, Link::open(&self.authority))
            .await
            .map_err(|_| Failure::transport(format!("cannot connect to {} within {limit:?}", self.authority)))??;
        link.ready().await.map_err(|error| Failure::transport(format!("the connection failed: {error}")))?;
        Ok(link)
    }

    /// Compresses on a thread of its own: this one has a queue to serve.
    async fn message(&self, bodies: Vec<Bytes>) -> Result<Chunks, Failure> {
        let compression = self.compression;
        let message = match compression {
            Compression::None => frame::message(bodies, compression),
            _ => match tokio::task::spawn_blocking(move || frame::message(bodies, compression)).await {
                Ok(message) => message,
                Err(error) => return Err(Failure::transport(format!("compression failed: {error}"))),
            },
        };
        message.map_err(|error| Failure::transport(format!("cannot encode the message: {error}")))
    }
}

fn untouched(error: &h2::Error) -> bool {
    error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM)
}
