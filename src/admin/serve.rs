//! The admin thread: runs the checks and serves HTTP and dead letters, apart from the thread that carries requests.

use std::future::Future;

use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::monitor::Monitor;
use super::{checks, http};

/// The admin thread could not start or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The system refused a thread, a runtime or a socket.
    #[error("health_check: cannot start the admin thread: {0}")]
    Start(#[from] std::io::Error),
    /// It ended without having been told to: a bug, logged with its panic message.
    #[error("health_check: the admin thread ended unexpectedly; health and status are no longer served")]
    Died,
}

/// Runs the checks, and serves HTTP on `listener` when there is one (without `health_check` in the configuration, the
/// gRPC health service still needs the checks), until `shutdown` completes. Must be called on the runtime that carries
/// requests: that is the one that is watched. Dropping the future ends the admin thread too.
pub async fn serve(
    listener: Option<TcpListener>,
    monitor: Monitor,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), AdminError> {
    let listener = listener.map(TcpListener::into_std).transpose()?;
    let event_loop = Handle::current();
    let (tell, ended) = oneshot::channel();
    // Dropped together with this future.
    let (_alive, abandoned) = oneshot::channel::<()>();
    std::thread::Builder::new().name("chainspan-admin".into()).spawn(move || {
        let result = run(listener, monitor, event_loop, shutdown, abandoned);
        let _ = tell.send(result);
    })?;
    ended.await.unwrap_or(Err(AdminError::Died))
}

fn run(
    listener: Option<std::net::TcpListener>,
    monitor: Monitor,
    event_loop: Handle,
    shutdown: impl Future<Output = ()>,
    abandoned: oneshot::Receiver<()>,
) -> Result<(), AdminError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        let listener = listener.map(TcpListener::from_std).transpose()?;
        let http = async {
            if let Some(listener) = listener {
                http::serve(listener, monitor.clone()).await;
            }
            std::future::pending().await
        };
        tokio::select! {
            never = http => match never {},
            never = checks::run(&monitor, &event_loop) => match never {},
            never = monitor.serve_letters() => match never {},
            () = shutdown => Ok(()),
            _ = abandoned => Ok(()),
        }
    });
    // A check that hangs must not keep the process from ending.
    runtime.shutdown_background();
    result
}
