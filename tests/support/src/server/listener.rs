//! Listening, going away and coming back at the same address; one task per connection, one per request.

use std::fmt::Debug;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::act::Act;
use super::answer::{self, Request};
use crate::port;

/// Who decides about requests and hears what became of them.
pub trait Judge: Debug + Send + Sync + 'static {
    /// What it remembers of a request until that has been answered.
    type Ticket: Send;

    /// A request has arrived, whole. Acts are chosen in the order of the calls.
    fn arrived(&self, request: Request) -> (Act, Self::Ticket);

    /// It is about to be answered with OK.
    fn accepted(&self, _ticket: &Self::Ticket) {}

    /// That answer is on its way.
    fn answered(&self, _ticket: Self::Ticket) {}
}

/// What listener, connections and requests share.
#[derive(Debug)]
pub(super) struct Shared<J> {
    pub(super) judge: J,
    pub(super) held: Semaphore,
    connections: AtomicUsize,
}

/// How a request ends its connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cut {
    Now,
    GoAway,
}

/// A server that may be down; its connections end with it.
#[derive(Debug)]
pub struct Server<J> {
    address: SocketAddr,
    shared: Arc<Shared<J>>,
    running: Mutex<Option<JoinSet<()>>>,
}

impl<J: Judge> Server<J> {
    /// Starts on a free port, on the runtime of the caller.
    pub fn start(judge: J) -> std::io::Result<Self> {
        let listener = port::listen();
        let shared = Shared { judge, held: Semaphore::new(0), connections: AtomicUsize::new(0) };
        let server = Self { address: listener.local_addr()?, shared: Arc::new(shared), running: Mutex::default() };
        server.listen(listener)?;
        Ok(server)
    }

    /// Where it listens, also while it is down.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Who decides.
    pub fn judge(&self) -> &J {
        &self.shared.judge
    }

    /// Lets `count` requests go that [`Act::Hold`] holds or will hold.
    pub fn release(&self, count: usize) {
        self.shared.held.add_permits(count);
    }

    /// TCP connections accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Whether it listens.
    pub fn is_up(&self) -> bool {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Cuts every connection and refuses new ones. `false`: it was down already.
    pub async fn stop(&self) -> bool {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut running) = running else { return false };
        running.shutdown().await;
        true
    }

    /// Listens again at the same address, if it does not.
    pub fn restart(&self) -> std::io::Result<()> {
        if self.is_up() { Ok(()) } else { self.listen(port::again(self.address)?) }
    }

    fn listen(&self, listener: TcpListener) -> std::io::Result<()> {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let shared = self.shared.clone();
        let mut running = JoinSet::new();
        running.spawn(async move {
            // Ends with this task, and takes the connections along.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                shared.connections.fetch_add(1, Ordering::SeqCst);
                connections.spawn(serve(stream, shared.clone()));
                while connections.try_join_next().is_some() {}
            }
        });
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
        Ok(())
    }
}

/// Serves one connection. That it breaks is an everyday event here.
async fn serve<J: Judge>(stream: TcpStream, shared: Arc<Shared<J>>) {
    let _ = stream.set_nodelay(true);
    let mut builder = h2::server::Builder::new();
    builder.initial_window_size(4 << 20).initial_connection_window_size(8 << 20);
    let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else { return };
    let opened = Instant::now();
    let (cut, mut cuts) = watch::channel(None);
    let mut requests = JoinSet::new();
    loop {
        tokio::select! {
            // First: nothing goes out any more, not even that a stream was reset, or the next request would come this way.
            biased;
            Ok(()) = cuts.changed() => match *cuts.borrow_and_update() {
                Some(Cut::Now) => return,
                _ => connection.graceful_shutdown(),
            },
            next = connection.accept() => match next {
                Some(Ok((request, respond))) => {
                    requests.spawn(answer::answer((request, opened), respond, shared.clone(), cut.clone()));
                    while requests.try_join_next().is_some() {}
                }
                _ => return,
            },
        }
    }
}
