//! One HTTP/2 connection to a destination, one request at a time. A connection that failed, timed out or was abandoned in
//! the middle of a request is closed at once, which frees every byte that it still held.

use std::future::{Future, poll_fn};
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Buf;
use h2::client::{Builder, Connection, SendRequest};
use h2::{Ping, PingPong};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::chunks::Chunks;
use crate::delivery::policy::Failure;

/// Time between two keep-alive pings. The agent answers more than one in 5 minutes with GOAWAY.
const PING_INTERVAL: Duration = Duration::from_secs(330);
/// A ping that is not answered within this time ends the connection.
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// Bytes of flow control that we grant: answers are small.
const WINDOW: u32 = 1 << 20;
const MAX_HEADERS: u32 = 64 << 10;
/// Bytes of one DATA frame: HTTP/2's default limit, which the agent keeps. A longer message takes several.
const ONE_FRAME: usize = 16 << 10;

/// An open connection. Dropped while `idle`, it is closed in good order; dropped in the middle of a request, it is cut.
#[derive(Debug)]
pub(crate) struct Link {
    requests: SendRequest<Chunks>,
    driver: AbortHandle,
    /// The message in flight takes several frames.
    long: Arc<AtomicBool>,
    idle: bool,
}

impl Link {
    /// Dials `authority` (`HOST:PORT`).
    pub(crate) async fn open(authority: &str) -> Result<Self, Failure> {
        let stream = TcpStream::connect(authority)
            .await
            .map_err(|error| Failure::transport(format!("cannot connect to {authority}: {error}")))?;
        let broken = |error: String| Failure::transport(format!("{authority} does not speak HTTP/2: {error}"));
        stream.set_nodelay(true).map_err(|error| broken(error.to_string()))?;
        let socket = stream.as_fd().try_clone_to_owned().map_err(|error| broken(error.to_string()))?;
        let (requests, connection) = Builder::new()
            .enable_push(false)
            .initial_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_header_list_size(MAX_HEADERS)
            .handshake(stream)
            .await
            .map_err(|error| broken(error.to_string()))?;
        let long = Arc::new(AtomicBool::new(false));
        let driver = tokio::spawn(drive(connection, socket, long.clone())).abort_handle();
        Ok(Self { requests, driver, long, idle: false })
    }

    /// Waits until a request may be sent. An error means that the connection ended while it lay idle.
    pub(crate) async fn ready(&mut self) -> Result<(), h2::Error> {
        self.idle = false;
        std::future::poll_fn(|cx| self.requests.poll_ready(cx)).await
    }

    /// Sends one request; call [`Link::ready`] before.
    pub(crate) fn send(
        &mut self,
        request: http::Request<()>,
        message: Chunks,
    ) -> Result<impl Future<Output = Result<http::Response<h2::RecvStream>, h2::Error>> + use<>, h2::Error> {
        self.idle = false;
        self.long.store(message.remaining() > ONE_FRAME, Ordering::Relaxed);
        let (response, mut body) = self.requests.send_request(request, false)?;
        body.send_data(message, true)?;
        Ok(response)
    }

    /// The answer has been read to its end: the connection may be used again.
    pub(crate) fn rest(&mut self) {
        self.idle = true;
        self.long.store(false, Ordering::Relaxed);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if !self.idle {
            self.driver.abort();
        }
    }
}

/// h2 writes every DATA frame by itself. While a long message goes out, the system holds segments back until they are full or
/// the driver has written all that it can; otherwise each frame would be sent, received and acknowledged on its own.
async fn drive(mut connection: Connection<TcpStream, Chunks>, socket: OwnedFd, long: Arc<AtomicBool>) {
    let Some(pings) = connection.ping_pong() else { return };
    let io = poll_fn(|cx| {
        let hold = long.load(Ordering::Relaxed) && cork(&socket, true);
        let ended = Pin::new(&mut connection).poll(cx);
        if hold {
            cork(&socket, false);
        }
        ended
    });
    tokio::select! {
        _ = io => {}
        () = keep_alive(pings) => {}
    }
}

/// `TCP_CORK` of tcp(7). Without it everything works, only slower.
#[cfg(target_os = "linux")]
fn cork(socket: &OwnedFd, hold: bool) -> bool {
    rustix::net::sockopt::set_tcp_cork(socket, hold).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn cork(_: &OwnedFd, _: bool) -> bool {
    false
}

/// Pings from time to time, and ends when a ping is not answered.
async fn keep_alive(mut pings: PingPong) {
    let mut ticks = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if !matches!(timeout(PING_TIMEOUT, pings.ping(Ping::opaque())).await, Ok(Ok(_))) {
            return;
        }
    }
}
