//! A stand-in for the Datadog agent that tells the oracle what it takes, and behaves as badly as it is told.

use std::collections::HashSet;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Response};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::{Code, Status};

use super::numbers;
use super::oracle::{Moment, Oracle, TroubleKind};
use super::port;

/// How it behaves.
#[derive(Clone, Debug)]
pub enum Mood {
    /// Takes everything.
    Good,
    /// Takes everything and answers late.
    Slow(Duration),
    /// Takes everything, answers every other request, and cuts the connection of the others.
    HalfReset,
    /// Refuses everything.
    Refuse(Code),
    /// Refuses requests that hold one of these spans, and takes the others.
    Poison(Arc<HashSet<u64>>, Code),
    /// Refuses requests of more than so many bytes.
    Limit(usize),
}

/// The agent. It may be down; its connections end with it.
#[derive(Debug)]
pub struct Agent {
    address: SocketAddr,
    shared: Arc<Shared>,
    running: Mutex<Option<JoinSet<()>>>,
}

#[derive(Debug)]
struct Shared {
    oracle: Arc<Oracle>,
    mood: Mutex<Mood>,
    requests: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Agent {
    /// Starts a good one on a free port.
    pub fn start(oracle: Arc<Oracle>) -> std::io::Result<Self> {
        let listener = port::listen();
        let shared = Shared { oracle, mood: Mutex::new(Mood::Good), requests: AtomicU64::new(0) };
        let agent = Self { address: listener.local_addr()?, shared: Arc::new(shared), running: Mutex::default() };
        agent.run(listener)?;
        Ok(agent)
    }

    /// Where it is, also while it is down.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From the next request on.
    pub fn set_mood(&self, mood: Mood) {
        *lock(&self.shared.mood) = mood;
    }

    /// Requests seen so far, whatever became of them.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// Whether it listens.
    pub fn is_up(&self) -> bool {
        lock(&self.running).is_some()
    }

    /// Cuts every connection and listens no more.
    pub async fn go_down(&self) {
        let from = self.shared.oracle.now();
        let running = lock(&self.running).take();
        if let Some(mut running) = running {
            running.shutdown().await;
            self.shared.oracle.trouble(TroubleKind::AgentGone, from);
        }
    }

    /// Listens again, at the same address.
    pub fn come_up(&self) -> std::io::Result<()> {
        if !self.is_up() {
            self.run(port::again(self.address)?)?;
        }
        Ok(())
    }

    fn run(&self, listener: TcpListener) -> std::io::Result<()> {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let shared = self.shared.clone();
        let mut running = JoinSet::new();
        running.spawn(async move {
            // Ends with this task, and takes the connections along.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, shared.clone()));
                while connections.try_join_next().is_some() {}
            }
        });
        *lock(&self.running) = Some(running);
        Ok(())
    }
}

/// One connection. That it breaks is an everyday event here.
async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let mut builder = h2::server::Builder::new();
    builder.initial_window_size(4 << 20).initial_connection_window_size(8 << 20).max_frame_size(1 << 20);
    let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else { return };
    let opened = shared.oracle.now();
    let (cut, mut cuts) = watch::channel(());
    let mut requests = JoinSet::new();
    loop {
        tokio::select! {
            // First: nothing goes out any more, not even that a stream was reset, or the next request would come this way.
            biased;
            Ok(()) = cuts.changed() => return,
            next = connection.accept() => match next {
                Some(Ok((request, respond))) => { requests.spawn(take(request, respond, (shared.clone(), opened), cut.clone())); }
                _ => return,
            },
        }
    }
}

async fn take(
    request: http::Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
    (shared, opened): (Arc<Shared>, Moment),
    cut: watch::Sender<()>,
) {
    let mut stream = request.into_body();
    let mut framed = BytesMut::new();
    while let Some(chunk) = stream.data().await {
        let Ok(chunk) = chunk else { return };
        let _ = stream.flow_control().release_capacity(chunk.len());
        framed.extend_from_slice(&chunk);
    }
    if framed.len() < 5 {
        return;
    }
    let turn = shared.requests.fetch_add(1, Ordering::Relaxed);
    let Ok(numbers) = numbers::read(&framed[5..]) else {
        return refuse(&mut respond, Code::InvalidArgument, "not an OTLP request");
    };
    let mood = lock(&shared.mood).clone();
    let refused = match &mood {
        Mood::Refuse(code) => Some(*code),
        Mood::Poison(poison, code) => numbers.ours.iter().any(|number| poison.contains(number)).then_some(*code),
        Mood::Limit(bytes) => (framed.len() - 5 > *bytes).then_some(Code::ResourceExhausted),
        _ => None,
    };
    if let Some(code) = refused {
        return refuse(&mut respond, code, "the agent does not want this");
    }
    shared.oracle.arrived(&numbers.ours, numbers.strange, opened);
    match mood {
        Mood::HalfReset if turn % 2 == 1 => {
            cut.send_replace(());
            return;
        }
        Mood::Slow(pause) => tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = std::future::poll_fn(|context| respond.poll_reset(context)) => return,
        },
        _ => {}
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let Ok(mut sending) = respond.send_response(head(HeaderMap::new()), false) else { return };
    // An empty message: accepted, nothing rejected.
    let message = sending.send_data(Bytes::from_static(&[0; 5]), false);
    if message.and_then(|()| sending.send_trailers(trailers)).is_ok() {
        shared.oracle.answered(&numbers.ours);
    }
}

fn head(headers: HeaderMap) -> Response<()> {
    let mut response = Response::new(());
    *response.headers_mut() = headers;
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}

fn refuse(respond: &mut h2::server::SendResponse<Bytes>, code: Code, message: &str) {
    let mut headers = HeaderMap::new();
    if Status::new(code, message).add_header(&mut headers).is_ok() {
        let _ = respond.send_response(head(headers), true);
    }
}
