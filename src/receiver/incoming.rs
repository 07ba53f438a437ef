//! Accepted connections.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

/// How long to wait after a failure that would only repeat itself: no file descriptors, no memory.
const PAUSE: Duration = Duration::from_millis(100);

/// The listener's next connection. Does not spin when the system cannot give us another socket.
pub(super) async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // An answer is small and someone waits for it. Without it the connection still works.
                let _ = stream.set_nodelay(true);
                return stream;
            }
            // The client was gone before we came to it.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => {}
            Err(error) => {
                tracing::warn!("cannot accept a connection, trying again in {PAUSE:?}: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
