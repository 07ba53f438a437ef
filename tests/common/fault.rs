//! A destination that misbehaves by script: an OTLP gRPC server on a port of its own, that records whole requests and
//! answers each as the next [`Act`] of its script says, or as the default once the script is used up.

#![allow(unreachable_pub)] // one module of several test programs, none of which uses all of it
use std::collections::{HashMap, VecDeque};
use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use chainspan::delivery::Signal;
use http::{HeaderMap, HeaderValue, Response};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value;
use prost::Message;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::port;

/// What the server does with one request.
#[derive(Clone, Debug)]
pub enum Act {
    /// Accepts it.
    Accept,
    /// Answers with a status, with RetryInfo if a delay is given.
    Refuse(Code, &'static str, Option<Duration>),
    /// Accepts all but `.0` spans.
    Partial(i64, &'static str),
    /// Accepts it once [`Fault::release`] has been called, one request per permit.
    Hold,
    /// Drops the TCP connection in the middle of the request.
    Reset,
    /// The same, once [`Fault::release`] has been called.
    HoldThenReset,
    /// Sends GOAWAY after accepting it.
    GoAway,
    /// Never answers.
    BlackHole,
}

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Received {
    /// The gRPC path.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// The message, decompressed.
    pub body: Bytes,
    /// Whether it was answered with OK.
    pub accepted: bool,
}

impl Received {
    /// Span ids in it.
    pub fn spans(&self) -> Vec<Vec<u8>> {
        let request = ExportTraceServiceRequest::decode(&self.body[..]).expect("a valid request");
        let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).map(|span| span.span_id).collect()
    }

    /// Bodies of the log records in it.
    pub fn logs(&self) -> Vec<String> {
        let request = ExportLogsServiceRequest::decode(&self.body[..]).expect("a valid request");
        let scopes = request.resource_logs.into_iter().flat_map(|resource| resource.scope_logs);
        let text = |value| match value {
            any_value::Value::StringValue(text) => text,
            other => panic!("not a text: {other:?}"),
        };
        let values = scopes.flat_map(|scope| scope.log_records).filter_map(|record| record.body?.value);
        values.map(text).collect()
    }
}

#[derive(Debug)]
struct Shared {
    script: Mutex<VecDeque<Act>>,
    default: Mutex<Act>,
    poison: Mutex<Option<(&'static str, Code)>>,
    unserved: Mutex<Vec<Signal>>,
    max_bytes: Mutex<usize>,
    received: Mutex<Vec<Received>>,
    arrived: watch::Sender<usize>,
    connections: Mutex<usize>,
    held: Semaphore,
}

/// The server; stops when dropped.
#[derive(Debug)]
pub struct Fault {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Mutex<Option<JoinSet<()>>>,
}

impl Fault {
    /// Starts on a free port; accepts everything until told otherwise.
    pub async fn start() -> Self {
        let listener = port::listen();
        let shared = Arc::new(Shared {
            script: Mutex::default(),
            default: Mutex::new(Act::Accept),
            poison: Mutex::default(),
            unserved: Mutex::default(),
            max_bytes: Mutex::new(usize::MAX),
            received: Mutex::default(),
            arrived: watch::Sender::new(0),
            connections: Mutex::new(0),
            held: Semaphore::new(0),
        });
        let fault = Self { address: listener.local_addr().expect("bound"), shared, listening: Mutex::default() };
        fault.listen(listener);
        fault
    }

    /// Where it listens, or listened.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What to do with the next requests, one act each.
    pub fn then(&self, acts: impl IntoIterator<Item = Act>) -> &Self {
        self.shared.script.lock().expect("sound").extend(acts);
        self
    }

    /// What to do when the script is used up.
    pub fn always(&self, act: Act) -> &Self {
        *self.shared.default.lock().expect("sound") = act;
        self
    }

    /// Refuses every request whose bytes hold `marker` (an attribute value, say) with `code`.
    pub fn poison(&self, marker: &'static str, code: Code) -> &Self {
        *self.shared.poison.lock().expect("sound") = Some((marker, code));
        self
    }

    /// Answers as a gRPC server that has no service for these signals, whatever the script says; until the next call.
    pub fn unserved(&self, signals: &[Signal]) -> &Self {
        *self.shared.unserved.lock().expect("sound") = signals.to_vec();
        self
    }

    /// Refuses requests of more than `bytes` with RESOURCE_EXHAUSTED, without RetryInfo.
    pub fn limit(&self, bytes: usize) -> &Self {
        *self.shared.max_bytes.lock().expect("sound") = bytes;
        self
    }

    /// Lets `count` requests go that [`Act::Hold`] holds or will hold.
    pub fn release(&self, count: usize) {
        self.shared.held.add_permits(count);
    }

    /// Closes every connection and refuses new ones.
    pub async fn stop(&self) {
        let running = self.listening.lock().expect("sound").take();
        if let Some(mut running) = running {
            running.shutdown().await;
        }
    }

    /// Listens again, on the same port.
    pub async fn restart(&self) {
        self.listen(port::again(self.address).expect("the same port"));
    }

    /// Every request so far.
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().expect("sound").clone()
    }

    /// Waits until `count` requests have arrived, all in all.
    pub async fn arrived(&self, count: usize) {
        let mut arrived = self.shared.arrived.subscribe();
        arrived.wait_for(|seen| *seen >= count).await.expect("the server lives");
    }

    /// How often each span id was accepted.
    pub fn accepted_spans(&self) -> HashMap<Vec<u8>, usize> {
        let mut counts = HashMap::new();
        for received in self.accepted(Signal::Traces) {
            for span in received.spans() {
                *counts.entry(span).or_default() += 1;
            }
        }
        counts
    }

    /// How often each body of a log record was accepted.
    pub fn accepted_logs(&self) -> HashMap<String, usize> {
        let mut counts = HashMap::new();
        for received in self.accepted(Signal::Logs) {
            for body in received.logs() {
                *counts.entry(body).or_default() += 1;
            }
        }
        counts
    }

    fn accepted(&self, signal: Signal) -> impl Iterator<Item = Received> {
        let of = move |received: &Received| received.accepted && received.path == signal.grpc_path();
        self.received().into_iter().filter(of)
    }

    /// TCP connections accepted so far.
    pub fn connections(&self) -> usize {
        *self.shared.connections.lock().expect("sound")
    }

    fn listen(&self, listener: TcpListener) {
        listener.set_nonblocking(true).expect("not blocking");
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
        let shared = self.shared.clone();
        let mut running = JoinSet::new();
        running.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                *shared.connections.lock().expect("sound") += 1;
                connections.spawn(serve(stream, shared.clone()));
            }
        });
        *self.listening.lock().expect("sound") = Some(running);
    }
}

/// Serves one connection. A broken connection is an everyday event here.
async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let mut builder = h2::server::Builder::new();
    builder.initial_window_size(4 << 20).initial_connection_window_size(4 << 20);
    let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else { return };
    let (cut, mut cuts) = watch::channel(0_u8);
    let mut requests = JoinSet::new();
    loop {
        tokio::select! {
            next = connection.accept() => match next {
                Some(Ok((request, respond))) => { requests.spawn(answer(request, respond, shared.clone(), cut.clone())); }
                _ => return,
            },
            Ok(()) = cuts.changed() => match *cuts.borrow_and_update() {
                1 => return,
                _ => connection.graceful_shutdown(),
            },
        }
    }
}

async fn answer(
    request: http::Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
    shared: Arc<Shared>,
    cut: watch::Sender<u8>,
) {
    let (head, mut stream) = request.into_parts();
    let mut framed = BytesMut::new();
    while let Some(Ok(chunk)) = stream.data().await {
        let _ = stream.flow_control().release_capacity(chunk.len());
        framed.extend_from_slice(&chunk);
    }
    if framed.len() < 5 {
        return;
    }
    let body = unpack(&framed, head.headers.get("grpc-encoding"));
    let unserved = |signal: &Signal| signal.grpc_path() == head.uri.path();
    let act = if shared.unserved.lock().expect("sound").iter().any(unserved) {
        Act::Refuse(Code::Unimplemented, "unknown service", None)
    } else {
        let scripted = shared.script.lock().expect("sound").pop_front();
        let act = scripted.unwrap_or_else(|| shared.default.lock().expect("sound").clone());
        let poison = shared.poison.lock().expect("sound").as_ref().copied();
        let holds = |marker: &str| body.windows(marker.len()).any(|window| window == marker.as_bytes());
        match poison {
            _ if body.len() > *shared.max_bytes.lock().expect("sound") => {
                Act::Refuse(Code::ResourceExhausted, "too large", None)
            }
            Some((marker, code)) if holds(marker) => Act::Refuse(code, "poison", None),
            _ => act,
        }
    };
    let place = {
        let mut received = shared.received.lock().expect("sound");
        received.push(Received { path: head.uri.path().to_owned(), headers: head.headers, body, accepted: false });
        received.len() - 1
    };
    shared.arrived.send_modify(|count| *count += 1);
    let accept = || shared.received.lock().expect("sound")[place].accepted = true;
    let (status, partial) = match act {
        Act::Accept => (Status::ok(""), None),
        Act::Hold => {
            shared.held.acquire().await.expect("never closed").forget();
            (Status::ok(""), None)
        }
        Act::GoAway => {
            cut.send_replace(2);
            (Status::ok(""), None)
        }
        Act::Partial(rejected_spans, message) => {
            (Status::ok(""), Some(ExportTracePartialSuccess { rejected_spans, error_message: message.to_owned() }))
        }
        Act::Refuse(code, message, None) => (Status::new(code, message), None),
        Act::Refuse(code, message, delay) => {
            (Status::with_error_details(code, message, ErrorDetails::with_retry_info(delay)), None)
        }
        Act::HoldThenReset => {
            shared.held.acquire().await.expect("never closed").forget();
            cut.send_replace(1);
            return;
        }
        Act::Reset => {
            cut.send_replace(1);
            return;
        }
        Act::BlackHole => return std::future::pending().await,
    };
    let head = |headers: HeaderMap| {
        let mut response = Response::new(());
        *response.headers_mut() = headers;
        response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
        response
    };
    let mut trailers = HeaderMap::new();
    status.add_header(&mut trailers).expect("valid trailers");
    if status.code() != Code::Ok {
        let _ = respond.send_response(head(trailers), true);
        return;
    }
    accept();
    let message = ExportTraceServiceResponse { partial_success: partial }.encode_to_vec();
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(message.len() as u32);
    frame.extend_from_slice(&message);
    if let Ok(mut sending) = respond.send_response(head(HeaderMap::new()), false) {
        let _ = sending.send_data(frame.freeze(), false);
        let _ = sending.send_trailers(trailers);
    }
}

fn unpack(framed: &[u8], encoding: Option<&HeaderValue>) -> Bytes {
    let (prefix, message) = framed.split_at(5);
    match (prefix[0], encoding.map(HeaderValue::as_bytes)) {
        (0, _) => Bytes::copy_from_slice(message),
        (1, Some(b"gzip")) => {
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(message).read_to_end(&mut plain).expect("gzip");
            plain.into()
        }
        (1, Some(b"zstd")) => zstd::stream::decode_all(message).expect("zstd").into(),
        other => panic!("compressed, but how? {other:?}"),
    }
}
