//! A destination that misbehaves by script: it keeps whole requests and answers each as the next [`Act`] of its script says,
//! or as the default once the script is used up.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard};

use chainspan::otlp::Signal;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tonic::Code;

use super::act::Act;
use super::answer::Request;
use super::listener::{Judge, Server};
use super::received::Received;

/// The server; it stops when dropped.
#[derive(Debug)]
pub struct FaultServer {
    server: Server<Script>,
    /// For tests that have no runtime of their own.
    runtime: Option<Runtime>,
}

#[derive(Debug)]
struct Script {
    orders: Mutex<Orders>,
    seen: Mutex<Seen>,
    arrived: watch::Sender<usize>,
}

/// What it has been told.
#[derive(Debug)]
struct Orders {
    script: VecDeque<Act>,
    default: Act,
    poison: Option<(&'static str, Code)>,
    unserved: Vec<Signal>,
    max_bytes: usize,
}

/// What has arrived.
#[derive(Debug)]
struct Seen {
    requests: Vec<Received>,
    keeps_bodies: bool,
    /// Spans accepted.
    spans: usize,
}

impl Script {
    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().expect("no test panics while it gives orders")
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("no test panics while it looks")
    }
}

impl FaultServer {
    /// Starts on a free port; accepts everything until told otherwise.
    pub async fn start() -> Self {
        Self { server: Self::server(), runtime: None }
    }

    /// The same for a test that is not async: on a thread of its own.
    pub fn in_background() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let inside = runtime.enter();
        let server = Self::server();
        drop(inside);
        Self { server, runtime: Some(runtime) }
    }

    fn server() -> Server<Script> {
        let orders = Orders {
            script: VecDeque::new(),
            default: Act::Accept,
            poison: None,
            unserved: Vec::new(),
            max_bytes: usize::MAX,
        };
        let seen = Seen { requests: Vec::new(), keeps_bodies: true, spans: 0 };
        let script = Script { orders: Mutex::new(orders), seen: Mutex::new(seen), arrived: watch::Sender::new(0) };
        Server::start(script).expect("the loopback has a free port")
    }

    /// Where it listens, or listened.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// What to do with the next requests, one act each.
    pub fn then(&self, acts: impl IntoIterator<Item = Act>) -> &Self {
        self.server.judge().orders().script.extend(acts);
        self
    }

    /// What to do when the script is used up.
    pub fn always(&self, act: Act) -> &Self {
        self.server.judge().orders().default = act;
        self
    }

    /// Refuses every request whose bytes hold `marker` (an attribute value, say) with `code`.
    pub fn poison(&self, marker: &'static str, code: Code) -> &Self {
        self.server.judge().orders().poison = Some((marker, code));
        self
    }

    /// Answers as a gRPC server that has no service for these signals, whatever the script says; until the next call.
    pub fn unserved(&self, signals: &[Signal]) -> &Self {
        self.server.judge().orders().unserved = signals.to_vec();
        self
    }

    /// Refuses requests of more than `bytes` with RESOURCE_EXHAUSTED, without RetryInfo.
    pub fn limit(&self, bytes: usize) -> &Self {
        self.server.judge().orders().max_bytes = bytes;
        self
    }

    /// Keeps no bodies from now on, and only counts the spans: for tests that send very many.
    pub fn forget_bodies(&self) -> &Self {
        self.server.judge().seen().keeps_bodies = false;
        self
    }

    /// Lets `count` requests go that [`Act::Hold`] holds or will hold.
    pub fn release(&self, count: usize) {
        self.server.release(count);
    }

    /// Closes every connection and refuses new ones.
    pub async fn stop(&self) {
        self.server.stop().await;
    }

    /// Listens again, on the same port.
    pub async fn restart(&self) {
        self.server.restart().expect("the same port");
    }

    /// Every request so far.
    pub fn received(&self) -> Vec<Received> {
        self.server.judge().seen().requests.clone()
    }

    /// Waits until `count` requests have arrived, all in all.
    pub async fn arrived(&self, count: usize) {
        let mut arrived = self.server.judge().arrived.subscribe();
        arrived.wait_for(|seen| *seen >= count).await.expect("the server lives");
    }

    /// How often each span id was accepted.
    pub fn accepted_spans(&self) -> HashMap<Vec<u8>, usize> {
        let spans = self.accepted(Signal::Traces).flat_map(|received| received.spans());
        times(spans)
    }

    /// How often each body of a log record was accepted.
    pub fn accepted_logs(&self) -> HashMap<String, usize> {
        times(self.accepted(Signal::Logs).flat_map(|received| received.logs()))
    }

    /// Every span that was accepted, in full.
    pub fn spans(&self) -> Vec<Span> {
        self.accepted(Signal::Traces).flat_map(|received| received.whole_spans()).collect()
    }

    /// How many spans were accepted.
    pub fn span_count(&self) -> usize {
        self.server.judge().seen().spans
    }

    /// TCP connections accepted so far.
    pub fn connections(&self) -> usize {
        self.server.connections()
    }

    fn accepted(&self, signal: Signal) -> impl Iterator<Item = Received> {
        let of = move |received: &Received| received.accepted && received.path == signal.grpc_path();
        self.received().into_iter().filter(of)
    }
}

fn times<T: std::hash::Hash + Eq>(all: impl Iterator<Item = T>) -> HashMap<T, usize> {
    let mut times = HashMap::new();
    all.for_each(|one| *times.entry(one).or_default() += 1);
    times
}

/// Spans in a trace request; of what is none, none.
fn count(body: &[u8]) -> usize {
    let Ok(request) = ExportTraceServiceRequest::decode(body) else { return 0 };
    let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    scopes.map(|scope| scope.spans.len()).sum()
}

impl Drop for FaultServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Judge for Script {
    /// The place of the request among all, and its spans.
    type Ticket = (usize, usize);

    fn arrived(&self, Request { path, headers, body, .. }: Request) -> (Act, Self::Ticket) {
        let act = self.orders().next(&path, &body);
        let spans = if path == Signal::Traces.grpc_path() { count(&body) } else { 0 };
        let mut seen = self.seen();
        let body = if seen.keeps_bodies { body } else { Default::default() };
        seen.requests.push(Received { path, headers, body, accepted: false });
        let place = seen.requests.len() - 1;
        drop(seen);
        self.arrived.send_modify(|count| *count += 1);
        (act, (place, spans))
    }

    fn accepted(&self, &(place, spans): &Self::Ticket) {
        let mut seen = self.seen();
        seen.requests[place].accepted = true;
        seen.spans += spans;
    }
}

impl Orders {
    fn next(&mut self, path: &str, body: &[u8]) -> Act {
        if self.unserved.iter().any(|signal| signal.grpc_path() == path) {
            return Act::Refuse(Code::Unimplemented, "unknown service", None);
        }
        let act = self.script.pop_front().unwrap_or_else(|| self.default.clone());
        let holds = |marker: &str| body.windows(marker.len()).any(|window| window == marker.as_bytes());
        match self.poison {
            _ if body.len() > self.max_bytes => Act::Refuse(Code::ResourceExhausted, "too large", None),
            Some((marker, code)) if holds(marker) => Act::Refuse(code, "poison", None),
            _ => act,
        }
    }
}
