//! One HTTP/2 connection to a destination, one request at a time. A connection that failed, timed out or was left in the
//! middle of a request is torn down at once, and with it every byte it still held.

use std::future::Future;
use std::time::Duration;

use h2::client::{Builder, Connection, SendRequest};
use h2::{Ping, PingPong};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::retry::Failure;
use super::rope::Rope;

/// Between two pings. The agent answers more than one in 5 minutes with GOAWAY.
const PING_INTERVAL: Duration = Duration::from_secs(330);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// What we are ready to receive: answers are small.
const WINDOW: u32 = 1 << 20;
const MAX_HEADERS: u32 = 64 << 10;

/// An open connection. Dropped while `idle`, it says goodbye; dropped otherwise, it is cut.
#[derive(Debug)]
pub(crate) struct Link {
    requests: SendRequest<Rope>,
    driver: AbortHandle,
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
        let (requests, connection) = Builder::new()
            .enable_push(false)
            .initial_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_header_list_size(MAX_HEADERS)
            .handshake(stream)
            .await
            .map_err(|error| broken(error.to_string()))?;
        let driver = tokio::spawn(drive(connection)).abort_handle();
        Ok(Self { requests, driver, idle: false })
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
        message: Rope,
    ) -> Result<impl Future<Output = Result<http::Response<h2::RecvStream>, h2::Error>> + use<>, h2::Error> {
        self.idle = false;
        let (response, mut body) = self.requests.send_request(request, false)?;
        body.send_data(message, true)?;
        Ok(response)
    }

    /// The answer has been read to its end: the connection may be used again.
    pub(crate) fn rest(&mut self) {
        self.idle = true;
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if !self.idle {
            self.driver.abort();
        }
    }
}

async fn drive(mut connection: Connection<TcpStream, Rope>) {
    let Some(pings) = connection.ping_pong() else { return };
    tokio::select! {
        _ = connection => {}
        () = keep_alive(pings) => {}
    }
}

/// Ends when a ping stays unanswered.
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
