//! The yardsticks, each a process of its own: this program started again with the name of a role. A role prints the address
//! it listens on, answers `stats` lines with one JSON line, and ends when its standard input does, so none outlives the run.

use std::error::Error;
use std::io::{BufRead, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::net::{TcpListener, TcpStream};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use crate::wire::{self, BytesService, Handler, MAX_MESSAGE};

/// Connections to the sink that a relay keeps, as many as chainspan does by default.
const UPSTREAMS: usize = 2;
/// Every how many requests the sink decodes one and looks at its tags.
const CHECK_EVERY: u64 = 32;

/// Runs the role `name`; `target` is where it forwards to.
pub(crate) fn run(name: &str, target: Option<SocketAddr>) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let target = || target.ok_or("this role needs the address it forwards to");
    let counts = Arc::new(Counts::default());
    match name {
        "sink" => runtime.block_on(serve_sink(counts.clone()))?,
        "relay" => runtime.block_on(serve_relay(target()?))?,
        "prost" => runtime.block_on(serve_prost(target()?))?,
        "proxy" => runtime.block_on(serve_proxy(target()?))?,
        other => return Err(format!("no role {other:?}").into()),
    }
    for line in std::io::stdin().lock().lines() {
        if line? == "stats" {
            say(&counts.json())?;
        }
    }
    runtime.shutdown_background();
    Ok(())
}

fn say(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// What arrived at the sink.
#[derive(Default)]
struct Counts {
    requests: AtomicU64,
    spans: AtomicU64,
    bytes: AtomicU64,
    checked: AtomicU64,
    untagged: AtomicU64,
}

impl Counts {
    fn json(&self) -> String {
        serde_json::json!({
            "requests": self.requests.load(Relaxed),
            "spans": self.spans.load(Relaxed),
            "bytes": self.bytes.load(Relaxed),
            "checked_spans": self.checked.load(Relaxed),
            "untagged_spans": self.untagged.load(Relaxed),
        })
        .to_string()
    }
}

#[derive(Clone)]
struct Sink(Arc<Counts>);

impl Handler for Sink {
    async fn handle(self, body: Bytes) -> Result<Bytes, Status> {
        let counts = &self.0;
        let nth = counts.requests.fetch_add(1, Relaxed);
        counts.bytes.fetch_add(body.len() as u64, Relaxed);
        let spans = count_spans(&body).ok_or_else(|| Status::invalid_argument("not a trace export request"))?;
        counts.spans.fetch_add(spans, Relaxed);
        if nth.is_multiple_of(CHECK_EVERY) {
            let request =
                ExportTraceServiceRequest::decode(body).map_err(|e| Status::invalid_argument(e.to_string()))?;
            for span in spans_of(&request) {
                counts.checked.fetch_add(1, Relaxed);
                if !is_tagged(span) {
                    counts.untagged.fetch_add(1, Relaxed);
                }
            }
        }
        Ok(Bytes::new())
    }
}

fn spans_of(request: &ExportTraceServiceRequest) -> impl Iterator<Item = &Span> {
    request.resource_spans.iter().flat_map(|r| &r.scope_spans).flat_map(|s| &s.spans)
}

/// Whether `span` has exactly one `chain_id`, a string of decimal digits.
fn is_tagged(span: &Span) -> bool {
    let mut values = span.attributes.iter().filter(|a| a.key == "chain_id").map(|a| a.value.as_ref());
    let first = values.next().flatten().and_then(|v| v.value.as_ref());
    let canonical = matches!(first, Some(Value::StringValue(s)) if is_canonical(s));
    canonical && values.next().is_none()
}

fn is_canonical(s: &str) -> bool {
    s.parse::<u64>().is_ok_and(|n| n > 0) && !s.starts_with(['0', '+'])
}

/// How many spans a request holds, by its lengths alone; `None` when it is malformed.
fn count_spans(request: &[u8]) -> Option<u64> {
    let mut spans = 0;
    each_field(request, 1, |resource| {
        each_field(resource, 2, |scope| {
            each_field(scope, 2, |_| {
                spans += 1;
                Some(())
            })
        })
    })?;
    Some(spans)
}

/// Calls `f` with each length-delimited field `number` of `message`; the messages on the way to a span hold no other kinds.
fn each_field(mut message: &[u8], number: u64, mut f: impl FnMut(&[u8]) -> Option<()>) -> Option<()> {
    while !message.is_empty() {
        let key = varint(&mut message)?;
        if key & 7 != 2 {
            return None;
        }
        let len = usize::try_from(varint(&mut message)?).ok()?;
        let (field, rest) = message.split_at_checked(len)?;
        message = rest;
        if key >> 3 == number {
            f(field)?;
        }
    }
    Some(())
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    prost::encoding::decode_varint(bytes).ok()
}

async fn serve_sink(counts: Arc<Counts>) -> Result<(), Box<dyn Error>> {
    let (incoming, address) = wire::listener()?;
    tokio::spawn(wire::sink_server().serve_with_incoming(BytesService(Sink(counts)), incoming));
    Ok(say(&address.to_string())?)
}

/// Connections taken in turn.
struct Upstreams<T> {
    all: Vec<T>,
    next: AtomicUsize,
}

impl<T> Upstreams<T> {
    fn new(all: Vec<T>) -> Arc<Self> {
        Arc::new(Self { all, next: AtomicUsize::new(0) })
    }

    fn pick(&self) -> &T {
        &self.all[self.next.fetch_add(1, Relaxed) % self.all.len()]
    }
}

async fn upstream_channels(target: SocketAddr) -> Result<Vec<Channel>, tonic::transport::Error> {
    let mut all = Vec::new();
    for _ in 0..UPSTREAMS {
        all.push(wire::connect(target).await?);
    }
    Ok(all)
}

/// Forwards a body without a look inside.
#[derive(Clone)]
struct Relay(Arc<Upstreams<Channel>>);

impl Handler for Relay {
    async fn handle(self, body: Bytes) -> Result<Bytes, Status> {
        wire::export(self.0.pick(), body).await
    }
}

async fn serve_relay(target: SocketAddr) -> Result<(), Box<dyn Error>> {
    let relay = Relay(Upstreams::new(upstream_channels(target).await?));
    let (incoming, address) = wire::listener()?;
    tokio::spawn(wire::server().serve_with_incoming(BytesService(relay), incoming));
    Ok(say(&address.to_string())?)
}

/// The usual design: decode into structs, tag, encode.
struct ProstRelay(Arc<Upstreams<TraceServiceClient<Channel>>>);

#[tonic::async_trait]
impl TraceService for ProstRelay {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut request = request.into_inner();
        for span in request.resource_spans.iter_mut().flat_map(|r| &mut r.scope_spans).flat_map(|s| &mut s.spans) {
            tag(span);
        }
        self.0.pick().clone().export(Request::new(request)).await
    }
}

/// Gives `span` a canonical `chain_id`, from the first of the usual keys that it has.
fn tag(span: &mut Span) {
    const KEYS: [&str; 3] = ["chain_id", "chain.id", "chainId"];
    let Some(at) = KEYS.iter().find_map(|key| span.attributes.iter().position(|a| a.key == *key)) else { return };
    let chain = match span.attributes[at].value.as_ref().and_then(|v| v.value.as_ref()) {
        Some(Value::StringValue(s)) if is_canonical(s) => {
            if span.attributes[at].key == "chain_id" {
                return;
            }
            s.clone()
        }
        Some(Value::IntValue(n)) if *n > 0 => n.to_string(),
        _ => return,
    };
    let value = Some(AnyValue { value: Some(Value::StringValue(chain)) });
    span.attributes.push(KeyValue { key: "chain_id".into(), value, ..Default::default() });
}

async fn serve_prost(target: SocketAddr) -> Result<(), Box<dyn Error>> {
    let clients = upstream_channels(target)
        .await?
        .into_iter()
        .map(|channel| TraceServiceClient::new(channel).max_encoding_message_size(MAX_MESSAGE))
        .collect();
    let service = TraceServiceServer::new(ProstRelay(Upstreams::new(clients))).max_decoding_message_size(MAX_MESSAGE);
    let (incoming, address) = wire::listener()?;
    tokio::spawn(wire::server().serve_with_incoming(service, incoming));
    Ok(say(&address.to_string())?)
}

/// Copies bytes between sockets and knows nothing of what they are.
async fn serve_proxy(target: SocketAddr) -> Result<(), Box<dyn Error>> {
    const BUFFER: usize = 64 << 10;
    let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut far = TcpStream::connect(target).await?;
                near.set_nodelay(true)?;
                far.set_nodelay(true)?;
                tokio::io::copy_bidirectional_with_sizes(&mut near, &mut far, BUFFER, BUFFER).await
            });
        }
    });
    Ok(say(&address.to_string())?)
}
