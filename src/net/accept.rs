//! The accept loop: takes connections, never more than allowed, and at the end waits for those that are open.

use std::future::Future;
use std::io::ErrorKind;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Pause after the system could not give us another connection (no file descriptors, no memory). Trying again at once
/// would fail again and keep a processor busy.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// What a server allows its connections together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AcceptLimits {
    /// Whose connections they are, for the log.
    pub(crate) component: &'static str,
    /// Connections open at the same time; more wait in the system's queue. `None`: as many as the process may have files.
    pub(crate) max_connections: Option<usize>,
    /// How long open connections have to end once the server drains; then they are cut off. `None`: as long as they
    /// take.
    pub(crate) drain_timeout: Option<Duration>,
}

/// Tells a connection that the server drains.
#[derive(Clone, Debug)]
pub(crate) struct Drain(watch::Receiver<()>);

impl Drain {
    /// Ready when the server has stopped accepting: the connection should finish what is under way and close.
    pub(crate) async fn begun(&mut self) {
        // Nothing is ever sent; the sender goes away.
        let _ = self.0.changed().await;
    }
}

/// Serves every connection of `listener` with `serve`, each on a task of its own, until `shutdown` completes. Then closes
/// the listener, tells the open connections by their [`Drain`], and returns when the last of them has ended. Dropping the
/// future ends them all at once.
pub(crate) async fn run<F>(
    listener: TcpListener,
    limits: AcceptLimits,
    serve: impl Fn(TcpStream, Drain) -> F,
    shutdown: impl Future<Output = ()>,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let slots = Arc::new(Semaphore::new(limits.max_connections.unwrap_or(Semaphore::MAX_PERMITS)));
    let (drain, draining) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = async {
            // Nobody closes the semaphore, so a slot always comes.
            let slot = slots.clone().acquire_owned().await.ok();
            (accept(&listener, limits.component).await, slot)
        };
        let (stream, slot) = tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => continue,
            accepted = accepted => accepted,
        };
        let connection = serve(stream, Drain(draining.clone()));
        connections.spawn(async move {
            connection.await;
            drop(slot);
        });
    }
    drop((listener, drain));
    let ended = async { while connections.join_next().await.is_some() {} };
    match limits.drain_timeout {
        // Those that are left are cut off as their set is dropped.
        Some(limit) => drop(timeout(limit, ended).await),
        None => ended.await,
    }
}

/// The next connection. Does not spin when the system cannot give us one.
async fn accept(listener: &TcpListener, component: &'static str) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Answers are small and somebody waits for them. Where it fails, the connection still works.
                let _ = stream.set_nodelay(true);
                return stream;
            }
            // The client was gone before we came to it.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => {}
            Err(error) => {
                tracing::warn!(component, %error, "cannot accept a connection; trying again in {RETRY_PAUSE:?}");
                sleep(RETRY_PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::SocketAddr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::oneshot;
    use tokio::task::JoinHandle;

    use super::*;

    const TEST_TIMEOUT: Duration = Duration::from_secs(20);

    /// A server whose connections greet, and end when their client does or, if they are `polite`, when it drains.
    async fn server(
        max_connections: Option<usize>,
        drain_timeout: Option<Duration>,
        polite: bool,
    ) -> (SocketAddr, oneshot::Sender<()>, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let greet = move |mut stream: TcpStream, mut drain: Drain| async move {
            stream.write_all(b"!").await.unwrap();
            let client_ended = async { stream.read(&mut [0]).await };
            tokio::select! {
                _ = client_ended => {}
                () = drain.begun(), if polite => {}
            }
        };
        let limits = AcceptLimits { component: "test", max_connections, drain_timeout };
        let served = tokio::spawn(run(listener, limits, greet, async { drop(stopped.await) }));
        (address, stop, served)
    }

    async fn greeted(client: &mut TcpStream, within: Duration) -> bool {
        timeout(within, client.read_u8()).await.is_ok_and(|read| read.is_ok())
    }

    #[tokio::test]
    async fn no_more_connections_than_allowed_are_served_at_once() {
        let (address, _stop, _served) = server(Some(2), None, true).await;
        let mut clients = Vec::new();
        for _ in 0..3 {
            clients.push(TcpStream::connect(address).await.unwrap());
        }
        assert!(greeted(&mut clients[0], TEST_TIMEOUT).await && greeted(&mut clients[1], TEST_TIMEOUT).await);
        assert!(!greeted(&mut clients[2], Duration::from_millis(100)).await, "the third waits");
        drop(clients.remove(0));
        assert!(greeted(&mut clients[1], TEST_TIMEOUT).await, "and comes in as another leaves");
    }

    #[tokio::test]
    async fn a_drain_tells_open_connections_and_takes_no_new_ones() {
        let (address, stop, served) = server(None, None, true).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        assert!(greeted(&mut client, TEST_TIMEOUT).await);
        stop.send(()).unwrap();
        timeout(TEST_TIMEOUT, served).await.unwrap().unwrap();
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn a_drain_cuts_off_what_does_not_end_in_time() {
        let (address, stop, served) = server(None, Some(Duration::from_millis(20)), false).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        assert!(greeted(&mut client, TEST_TIMEOUT).await);
        stop.send(()).unwrap();
        timeout(TEST_TIMEOUT, served).await.unwrap().unwrap();
        assert!(!greeted(&mut client, TEST_TIMEOUT).await);
    }
}
